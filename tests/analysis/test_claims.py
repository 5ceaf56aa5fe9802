"""Claims on bias, noise and switching: the rules of verdicts, by hand; contrasts of settings."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from disobey.analysis import curves, setting
from disobey.analysis.bias import Bias
from disobey.analysis.claims import bias, confidence, switching
from disobey.analysis.claims.claim import Claim, Number, contrast, decide
from disobey.analysis.claims.registry import CLAIMS, findings, settings_of_claims, summaries
from disobey.analysis.curves import Curves
from disobey.analysis.names import PROBABILITY, SHARE
from disobey.analysis.setting import SplitLogits, analyse
from disobey.analysis.statistics import STATISTICS
from disobey.analysis.store import Analysis

pytestmark = pytest.mark.slow

# --- sides -----------------------------------------------------------------------------------


def claim(side, null=0.0):
    return Claim("c", "", "ours", "", "accuracy", "student", null, side)


@pytest.mark.parametrize(
    ("side", "above", "below"),
    [
        ("above", "holds", "contrary"),
        ("below", "contrary", "holds"),
        ("clear of", "holds", "holds"),
    ],
)
def test_a_verdict_is_the_side_on_which_the_interval_lies(side, above, below):
    values = np.array([0.9, 1.0, 1.1])
    t = 1 / (0.1 / np.sqrt(3))
    tail = stats.t.sf(t, 2)
    expected = {"above": tail, "below": 1 - tail, "clear of": 2 * tail}[side]
    found, p = decide(claim(side), Number.of(values))
    assert found == above and p == pytest.approx(expected, rel=1e-4)
    mirrored, p = decide(claim(side), Number.of(-values))
    expected = {"above": 1 - tail, "below": tail, "clear of": 2 * tail}[side]
    assert mirrored == below and p == pytest.approx(expected, rel=1e-4)
    assert decide(claim(side), Number.of(values - 1))[0] == "undecided"
    found, p = decide(claim(side), Number.of(values[:1]))
    assert found == "undecided" and np.isnan(p)


def test_names_of_claims_are_unique_and_each_says_where_it_comes_from():
    names = [(one.name, one.split, one.reading) for one in CLAIMS]
    assert len(set(names)) == len(names)
    # A claim has one text, whatever the split and the reading.
    assert len({one.text for one in CLAIMS}) == len({one.name for one in CLAIMS})


@pytest.mark.parametrize(
    ("name", "plotted", "conditioned", "null", "side"),
    [
        ("low_confidence_underfitting", "plot_gap_bottom_decile", "gap_decile_1", 0, "below"),
        ("high_confidence_overfitting", "plot_gap_top_decile", "gap_decile_10", 0, "above"),
        ("exaggeration", "plot_slope", "exaggeration", 1, "above"),
    ],
)
def test_claims_on_confidence_are_read_in_three_ways_on_both_splits(
    name, plotted, conditioned, null, side
):
    ways = [
        ("paper", plotted, "student", null),
        ("second seed", plotted, "student - reference", 0),
        ("replicate", conditioned, "student", null),
    ]
    of_name = [one for one in CLAIMS if one.name == name]
    assert [(c.split, c.reading, c.statistic, c.model, c.null) for c in of_name] == [
        (split, *way) for split in ("train", "test") for way in ways
    ]
    assert {(c.side, c.subset, c.control) for c in of_name} == {(side, "all", "reference")}
    assert {one.source for one in CLAIMS} == {"paper", "ours"}
    assert {one.side for one in CLAIMS} == {"above", "below", "clear of"}


# --- bias ------------------------------------------------------------------------------------

SURE, UNSURE = np.array([-0.01, 0.0, 0.01]), np.array([-5.0, 0.0, 5.0])


def made_bias(student, placebos, trend=SURE, theorem=(-0.6, 0.3), layers=("hidden_1",)):
    """Overall log ratios per seed of the student and of each placebo."""
    models = {"student": np.array(student)} | {k: np.array(v) for k, v in placebos.items()}
    overall = np.array(list(models.values()), float)
    dataset = xr.Dataset(
        {
            "overall": (("compared", "seed"), overall),
            "overall_estimate": ("compared", overall.mean(1)),
            "trend": (("compared", "seed"), np.array([trend] * len(models))),
            "trend_estimate": ("compared", [np.mean(trend)] * len(models)),
            "theorem_overall": theorem[0],
            "theorem_trend": theorem[1],
            "band_overall_estimate": (("compared", "band"), np.tile(overall.mean(1), (2, 1)).T),
        },
        coords={
            "compared": list(models), "seed": list(range(overall.shape[1])),
            "band": ["2 to 9", "beyond 60"],
        },
    )  # fmt: skip
    if placebos:
        dataset = dataset.assign_coords(placebo=list(placebos))
        paired = overall[0] - overall[1:]
        dataset["overall_difference"] = (("placebo", "seed"), paired)
        # In the first band the student is as far on the other side; in the last nothing is tracked.
        bands = np.stack([-paired, np.full_like(paired, np.nan)], axis=-1)
        dataset["band_difference"] = (("placebo", "seed", "band"), bands)
    about = {"dataset": "made"}
    return Analysis("made", about, {}, Bias("made", about, dict.fromkeys(layers, dataset)))


def found_of(which, analysis, band=""):
    return [f for f in bias.findings(which, {"made": analysis}) if f.band == band]


def made_pairs(counts, drawn=12.0):
    """A bias with the expected count of pairs per seed, by model; placebos are what is left."""
    counts = {name: np.asarray(of, float) for name, of in counts.items()}
    placebos = [name for name in counts if name not in ("student", "reference")]
    models = ["teacher", *counts]
    expected = np.array([np.full_like(counts["student"], np.nan), *counts.values()])
    dataset = xr.Dataset(
        {
            "pairs_expected": (("model", "seed"), expected),
            "pairs_drawn_estimate": ("model", np.full(len(models), drawn)),
        },
        coords={"model": models, "seed": range(expected.shape[1])}
        | ({"placebo": placebos} if placebos else {}),
    )
    about = {"dataset": "made"}
    return Analysis("made", about, {}, Bias("made", about, {"hidden_1": dataset}))


@pytest.mark.parametrize(
    ("placebos", "verdict"),
    [
        ({"batch_order": 0 + SURE, "half_lr": SURE - 0.1}, "holds"),
        ({"batch_order": 0 + SURE, "half_lr": SURE - 0.9}, "undecided"),  # against one only
        ({"batch_order": 0 + SURE, "half_lr": UNSURE}, "undecided"),
        ({"batch_order": SURE - 0.8, "half_lr": SURE - 0.9}, "contrary"),
        ({"batch_order": SURE - 0.8, "half_lr": UNSURE}, "undecided"),
    ],
)
def test_bias_is_exaggerated_if_it_is_against_each_placebo(placebos, verdict):
    over_all, *each = found_of(bias.EXAGGERATED, made_bias(-0.5 + SURE[::-1], placebos))
    assert over_all.verdict == verdict
    assert (over_all.placebo, over_all.counted) == ("all", True)
    assert [(f.placebo, f.counted) for f in each] == [(name, False) for name in placebos]
    for finding, values in zip(each, placebos.values(), strict=True):
        paired = -0.5 + SURE[::-1] - values
        low, high = stats.t.interval(0.95, 2, paired.mean(), stats.sem(paired))
        numbers = finding.number.estimate, finding.number.low, finding.number.high
        assert numbers == pytest.approx((paired.mean(), low, high))
        assert finding.p == pytest.approx(
            stats.t.cdf(paired.mean() / stats.sem(paired), 2), rel=1e-3
        )
        assert finding.control == pytest.approx(values.mean())
    # What is printed for all has the verdict's side.
    number = over_all.number
    assert number.low == min(f.number.low for f in each)
    assert number.high == max(f.number.high for f in each)
    sides = {"holds": number.high < 0, "contrary": number.low > 0}
    assert sides.get(verdict, number.low <= 0 <= number.high)
    # So has p: two-sided 5 % exactly where there is a verdict.
    assert (2 * min(over_all.p, 1 - over_all.p) < 0.05) == (verdict != "undecided")


def test_bands_stand_beside_with_verdicts_of_their_own():
    analysis = made_bias(-0.5 + SURE[::-1], {"batch_order": SURE, "half_lr": SURE - 0.1})
    (band,) = found_of(bias.EXAGGERATED, analysis, "2 to 9")
    assert (band.verdict, band.placebo, band.counted) == ("contrary", "all", False)
    assert band.number.estimate == pytest.approx(0.45) and band.number.low > 0
    assert not found_of(bias.EXAGGERATED, analysis, "beyond 60")  # nothing was tracked there


# --- pairs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("student", "verdict"),
    [(13 + 9 * SURE, "holds"), (7 + UNSURE, "undecided"), (3 + SURE, "contrary")],
)
def test_the_papers_count_is_held_against_half_of_the_pairs(student, verdict):
    counts = {"student": student, "reference": 7 + SURE, "half_lr": 5 + SURE}
    (found,) = found_of(bias.PAIRS_AS_IN_THE_PAPER, made_pairs(counts))
    low, high = stats.t.interval(0.95, 2, student.mean(), stats.sem(student))
    numbers = found.number.estimate, found.number.low, found.number.high
    assert numbers == pytest.approx((student.mean(), max(low, 0), min(high, 15)))
    assert (found.verdict, found.counted, found.claim.null) == (verdict, True, 7.5)
    assert found.control == pytest.approx(7) and found.control_name == "reference"
    assert "in the drawn ones 12.0" in found.remark


@pytest.mark.parametrize(
    ("placebo", "verdict"),
    [(7 + SURE, "holds"), (13 + SURE, "undecided"), (15 + SURE, "undecided")],
)
def test_the_count_must_exceed_that_of_the_reference_and_of_each_placebo(placebo, verdict):
    counts = {
        "student": 13 + SURE[::-1],
        "reference": 7 + SURE,
        "half_lr": 5 + SURE,
        "other": placebo,
    }
    over_all, *each = found_of(bias.PAIRS_AGAINST_CONTROLS, made_pairs(counts))
    assert (over_all.verdict, over_all.placebo, over_all.counted) == (verdict, "all", True)
    assert [f.placebo for f in each] == ["reference", "half_lr", "other"]
    paired = counts["student"] - placebo
    low, high = stats.t.interval(0.95, 2, paired.mean(), stats.sem(paired))
    numbers = each[-1].number.estimate, each[-1].number.low, each[-1].number.high
    assert numbers == pytest.approx((paired.mean(), low, high))
    assert over_all.number.low == pytest.approx(min(f.number.low for f in each))


def test_without_a_placebo_the_count_is_withheld():
    analysis = made_pairs({"student": 13 + SURE, "reference": 7 + SURE})
    (found,) = found_of(bias.PAIRS_AGAINST_CONTROLS, analysis)
    assert (found.verdict, found.counted) == ("withheld", True) and "add placebos" in found.remark
    (found,) = found_of(bias.PAIRS_AS_IN_THE_PAPER, analysis)
    assert found.verdict == "holds"


def test_a_bias_without_pairs_says_nothing_of_them():
    analysis = made_bias(-0.5 + SURE, {"half_lr": SURE})
    assert not found_of(bias.PAIRS_AS_IN_THE_PAPER, analysis)
    assert not found_of(bias.PAIRS_AGAINST_CONTROLS, analysis)


def test_what_rounds_to_zero_has_no_sign_in_a_remark():
    assert Number.of(np.array([-0.001])).words(0.0) == "0.00"
    assert Number.of(np.array([-0.001, -0.001])).words(0.5) == "0.00 [0.00, 0.00]"


def test_the_closest_placebo_is_named():
    placebos = {"batch_order": 0 + SURE, "half_lr": SURE - 0.4, "double_lr": 0.2 + SURE}
    over_all, *_ = found_of(bias.EXAGGERATED, made_bias(-0.5 + SURE, placebos))
    assert over_all.remark == (
        "holds against 3 of 3 placebos, whose intervals this one spans; closest is half_lr, "
        "-0.10 [-0.10, -0.10]"
    )


def test_one_seed_has_no_verdict_on_bias():
    found = found_of(bias.EXAGGERATED, made_bias([-0.5], {"batch_order": [0.0]}, [0.1]))
    assert [f.verdict for f in found] == ["undecided"] * 2
    assert all(np.isnan([f.p, f.number.low, f.number.high]).all() for f in found)
    assert found[0].number.estimate == -0.5


def test_without_a_placebo_the_verdict_is_withheld():
    (found,) = found_of(bias.EXAGGERATED, made_bias(-0.5 + SURE, {}))
    assert (found.verdict, found.counted) == ("withheld", True)
    assert np.isnan(found.p) and found.number.high < 0
    assert "names no placebos" in found.remark and "add placebos" in found.remark


def test_the_first_layer_is_counted_and_others_stand_beside_it():
    analysis = made_bias(-0.5 + SURE, {"half_lr": SURE}, layers=("hidden_2", "hidden_1"))
    for which in (bias.EXAGGERATED, bias.RISING):
        found = found_of(which, analysis)
        assert {f.layer for f in found} == {"hidden_2", "hidden_1"}
        assert [f.layer for f in found if f.counted] == ["hidden_2"]


@pytest.mark.parametrize(
    ("overall", "trend", "verdict", "remark"),
    [
        (
            -0.5, -0.3, "contrary",
            "sign agrees with the theorem: log ratio -0.50 [-0.52, -0.48], in linear regression "
            "-0.60; shape differs from the theorem: its change over the range -0.30 "
            "[-0.32, -0.28], in linear regression 0.30",
        ),
        (
            0.5, 0.3, "holds",
            "sign differs from the theorem: log ratio 0.50 [0.48, 0.52], in linear regression "
            "-0.60; shape agrees with the theorem: its change over the range 0.30 [0.28, 0.32], in "
            "linear regression 0.30",
        ),
        (
            0.0, 0.0, "undecided",
            "sign undecided: log ratio 0.00 [-0.02, 0.02], in linear regression -0.60; shape "
            "undecided: its change over the range 0.00 [-0.02, 0.02], in linear regression 0.30",
        ),
    ],
)  # fmt: skip
def test_the_remark_says_what_agrees_with_the_theorem(overall, trend, verdict, remark):
    (found,) = found_of(bias.RISING, made_bias(overall + SURE, {"half_lr": SURE}, trend + SURE))
    assert (found.verdict, found.remark) == (verdict, remark)


def test_bias_holds_by_chance_at_most_as_often_as_its_level_says():
    rng = np.random.default_rng(0)
    studies, held = 400, 0
    for _ in range(studies):
        student, one, other = rng.normal(size=(3, 3))
        analysis = made_bias(student, {"batch_order": one, "half_lr": other})
        held += found_of(bias.EXAGGERATED, analysis)[0].verdict == "holds"
    assert held <= stats.binom.ppf(0.999, studies, 0.025)


# --- contrasts of settings -------------------------------------------------------------------

EXAMPLES, CLASSES, RESAMPLES = 220, 4, 40
FITS = {"teacher_fits": "interpolating", "teacher_recipe": "long"}
MISSES = {"teacher_fits": "non_interpolating", "teacher_recipe": "short"}
SWITCH = {"switch": {"order": "one_hot_first", "at": 0.25}}


@pytest.fixture(scope="module")
def make():
    """Return a maker of settings over one data set; teachers fit all given labels or not."""
    patch = pytest.MonkeyPatch()
    patch.setattr(setting, "SUBSETS", ("all", "clean", "mislabelled"))
    rng = np.random.default_rng(3)
    signal = rng.normal(size=(EXAMPLES, CLASSES))
    clean = (signal + 0.3 * rng.normal(size=signal.shape)).argmax(1)
    given = np.where(np.arange(EXAMPLES) < 40, (clean + 1) % CLASSES, clean)

    def made(name, about, scale=1.0, fit=40.0, seeds=3, trust=0.0):
        # Of its own name, so that no test depends on those before it.
        own = np.random.default_rng(list(name.encode()))
        noise = own.normal(size=(3, seeds, EXAMPLES, CLASSES))
        logits = dict(zip(("teacher", "reference", "student"), signal + noise, strict=True))
        logits["student"] += (scale - 1) * signal
        test = SplitLogits({k: list(v) for k, v in logits.items()}, clean, clean)
        logits["teacher"] = logits["teacher"] + fit * np.eye(CLASSES)[given]
        logits["student"] = logits["student"] + trust * np.eye(CLASSES)[given]
        train = SplitLogits({k: list(v) for k, v in logits.items()}, given, clean)
        splits = {"train": analyse(train, 0, 0), "test": analyse(test, RESAMPLES, 0)}
        splits = {k: v.assign_coords(seed=range(seeds)) for k, v in splits.items()}
        return Analysis(name, {"dataset": "made"} | about, splits)

    yield made
    patch.undo()


def table(*analyses):
    return {analysis.setting: analysis for analysis in analyses}


def accuracy(analysis):
    return analysis.seeds("accuracy", "student")


def test_a_contrast_is_paired_by_seed_and_what_is_shared_by_settings_cancels(make):
    one, other = make("one", {}, 3.0), make("other", {}, 1.0)
    found = contrast([(1, one), (-1, other)], "accuracy", "student")
    paired = accuracy(one) - accuracy(other)
    draws = [a.splits["test"].resampled.sel(statistic="accuracy", model="student") for a in
             (one, other)]  # fmt: skip
    v = np.var(draws[0].values.astype(float) - draws[1].values, ddof=1)
    half = np.sqrt(stats.t.ppf(0.975, 2) ** 2 * paired.var(ddof=1) / 3 + 1.959964**2 * v)
    assert found.estimate == pytest.approx(paired.mean())
    assert found.high - found.estimate == pytest.approx(half, rel=1e-5)
    assert v < draws[0].var(ddof=1) + draws[1].var(ddof=1)
    nothing = contrast([(1, one), (-1, one)], "accuracy", "student")
    assert (nothing.low, nothing.estimate, nothing.high) == (0, 0, 0)


def test_settings_of_other_seeds_are_not_contrasted(make):
    one, other = make("one", {}), make("other", {}, seeds=2)
    with pytest.raises(ValueError, match="one, other: cannot be contrasted, their seeds or test"):
        contrast([(1, one), (-1, other)], "accuracy", "student")


def test_a_switched_student_is_held_against_the_unswitched_one_of_an_equal_setting(make):
    base, other = make("base", {"lr": 0.1}), make("other", {"lr": 0.2})
    switched = make("switched", {"lr": 0.1} | SWITCH, 3.0)
    (found,) = switching.findings(switching.SWITCHING, table(other, base, switched))
    assert (found.setting, found.control_name) == ("switched", "accuracy of base")
    assert found.number.estimate == pytest.approx(accuracy(switched).mean() - accuracy(base).mean())
    assert found.control == pytest.approx(accuracy(base).mean())
    assert found.verdict == "holds"
    assert found.remark == "one-hot first, switched at 0.25 of the learning rate"


def test_a_switch_without_a_setting_to_compare_with_has_no_verdict(make):
    switched = make("switched", {"lr": 0.1} | SWITCH)
    for others, remark in (
        ([make("other", {"lr": 0.2})], "no setting of the study is the same without the switch: "
                                       "add it"),
        ([make(name, {"lr": 0.1}) for name in ("a", "b")], "several settings are the same without "
                                                           "the switch (a, b): keep one of them"),
    ):  # fmt: skip
        (found,) = switching.findings(switching.SWITCHING, table(switched, *others))
        assert (found.verdict, found.remark) == ("withheld", remark)
        assert np.isnan([found.number.estimate, found.p]).all() and found.seeds == 3


def test_a_teacher_that_misses_its_definition_withholds_the_verdict(make):
    wrong = make("wrong", FITS | SWITCH, fit=0.0), make("base", FITS)
    (found,) = switching.findings(switching.SWITCHING, table(*wrong))
    fitted = wrong[0].seeds("accuracy", "teacher", "train")
    assert found.verdict == "withheld" and np.isfinite(found.number.high)
    assert found.remark == (
        "one-hot first, switched at 0.25 of the learning rate, interpolating teacher; the teacher "
        f"of wrong fits {100 * fitted.min():.5g} % of its given training labels in seed "
        f"{fitted.argmin()}, where interpolating means at least 99.5 %: train it longer, or write "
        "teacher_fits: non_interpolating"
    )
    said = switching.teacher_misses(make("tight", MISSES, fit=40.0))
    assert said == (
        "the teacher of tight fits 100 % of its given training labels in seed 0, where "
        "non_interpolating means less than 99.5 %: train it shorter, or write teacher_fits: "
        "interpolating"
    )
    assert switching.teacher_misses(make("loose", MISSES, fit=0.0)) == ""
    assert switching.teacher_misses(make("neither", {}, fit=0.0)) == ""


def test_what_switching_does_is_compared_between_teachers(make):
    settings = table(
        make("tight", FITS), make("tight-switch", FITS | SWITCH, 0.5),
        make("loose", MISSES, fit=0.0), make("loose-switch", MISSES | SWITCH, 3.0, fit=0.0),
    )  # fmt: skip
    (found,) = switching.findings(switching.SWITCHING_DEPENDS, settings)
    effects = {
        name: accuracy(settings[f"{name}-switch"]) - accuracy(settings[name])
        for name in ("loose", "tight")
    }
    assert (found.setting, found.control_name) == ("loose-switch", "tight-switch")
    assert found.number.estimate == pytest.approx((effects["loose"] - effects["tight"]).mean())
    assert found.control == pytest.approx(effects["tight"].mean())
    assert found.verdict == "holds"
    (gain,) = switching.findings(switching.GAIN_DEPENDS, settings)
    gains = [settings[n].seeds("accuracy", "student - reference") for n in ("loose", "tight")]
    assert (gain.setting, gain.control_name) == ("loose", "tight")
    assert gain.number.estimate == pytest.approx((gains[0] - gains[1]).mean())


def test_switching_is_not_compared_between_teachers_without_both_unswitched_settings(make):
    settings = table(
        make("tight-switch", FITS | SWITCH),
        make("loose", MISSES, fit=0.0), make("loose-switch", MISSES | SWITCH, fit=0.0),
    )  # fmt: skip
    assert list(switching.findings(switching.SWITCHING_DEPENDS, settings)) == []
    said = {f.setting: f.remark for f in switching.findings(switching.SWITCHING, settings)}
    assert "no setting of the study is the same without the switch" in said["tight-switch"]


def test_switches_of_other_order_or_point_are_not_compared_between_teachers(make):
    later = {"switch": SWITCH["switch"] | {"at": 0.75}}
    settings = table(
        make("tight", FITS), make("tight-switch", FITS | SWITCH),
        make("loose", MISSES, fit=0.0), make("loose-switch", MISSES | later, fit=0.0),
    )  # fmt: skip
    assert list(switching.findings(switching.SWITCHING_DEPENDS, settings)) == []


def test_a_teacher_of_the_same_architecture_is_preferred(make):
    settings = table(
        make("small", FITS | {"teacher": "small"}), make("big", FITS | {"teacher": "big"}),
        make("loose", MISSES | {"teacher": "big"}, fit=0.0),
        make("tiny", MISSES | {"teacher": "tiny"}, fit=0.0),
    )  # fmt: skip
    found = list(switching.findings(switching.GAIN_DEPENDS, settings))
    assert [(f.setting, f.control_name, f.counted) for f in found] == [
        ("loose", "big", True), ("tiny", "small", True), ("tiny", "big", False),
    ]  # fmt: skip


# --- accuracies along training -------------------------------------------------------------------


def made_curves(*placebos):
    """Return curves in which each model's test accuracy is its train accuracy minus a constant."""
    rng, step = np.random.default_rng(0), np.arange(1, 41)
    train = np.linspace(0.1, 0.95, len(step)) + 0.002 * rng.normal(size=(3, len(step)))
    below = {"reference": 0.09, "student": 0.05} | dict(placebos)
    return Curves("made", {}, curves.analyse(
        {name: curves.Recorded(step, train, train - b) for name, b in below.items()}, range(3)
    ).assign_attrs(test_examples=500))  # fmt: skip


def test_equal_accuracy_is_held_against_the_reference_and_each_placebo():
    made = made_curves(("half_lr", 0.07), ("double_lr", 0.04))
    every, *each = bias.findings(bias.BETTER, table(Analysis("made", {}, {}, curves=made)))
    assert {f.placebo: round(f.number.estimate, 9) for f in each} == {
        "reference": 0.04, "half_lr": 0.02, "double_lr": -0.01,
    }  # fmt: skip
    assert [f.verdict for f in each] == ["holds", "holds", "contrary"]
    assert (every.verdict, every.examples) == ("undecided", 500)
    assert every.number.estimate == pytest.approx(0.05 / 3)


def test_equal_accuracy_without_placebos_is_withheld_and_says_what_to_add():
    (found,) = bias.findings(bias.BETTER, table(Analysis("made", {}, {}, curves=made_curves())))
    assert found.number.estimate == pytest.approx(0.04)
    assert (found.verdict, found.placebo, found.counted) == ("withheld", "reference", True)
    assert np.isnan(found.p) and "add placebos to the setting's bias" in found.remark


# --- noise, and everything together ----------------------------------------------------------


def test_denoising_is_lower_confidence_in_given_labels_that_are_wrong(make):
    doubting = make("doubting", {"label_noise": 0.25}, trust=-2.0)
    trusting = make("trusting", {"label_noise": 0.25}, trust=2.0)
    clean = make("clean", {"label_noise": 0.0})
    found = list(confidence.findings(confidence.DENOISING, table(doubting, clean, trusting)))
    assert [(f.setting, f.verdict) for f in found] == [
        ("doubting", "holds"), ("trusting", "contrary"),
    ]  # fmt: skip
    assert found[0].examples == 40 and found[0].control_name == "clean points"
    where = {"split": "train", "statistic": "given_label_confidence"}
    per_seed = doubting.seeds(model="student - reference", subset="mislabelled", **where)
    expected = stats.t.interval(0.95, 2, per_seed.mean(), stats.sem(per_seed))
    assert (found[0].number.low, found[0].number.high) == pytest.approx(expected)
    control = doubting.number(model="student - reference", subset="clean", **where)[0]
    assert found[0].control == pytest.approx(control)


def test_analyses_of_earlier_epochs_are_not_settings(make):
    final, early = make("final", {}), make("final@5", {"epoch": 5})
    found = findings(table(final, early))
    assert {f.setting for f in found} == {"final"}
    assert {s.claim.name for s in summaries(found)} == {f.claim.name for f in found}


def test_a_teacher_no_better_than_a_constant_gives_no_verdict(make):
    good, poor = make("good", {}), make("poor", {})
    test = poor.splits["test"]
    where = {"statistic": "clean_accuracy", "model": "teacher", "subset": "all"}
    right = poor.seeds("clean_accuracy", "teacher")
    assert float(test.most_frequent_class) < right.min()
    found = [f for f in findings(table(good, poor)) if f.claim.name != "denoising"]
    assert all(f.verdict != "withheld" and f.remark == "" for f in found)
    test.value.loc[{**where, "seed": 1}] = test.most_frequent_class
    found = findings(table(good, poor))
    assert {f.verdict == "withheld" for f in found if f.setting == "poor"} == {True}
    assert {f.verdict == "withheld" for f in found if f.setting == "good"} == {False}
    of_poor = next(f for f in found if f.setting == "poor")
    share = f"{100 * float(test.most_frequent_class):.4g}\N{NO-BREAK SPACE}%"
    assert of_poor.remark == (
        f"the teacher of seed 1 is right on {share} of the test examples, the most frequent class "
        f"alone on {share}: train the teacher longer or by another recipe"
    )
    # There is a number all the same, and no test of it.
    assert np.isfinite(of_poor.number.estimate) and np.isnan(of_poor.p)
    test.value.loc[{**where, "seed": 1}] = test.most_frequent_class + 1e-6
    assert all(f.verdict != "withheld" for f in findings(table(poor)))


def test_the_most_frequent_class_is_that_of_the_labels_before_noise(make):
    analysis = make("made", {})
    clean = analysis.splits["train"]
    assert float(clean.most_frequent_class) == float(analysis.splits["test"].most_frequent_class)
    assert setting.most_frequent_class(np.array([0, 2, 2, 1])) == 0.5
    assert np.isnan(setting.most_frequent_class(None))


def test_few_test_examples_give_no_verdict(make):
    few = make("few", {})
    for number, withheld in ((200, False), (199, True)):
        few.splits["test"]["examples"][:] = number
        found = findings(table(few))
        assert {f.verdict == "withheld" for f in found} == {withheld}
    assert found[0].remark == "test has 199 examples, fewer than 200: give it more for a verdict"


def test_a_comparison_of_training_examples_alone_has_verdicts(make):
    alone = make("alone", {})
    del alone.splits["test"]
    found = findings(table(alone))
    assert {f.claim.split for f in found} == {"train"}
    assert all(f.verdict != "withheld" and f.remark == "" for f in found)


def test_a_contrast_with_a_degenerate_setting_has_no_verdict(make):
    tight, loose = make("tight", FITS), make("loose", MISSES, fit=0.0)
    (found,) = switching.findings(switching.GAIN_DEPENDS, table(tight, loose))
    assert found.verdict != "withheld"
    tight.splits["test"]["most_frequent_class"] = 1.0
    (found,) = switching.findings(switching.GAIN_DEPENDS, table(tight, loose))
    assert found.verdict == "withheld" and found.remark.startswith("tight: the teacher of seed ")


def test_two_seeds_are_warned_of(make):
    quantile = stats.t.ppf(0.975, 1)
    for seeds, remark in (
        (2, f"two seeds: an interval is {quantile:.1f} standard errors wide to either side; take "
            "five"),
        (3, ""),
    ):  # fmt: skip
        assert {f.remark for f in findings(table(make("pair", {}, seeds=seeds)))} == {remark}


def test_intervals_of_shares_stay_within_what_a_share_can_be(make):
    analysis = make("made", {}, seeds=2, trust=40.0)
    data = analysis.splits["train"].sel(subset="all")
    for model, least in (("student", 0), ("student - reference", -1)):
        here = data.sel(model=model, statistic="accuracy")
        values = here.value.values
        half = stats.t.ppf(0.975, 1) * values.std(ddof=1) / np.sqrt(2)
        assert float(here.low) == pytest.approx(max(values.mean() - half, least), abs=1e-14)
        assert float(here.high) == pytest.approx(min(values.mean() + half, 1), abs=1e-14)
    shares = [one.name for one in STATISTICS.values() if one.unit in (SHARE, PROBABILITY)]
    shares = data.sel(statistic=shares, model=["teacher", "reference", "student"])
    assert not (shares.low < 0).any() and not (shares.high > 1).any()
    other = data.sel(statistic="plot_gap_bottom_decile", model="student")
    assert float(other.high - other.low) > 2  # logits are no shares
    unlike = table(make("one", {}, seeds=2), make("other", {}, seeds=2))
    for analysis, value in zip(unlike.values(), (0.99, 0.01), strict=True):
        cell = {"statistic": "accuracy", "model": "student", "subset": "all"}
        analysis.splits["test"].value.loc[cell] = [value, value - 0.5 + (value < 0.5)]
    found = contrast(list(zip((1, -1), unlike.values(), strict=True)), "accuracy", "student")
    assert (found.low, found.high) == (-1, 1)


@pytest.mark.parametrize(
    ("order", "at", "more", "alone", "beside"),
    [
        ("distillation_first", 0.0, {}, False, False),  # nothing is distilled
        ("one_hot_first", 1.0, {}, False, False),
        ("distillation_first", 1.0, {}, True, False),  # the setting without a switch, once more
        ("one_hot_first", 0.0, {}, True, False),
        ("one_hot_first", 0.5, {}, True, True),
        ("one_hot_first", 1.0, {"ramp": 0.5}, True, True),
    ],
)
def test_ends_of_a_sweep_over_switch_points_are_not_settings(make, order, at, more, alone, beside):
    switched = make("switched", {"switch": {"order": order, "at": at} | more})
    assert ("switched" in settings_of_claims(table(switched))) == alone
    assert ("switched" in settings_of_claims(table(switched, make("base", {})))) == beside
