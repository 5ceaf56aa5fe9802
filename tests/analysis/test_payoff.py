"""Pay-off, mutual calibration and inherited mistakes with simulated truth, and by chance.

`test_recompute.py` compares every number with code that shares nothing with the package.
"""

import warnings
from functools import cache

import numpy as np
import pytest
from scipy import stats
from scipy.special import rel_entr, softmax

from disobey.analysis.intervals import crossed_interval
from disobey.analysis.payoff import (
    COPIED,
    INHERITED,
    MISTAKES,
    MUTUAL,
    PAYOFF,
    PAYOFF_PARTS,
    DecilePayoff,
    beyond_reference,
    deviations,
    gains_of,
    kappa,
    mean_gains,
)
from disobey.analysis.quality import Block, Outputs, kl_divergence, mean_teacher
from disobey.analysis.resampling import Resamples, gather, mean_of
from disobey.analysis.setting import SplitLogits, analyse

CLASSES, LARGE = 4, 100_000
NULLS = [one for group in (PAYOFF, PAYOFF_PARTS, MISTAKES) for one in group if one.null is not None]


def rows_of(models, label, resamples, seed=0):
    """Return {model: {statistic: (1 + resample,)}} of one seed; ``models``: logits by name.

    All that are called neither teacher nor other are compared with the teacher; others are its
    replicates.
    """
    drawn = Resamples(len(label), resamples, seed)
    outputs = {name: Outputs(z) for name, z in models.items()}
    teacher = outputs["teacher"]
    replicates = [z for name, z in outputs.items() if name.startswith("other")]
    compared = [name for name in models if not name.startswith(("teacher", "other"))]
    kinds = {"labelled": True, "replicated": bool(replicates)}
    classes, gains = models["teacher"].shape[1], {}
    of = {name: [mean_gains(), *deviations(classes, **kinds)] for name in compared}
    for name in compared:
        gains[name, 0] = gains_of(outputs[name], teacher, label)
        kl = kl_divergence(teacher, outputs[name])
        block = Block(
            outputs[name], teacher, kl, label, label, gains[name, 0], mean_teacher(replicates)
        )
        for rows, counts in drawn.blocks(len(label)):
            assert rows == slice(0, len(label))
            for one in of[name]:
                one.add(counts, block, np.ones((len(label), 1), bool))
    by_model = {key: values.T for key, values in gains.items()}
    deciles = [DecilePayoff(by_model, one.phi_own) for one in replicates]
    gather(drawn, deciles, 97)  # in several blocks
    found = {
        name: mean_of([decile.statistics((name, 0)) for decile in deciles])
        | {key: values for one in parts for key, values in one.statistics()[0].items()}
        for name, parts in of.items()
    }
    for name, inherited in zip(COPIED, INHERITED, strict=True):
        both = found["student"][inherited], found["reference"][inherited]
        found["student"][name] = beyond_reference(*both)
    return found


def simulated(students, *, calibrated=False, examples=8000, resamples=0, seed=0, seeds=1, sd=0.0):
    """Return [{model: {statistic: values}}], seed by seed, of simulated trainings.

    Runs are a signal and noise of their own, of a sharpness that varies by ``sd``; the student is
    made by ``students`` of its teacher, reference, one more run, true log-odds and a generator.
    Labels are drawn by the true probabilities, or where ``calibrated`` by the teacher's.
    """
    rng = np.random.default_rng(seed)
    true = 1.5 * rng.normal(size=(examples, CLASSES))

    def run():
        return np.exp(sd * rng.normal()) * (true + 0.8 * rng.normal(size=true.shape))

    teachers = [run() for _ in range(max(seeds, 3))]
    p = softmax(teachers[0] if calibrated else true, 1)
    label = (rng.random((examples, 1)) > p.cumsum(1)).sum(1)
    found = []
    for k in range(seeds):
        reference, another = run(), run()
        models = {"teacher": teachers[k], "reference": reference}
        models["student"] = students(teachers[k], reference, another, true, rng)
        models |= {f"other {j}": z for j, z in enumerate(teachers) if j != k}
        found.append(rows_of(models, label, resamples, seed))
    return found


def analysed(*args, **options):
    """Return {model: {statistic: number}} of the first seed, the full sample."""
    found = simulated(*args, **options)[0]
    return {model: {k: float(v[0]) for k, v in of.items()} for model, of in found.items()}


def value(found, name, model="student"):
    return found[model][name]


def mixed(share):
    """A student that answers a random share of the examples as its teacher, else by itself."""

    def student(teacher, reference, _another, _true, rng):
        return np.where(rng.random((len(teacher), 1)) < share, teacher, reference)

    return student


def knowing(_teacher, _reference, _another, true, _rng):
    """A student that knows the true probabilities."""
    return true


def second_seed(_teacher, _reference, another, *_):
    return another


@pytest.fixture(scope="module")
def null():
    """A student that is one more seed."""
    return analysed(second_seed)


# --- simulated truth -----------------------------------------------------------------------------


def test_gain_is_misfit_and_cross_by_either_score():
    rng = np.random.default_rng(1)
    model, teacher = 2 * rng.normal(size=(2, 50, CLASSES))
    label = rng.integers(CLASSES, size=50)
    m, t, y = softmax(model, 1), softmax(teacher, 1), np.eye(CLASSES)[label]
    brier, apart, nll, divergence = gains_of(Outputs(model), Outputs(teacher), label).T
    np.testing.assert_allclose(apart, ((m - t) ** 2).sum(1), atol=1e-12)
    np.testing.assert_allclose(brier - apart, 2 * ((y - m) * (m - t)).sum(1), atol=1e-12)
    np.testing.assert_allclose(divergence, rel_entr(m, t).sum(1), atol=1e-12)
    np.testing.assert_allclose(nll - divergence, ((y - m) * np.log(m / t)).sum(1), atol=1e-12)


def test_every_deviation_of_a_student_that_knows_the_truth_pays():
    """Its remaining errors are noise, which no deviation from the teacher can predict."""
    found = analysed(knowing, examples=LARGE)
    assert value(found, "brier_payoff") == pytest.approx(1, abs=0.05)
    assert value(found, "nll_payoff") == pytest.approx(1, abs=0.06)
    assert value(found, "nearer_to_others") > value(found, "nearer_to_others", "reference")


def test_every_deviation_from_a_calibrated_teacher_costs():
    """This holds for any scaling by the student: nothing can be gained."""
    loss = []

    def scaled(teacher, *_):
        t, m = softmax(teacher, 1), softmax(2 * teacher, 1)
        loss.append(rel_entr(t, m).sum(1).mean())
        return 2 * teacher

    found = analysed(scaled, calibrated=True, examples=LARGE)
    assert value(found, "brier_payoff") == pytest.approx(-1, abs=0.05)
    assert value(found, "nll_gain") == pytest.approx(-loss[0], abs=0.02)


def test_the_mean_of_a_teacher_and_a_second_seed_pays_as_much_as_it_deviates():
    def halfway(teacher, reference, *_):
        return np.log((softmax(teacher, 1) + softmax(reference, 1)) / 2)

    found = analysed(halfway, examples=LARGE)
    assert value(found, "brier_payoff") == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_a_student_that_copies_a_share_of_its_teacher_s_answers_inherits_that_share(share):
    found = analysed(mixed(share))
    for name, inherited in zip(COPIED, INHERITED, strict=True):
        assert value(found, name) == pytest.approx(share, abs=0.04), name
        assert value(found, inherited) == pytest.approx(share, abs=0.06), name
    # It deviates by as much as another seed elsewhere, for nothing.
    assert value(found, "brier_payoff") == pytest.approx(0, abs=0.06)
    excess = value(found, "agreement_kappa_excess") / share
    whole = value(analysed(lambda teacher, *_: teacher), "agreement_kappa_excess")
    assert excess == pytest.approx(whole, rel=0.2)


def test_a_copy_of_the_teacher_inherits_everything_and_deviates_by_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = analysed(lambda teacher, *_: teacher, examples=500)
    for name in (*INHERITED, *COPIED):
        assert value(found, name) == pytest.approx(1)
    assert value(found, "error_consistency") == pytest.approx(1)
    assert value(found, "ece_given_teacher") == value(found, "brier_gain") == 0
    assert np.isnan(value(found, "brier_payoff"))


def test_what_one_sees_of_calibration_depends_on_which_model_one_bins(null):
    """Of two equal models each seems less confident than the one whose confidence is binned."""
    assert value(null, "gap_given_teacher") < -0.05 and value(null, "gap_given_model") > 0.05
    both = value(null, "gap_given_teacher") + value(null, "gap_given_model")
    assert both == pytest.approx(0, abs=0.02)
    ece = [value(null, f"ece_given_{judge}") for judge in ("teacher", "model")]
    assert ece[0] == pytest.approx(ece[1], abs=0.02)


def test_error_consistency_of_independent_models_is_0_and_kappa_of_equal_ones_1():
    right = np.random.default_rng(2).random((2, 100_000)) < [[0.8], [0.6]]
    a, b = right.mean(1)
    assert kappa((right[0] == right[1]).mean(), a, b, 2) == pytest.approx(0, abs=0.01)
    assert kappa(np.array(1.0), a, a, 10) == 1


# --- one more seed -------------------------------------------------------------------------------


def test_another_seed_has_the_stated_null_of_every_statistic():
    """Of a reference and a student that are both another seed, in a large sample."""
    found = analysed(second_seed, examples=30_000)
    for one in NULLS:
        # Deciles and cells have few examples.
        wide = any(part in one.name for part in ("decile", "_right_"))
        for model in (name for name, of in found.items() if one.name in of):
            assert value(found, one.name, model) == pytest.approx(
                one.null, abs=0.12 if wide else 0.05
            ), one.name


STUDIES, FEW = 25, 250


@cache
def intervals(student):
    """Return {statistic: (low, high) of each simulated study of three seeds and few examples}."""
    ends = []
    for study in range(STUDIES):
        found = simulated(student, examples=FEW, seeds=3, resamples=40, seed=study, sd=0.03)
        names = [one.name for one in NULLS]
        rows = np.array([[of["student"][name] for name in names] for of in found])
        ends.append(crossed_interval(np.moveaxis(rows, 2, 1))[1:])
    low, high = np.moveaxis(ends, 1, 0)
    return dict(zip(names, zip(low.T, high.T, strict=True), strict=True))


def test_intervals_cover_the_null_as_often_as_promised():
    fewest = stats.binom.ppf(1e-3, STUDIES, 0.95)
    ends = intervals(second_seed)
    for one in NULLS:
        low, high = ends[one.name]
        known = np.isfinite(low)
        covered = ((low <= one.null) & (one.null <= high))[known].sum()
        assert covered >= fewest - (~known).sum(), one.name
        assert known.mean() > 0.8, one.name


def test_intervals_leave_the_null_where_a_student_copies_or_knows_the_truth():
    copies, knows = intervals(mixed(0.7)), intervals(knowing)
    for name in (*INHERITED, "agreement_kappa_excess", "error_consistency_excess"):
        assert (copies[name][0] > 0).mean() > 0.7, name
    for name in ("brier_gain", "brier_payoff", "nll_gain", "nll_payoff"):
        assert (knows[name][0] > 0).mean() > 0.7, name


# --- what is missing -----------------------------------------------------------------------------


def test_without_labels_only_mutual_statistics_have_values():
    rng = np.random.default_rng(3)
    teachers, students = rng.normal(size=(2, 2, 60, 3))
    logits = {"teacher": list(teachers), "student": list(students)}
    found = analyse(SplitLogits(logits, None, None), 4, 0).sel(model="student", subset="all")
    assert np.isfinite(found.value.sel(statistic=[one.name for one in MUTUAL])).all()
    labelled = [one.name for group in (PAYOFF, PAYOFF_PARTS, MISTAKES) for one in group]
    assert np.isnan(found.value.sel(statistic=labelled)).all()


def test_without_a_replicate_nothing_is_said_of_others_and_without_a_reference_of_headroom():
    rng = np.random.default_rng(4)
    signal = 2 * rng.normal(size=(400, 3))
    teacher, student, other = (signal + rng.normal(size=signal.shape) for _ in range(3))
    label = signal.argmax(1)
    one = analyse(SplitLogits({"teacher": [teacher], "student": [student]}, label, label), 0, 0)
    several = {"teacher": [teacher, other], "student": [student]}
    two = analyse(SplitLogits(several, label, label), 0, 0)
    of_others = [
        "nearer_to_others",
        *INHERITED,
        "error_consistency_excess",
        "brier_payoff_decile_3",
    ]
    of_pair = ["brier_payoff", "both_right_nll_payoff", "agreement_kappa", "ece_given_model"]
    for names, known in ((of_others, False), (of_pair, True)):
        values = one.value.sel(statistic=names, model="student", subset="all")
        assert (np.isfinite(values) == known).all()
    wrong = teacher.argmax(1) != label, other.argmax(1) != label
    a, b = wrong[0] & ~wrong[1], wrong[1] & ~wrong[0]
    said = student.argmax(1)
    expected = (said == teacher.argmax(1))[a].mean() - (said == other.argmax(1))[b].mean()
    found = two.value.sel(statistic="mistakes_inherited", model="student", subset="all")
    assert float(found[0]) == pytest.approx(expected)
