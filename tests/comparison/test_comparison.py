"""A comparison finds simulated effects, states its limits, and equals a study's analysis."""

import math
import re

import numpy as np
import pytest
from simulated_models import EXAMPLES, scaled_seeds, softmax, two_classes

from disobey import compare, exaggeration
from disobey.analysis.confidence import confidence_logit
from disobey.analysis.names import EXAGGERATION, GAPS, INHERITANCE, SIGNAL_SCALE, STUDENT
from disobey.analysis.resampling import Resamples
from disobey.analysis.setting import SplitLogits, analyse
from disobey.analysis.statistics import PRIMARY
from disobey.comparison.result import BY_EXAMPLES, BY_PAIRS

REFERENCE = "reference"


def held(found, split="test", reading="replicate"):
    """Return the claims of one reading, and the claims without a reading."""
    return {one.claim.name: one for one in found.held(split) if one.claim.reading in (reading, "")}


# --- known truth -----------------------------------------------------------------------------


def test_another_seed_has_a_of_1_although_the_paper_s_plot_says_otherwise():
    teacher, student, replicate = two_classes(1, 1, 1)
    found = compare(teacher, student, replicates=[replicate], resamples=0)
    assert found.value(EXAGGERATION) == pytest.approx(1, abs=0.02)
    assert found.value(GAPS[0]) == pytest.approx(0, abs=0.12)
    assert found.value("plot_slope") < 0.97


def test_a_student_that_scales_the_shared_signal_has_that_scale():
    teacher, student, *replicates = two_classes(1, 1.2, 1, 1)
    found = exaggeration(teacher, student, replicates)
    assert found.a == pytest.approx(1.2, abs=0.03)
    assert found.gaps[-1] > 0.5
    assert found.replicates == 2
    assert f"A = {found.a:.2f}" in repr(found)


def test_a_student_that_copies_its_teacher_s_noise_inherits_without_exaggerating():
    teacher, replicate, fresh = scaled_seeds(1, 1, 0, examples=4000)
    shared = (teacher + replicate) / 2
    deviation = teacher - shared
    student = shared + 0.5 * deviation + 0.1 * fresh
    found = compare(teacher, student, replicates=[replicate], resamples=0)
    # t - r = 2 d, which s follows half way: <s, t - r> / <t, t - r>, with r made as long as t
    t, r, s = (
        (z - z.mean(1, keepdims=True)) - (z - z.mean(1, keepdims=True)).mean(0)
        for z in (teacher, replicate, student)
    )
    own = t - r * np.linalg.norm(t) / np.linalg.norm(r)
    expected = np.vdot(s, own) / np.vdot(t, own)
    assert found.value(INHERITANCE) == pytest.approx(expected, rel=1e-9)
    assert found.value(SIGNAL_SCALE) == pytest.approx(np.vdot(s, r) / np.vdot(t, r), rel=1e-9)


# --- the same as a study ---------------------------------------------------------------------


def pairs_with_labels():
    models = scaled_seeds(*[1] * 6, 1.1, 1.2, 1.3)
    clean = scaled_seeds(1)[0].argmax(1)
    label = clean.copy()
    label[:40] = (label[:40] + 1) % 4
    return models[:3], models[3:6], models[6:], label, clean


def test_pairs_are_analysed_as_the_seeds_of_a_study():
    teachers, references, students, label, clean = pairs_with_labels()
    logits = {"teacher": teachers, REFERENCE: references, STUDENT: students}
    study = analyse(SplitLogits(logits, label, clean), 1000, 0)
    first, *others = zip(teachers, students, references, strict=True)
    found = compare(
        first[0],
        first[1],
        reference=first[2],
        pairs=others,
        labels={"label": label, "clean_label": clean},
    )
    mine = found.analysis.splits["test"]
    for name in ("value", "estimate", "low", "high", "example_variance", "examples", "density",
                 "density_outside", "binned_teacher", "binned_model"):  # fmt: skip
        expected = study[name].transpose(*mine[name].dims).values
        np.testing.assert_allclose(mine[name].values, expected, rtol=1e-9, atol=1e-12, err_msg=name)


def test_several_pairs_have_verdicts_over_pairs():
    teachers, _, _, label, _ = pairs_with_labels()
    students = scaled_seeds(*[1] * 9, 1.3, 1.3, 1.3)[9:]
    first, *others = zip(teachers, students, strict=True)
    one = held(compare(*first, pairs=others, labels=label))["exaggeration"]
    assert (one.verdict, one.covers) == ("holds", BY_PAIRS)
    assert one.low > 1
    printed = f"{one.number.estimate:.2f} [{one.low:.2f}, {one.high:.2f}]"
    assert one.words == printed


def test_more_replicates_are_averaged_for_every_pair():
    teacher, student, *replicates = scaled_seeds(1, 1.2, 1, 1, 1)
    together = compare(teacher, student, replicates=replicates, resamples=0)
    each = [compare(teacher, student, replicates=[r], resamples=0) for r in replicates]
    for name in PRIMARY:
        mean = np.mean([one.value(name) for one in each])
        assert together.value(name) == pytest.approx(mean, rel=1e-9), name


# --- what one pair can say -------------------------------------------------------------------


def test_one_pair_has_an_interval_over_examples_and_no_verdict_however_clear_it_is():
    teacher, student, replicate = scaled_seeds(1, 1.5, 1)
    found = compare(teacher, student, replicates=[replicate], resamples=200, seed=3)
    one = held(found)["exaggeration"]
    chosen = replicate.argmax(1)
    m, t, r = (confidence_logit(z, chosen) for z in (student, teacher, replicate))
    drawn = next(Resamples(EXAMPLES, 200, 3).blocks(EXAMPLES))[1][1:].astype(int)
    resampled = [
        np.cov(m[rows], r[rows])[0, 1] / np.cov(t[rows], r[rows])[0, 1]
        for rows in (np.repeat(np.arange(EXAMPLES), counts) for counts in drawn)
    ]
    half = 1.959964 * np.std(resampled, ddof=1)
    assert one.low == pytest.approx(found.value(EXAGGERATION) - half, rel=1e-6)
    assert one.high == pytest.approx(found.value(EXAGGERATION) + half, rel=1e-6)
    assert one.low > 1
    assert (one.covers, one.verdict) == (BY_EXAMPLES, "")
    assert "no verdict: in this pair above 1" in repr(found)


def test_a_training_split_of_one_pair_has_no_interval():
    teacher, student, replicate = scaled_seeds(1, 1.5, 1)
    found = compare(teacher, student, replicates=[replicate], split="train")
    one = held(found, "train")["exaggeration"]
    assert math.isnan(one.low) and one.covers == "" and one.verdict == ""
    assert found.splits == ("train",)
    assert found.figure().axes


def test_without_a_replicate_only_the_plot_is_described():
    teacher, student = scaled_seeds(1, 1.2)
    found = compare(teacher, student, labels=teacher.argmax(1))
    for name in ("exaggeration", "low_confidence_underfitting", "inheritance"):
        assert held(found)[name].missing == ("a replicate",)
    assert all(math.isnan(found.value(name)) for name in PRIMARY)
    assert math.isfinite(found.value("plot_slope"))
    said = repr(found)
    assert "cannot be concluded: needs a replicate" in said
    assert "selects on the teacher's own noise" in said


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_paper_s_reading_needs_no_replicate_and_a_second_seed_a_reference(split):
    teacher, other, student, model, reference, control = two_classes(1, 1, 0.5, 0.5, 1, 1)
    alone = compare(teacher, student, split=split)
    bound = compare(
        teacher, student, reference=reference, pairs=[(other, model, control)], split=split
    )
    name = "exaggeration"
    assert held(alone, split, "paper")[name].missing == ()
    assert held(alone, split, "second seed")[name].missing == ("a reference",)
    paper, second, replicate = (
        held(bound, split, reading)[name] for reading in ("paper", "second seed", "replicate")
    )
    slopes = []
    for t, m in ((teacher, student), (other, model), (teacher, reference), (other, control)):
        x, y = (confidence_logit(z, t.argmax(1)) for z in (t, m))
        slopes.append(np.polyfit(x, y, 1)[0])
    assert paper.number.estimate == pytest.approx(np.mean(slopes[:2]), rel=1e-6)
    difference = np.mean(slopes[:2]) - np.mean(slopes[2:])
    assert second.number.estimate == pytest.approx(difference, rel=1e-6)
    assert replicate.number.estimate == pytest.approx(bound.value(EXAGGERATION), rel=1e-9)
    assert ("accuracy_gain" in held(bound, split)) == (split == "test")


def test_a_teacher_of_one_confidence_has_no_slope_and_it_says_why():
    student = scaled_seeds(1.2)[0]
    teacher = np.tile([2.0, 1.0, 0.0, -1.0], (len(student), 1))
    found = compare(teacher, student, resamples=20)
    paper = held(found, reading="paper")["exaggeration"]
    assert math.isnan(paper.number.estimate) and paper.missing == ()
    lines = [" ".join(line.split()) for line in repr(found).splitlines()]
    row = lines.index("exaggeration paper slope – none")
    assert lines[row + 1] == "not estimated: its denominator is zero, or it has no example"


def test_without_labels_and_reference_it_says_so():
    teacher, student, replicate = scaled_seeds(1, 1.2, 1)
    found = compare(teacher, student, replicates=[replicate])
    assert held(found)["accuracy_gain"].missing == ("a reference", "labels")
    assert held(found)["distillation_exaggerates"].missing == ("a reference",)
    assert "Without labels" in repr(found) and "Without a reference" in repr(found)
    assert not {"accuracy", "nll"} & set(found.frame().statistic)


def test_noise_in_training_labels_is_held_against_the_claim_on_denoising():
    teacher, student, reference, replicate = scaled_seeds(1, 1, 1, 1)
    clean = teacher.argmax(1)
    label = np.where(np.arange(EXAMPLES) < 60, (clean + 1) % 4, clean)
    labels = {"train_label": label, "train_clean_label": clean}
    found = compare(
        {"train": teacher},
        {"train": student},
        reference={"train": reference},
        replicates=[{"train": replicate}],
        labels=labels,
    )
    one = held(found, "train")["denoising"]
    given = [softmax(z)[np.arange(60), label[:60]].mean() for z in (student, reference)]
    assert one.number.estimate == pytest.approx(given[0] - given[1], rel=1e-9)


# --- numbers do not depend on how they came --------------------------------------------------


def test_probabilities_give_the_numbers_of_the_logits_they_came_from():
    models = scaled_seeds(1, 1.2, 1)
    label = models[0].argmax(1)
    from_logits, from_p = (
        compare(*given[:2], replicates=given[2:], labels=label, probabilities=p, resamples=20)
        for given, p in ((models, False), ([softmax(z) for z in models], True))
    )
    expected, found = from_logits.frame(), from_p.frame()
    assert found.statistic.tolist() == expected.statistic.tolist()
    for column in ("value", "low", "high"):
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-6, atol=1e-9)


def test_the_table_has_the_numbers_of_the_comparison():
    teachers, references, students, label, clean = pairs_with_labels()
    found = compare(
        teachers[0],
        students[0],
        reference=references[0],
        replicates=teachers[1:],
        labels={"label": label, "clean_label": clean},
        resamples=20,
    )
    frame = found.frame().set_index(["split", "subset", "model", "statistic"])
    row = frame.loc["test", "mislabelled", STUDENT, EXAGGERATION]
    assert row["value"] == found.value(EXAGGERATION, STUDENT, "test", "mislabelled")
    assert (row["n"], row["pairs"], row["interval"]) == (40, 1, BY_EXAMPLES)
    assert frame.value.notna().all()


def test_columns_of_the_printed_tables_stand_below_each_other():
    teacher, student, replicate = scaled_seeds(1, 1.5, 1)
    found = compare(teacher, student, replicates=[replicate], labels=teacher.argmax(1))
    lines = repr(found).splitlines()
    head = next(line for line in lines if line.startswith("  claim"))
    one = held(found)["exaggeration"]
    row = next(line for line in lines if re.match("  exaggeration +replicate ", line))
    assert row[head.index("estimate") :].startswith(f"{one.number.estimate:.2f} ")
    assert row[head.index("95 %") :].startswith(f"[{one.low:.2f}, {one.high:.2f}] examples only")
    assert max(map(len, lines)) <= 120
