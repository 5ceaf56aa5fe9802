"""Claims that compare the student with controls: its bias, gradients and test accuracy.

The controls are placebos and other models that were trained on labels. Test accuracies are compared
where the models fit their training labels equally well.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from disobey.analysis.bias import (
    BAND_DIFFERENCE,
    BAND_OVERALL,
    OVERALL,
    OVERALL_DIFFERENCE,
    PAIRS_DRAWN,
    PAIRS_EXPECTED,
    TREND,
    Bias,
)
from disobey.analysis.claims.claim import (
    ABOVE,
    BELOW,
    NAN,
    WITHHELD,
    Claim,
    Finding,
    Number,
    against_all,
    distilled_throughout,
)
from disobey.analysis.curves import EQUAL_ACCURACY, EQUAL_ACCURACY_DIFFERENCE, Curves
from disobey.analysis.gradients import (
    MEAN_COSINE,
    MEAN_COSINE_DIFFERENCE,
    ONE_HOT,
    RIGHT_FIRST_GRADIENTS,
    RIGHT_SIGNS,
    Gradients,
)
from disobey.analysis.intervals import HOLDS, UNDECIDED, names_along, verdict
from disobey.analysis.names import PAIRS, PAPER, REFERENCE, SECOND_SEED, STUDENT, TEACHER
from disobey.analysis.store import Analysis

# The log ratio without a deviation, and its change.
NO_CHANGE = 0.0

EXAGGERATED = Claim(
    "bias",
    "Distillation exaggerates the implicit bias towards the top eigendirections: at equal leading "
    "progress the student has made less along the others than one-hot placebos",
    "paper",
    "shown as trajectories, by eye and without placebos (first version)",
    OVERALL_DIFFERENCE, f"{STUDENT} - placebo", 0.0, BELOW, split="",
)  # fmt: skip
RISING = Claim(
    "bias_trend",
    "The ratio of student to reference rises with progress, as in linear regression",
    "ours",
    "its theorem says that the ratio is below 1 there; that it rises is derived here",
    TREND, STUDENT, 0.0, ABOVE, split="",
)  # fmt: skip
# The paper counts by eye, and only against the teacher, without a second teacher seed as control.
PAIRS_AS_IN_THE_PAPER = Claim(
    "pairs",
    "At equal progress along a top eigendirection the student has made less along a bottom one "
    "than its teacher, in more pairs than a second seed would",
    "paper",
    "seen in 15 of 15 pairs (random features) and in 13 of 15 (a perceptron), by eye, one seed "
    "(first version)",
    PAIRS_EXPECTED, STUDENT, PAIRS / 2, ABOVE, split="", reading=PAPER, control=REFERENCE,
)  # fmt: skip
PAIRS_AGAINST_CONTROLS = replace(
    PAIRS_AS_IN_THE_PAPER,
    model=f"{STUDENT} - placebo",
    null=0.0,
    reading=SECOND_SEED,
    control=None,
)
SIGNS = Claim(
    "gradient_signs",
    "Where classes are similar, more gradients point to the true directions under the teacher's "
    "targets than under one-hot labels",
    "paper",
    "97.77 % against 73.22 % of all pairs of a training example and a class; one run",
    f"{RIGHT_SIGNS}_difference", f"target of {TEACHER} - {ONE_HOT}", 0.0, ABOVE, split="train",
)  # fmt: skip
DIRECTIONS = Claim(
    "class_directions",
    "The student's weights are nearer to the true directions of the classes than those of models "
    "without its softened teacher",
    "paper",
    "of every class, against the teacher, and a student about 0.7 points better on test; one run, "
    "no controls",
    MEAN_COSINE_DIFFERENCE, f"{STUDENT} - control", 0.0, ABOVE, split="",
)  # fmt: skip
BETTER = Claim(
    "equal_accuracy",
    "Where it fits its training labels as well as models that were trained on labels, the student "
    "is more accurate on test",
    "paper",
    "seen in curves of the second of its two small experiments, not of the first; no number, "
    "no control",
    EQUAL_ACCURACY_DIFFERENCE, f"{STUDENT} - control", 0.0, ABOVE,
)  # fmt: skip
NO_PLACEBOS = (
    "compared with the reference, since {} no placebos: another training run may differ as much; "
    "add placebos to the setting's bias"
)
NO_CONTROLS = (
    "compared with the reference alone: another training run may differ as much; add "
    "controls: [double_length, student_at_1] to the setting"
)
TOO_FEW = "both reach too few levels of train accuracy in some seed"
ANY = (-math.inf, math.inf)
SHARES = (-1.0, 1.0)  # differences of two shares
# By control: the student's value minus the control's, (seed,), and the control's value.
Controls = Mapping[str, tuple[np.ndarray, float]]


def _controls(
    data: xr.Dataset, difference: str, own: str, along: str = "placebo", models: str = "compared"
) -> Controls:
    """Return all controls ``along`` a dimension; their own values are along ``models``."""
    return {
        one: (data[difference].sel({along: one}).values, float(data[own].sel({models: one})))
        for one in names_along(data, along)
    }


def _against(
    claim: Claim,
    setting: str,
    controls: Controls,
    called: str,
    within: tuple[float, float] = ANY,
    **about: Any,
) -> list[Finding]:
    """Return a finding against each control, with ``counted`` False.

    ``called`` is the name of the controls' own values, empty if there are none.
    """
    return [
        Finding.of(
            claim, setting, Number.of(difference, within=within), counted=False, placebo=control,
            control_name=f"{called} of {control}" if called else "", control=own, **about,
        )
        for control, (difference, own) in controls.items()
    ]  # fmt: skip


# --- the bias against placebos ----------------------------------------------------------------


def _against_placebos(claim: Claim, bias: Bias, layer: str) -> Iterator[Finding]:
    """Yield the finding over all placebos, which has the verdict; then each, then by band."""
    dataset, what = bias.layers[layer], (claim, bias, layer, "log ratio")
    controls = _controls(dataset, OVERALL_DIFFERENCE, f"{OVERALL}_estimate")
    alone = dataset[OVERALL].sel(compared=STUDENT).values
    yield from _compared(*what, controls, alone)
    for band in map(str, dataset.band.values):
        controls = _controls(dataset.sel(band=band), BAND_DIFFERENCE, f"{BAND_OVERALL}_estimate")
        tracked = not any(np.isnan(difference).any() for difference, _ in controls.values())
        if controls and tracked:
            over_all, *_ = _compared(*what, controls, alone)
            yield replace(over_all, band=band, counted=False)


def _compared(
    claim: Claim,
    bias: Bias,
    layer: str,
    called: str,
    controls: Controls,
    alone: np.ndarray,
    within: tuple[float, float] = ANY,
) -> Iterator[Finding]:
    """Yield the finding against all controls, then those against each; see `_against`.

    Without placebos, only yield a finding on the values ``alone``, (seed,), without a verdict.
    """
    counted = layer == bias.first
    if not bias.placebos(layer):
        yield Finding.of(
            claim, bias.setting, Number.of(alone), withheld=True, layer=layer, counted=counted,
            remark=NO_PLACEBOS.format("the study names"),
        )  # fmt: skip
        return
    each = _against(claim, bias.setting, controls, called, within, layer=layer)
    yield against_all(each, f"mean {called} of placebos", counted=counted)
    yield from each


def _pairs(claim: Claim, bias: Bias, layer: str) -> Iterator[Finding]:
    """Yield the finding on the student's count of pairs, without controls, as in the paper."""
    dataset = bias.layers[layer]
    if PAIRS_EXPECTED not in dataset:
        return
    expected = dataset[PAIRS_EXPECTED]
    number = Number.of(expected.sel(model=STUDENT).values, within=(0, PAIRS))
    drawn = float(dataset[f"{PAIRS_DRAWN}_estimate"].sel(model=STUDENT))
    yield Finding.of(
        claim, bias.setting, number, layer=layer, counted=layer == bias.first,
        control_name=REFERENCE, control=float(expected.sel(model=REFERENCE).mean()),
        remark=f"of {PAIRS} pairs, the mean over all draws; in the drawn ones {drawn:.1f}",
    )  # fmt: skip


def _pairs_against_controls(claim: Claim, bias: Bias, layer: str) -> Iterator[Finding]:
    """Yield the findings on the student's count of pairs minus that of reference and placebos."""
    dataset = bias.layers[layer]
    if PAIRS_EXPECTED not in dataset:
        return
    expected = dataset[PAIRS_EXPECTED]
    student = expected.sel(model=STUDENT).values
    counts = {one: expected.sel(model=one).values for one in (REFERENCE, *bias.placebos(layer))}
    controls = {one: (student - count, float(count.mean())) for one, count in counts.items()}
    alone, _ = controls[REFERENCE]
    yield from _compared(claim, bias, layer, "pairs", controls, alone, (-PAIRS, PAIRS))


# --- the bias against the theorem -------------------------------------------------------------


def _trend(claim: Claim, bias: Bias, layer: str) -> Iterator[Finding]:
    dataset = bias.layers[layer]
    student = dataset.sel(compared=STUDENT)
    number = Number.of(student[TREND].values)
    placebos, control = bias.placebos(layer), NAN
    if placebos:
        control = float(dataset[f"{TREND}_estimate"].sel(compared=list(placebos)).mean())
    yield Finding.of(
        claim, bias.setting, number, layer=layer, counted=layer == bias.first,
        control_name="mean of placebos" if placebos else "", control=control,
        remark=against_theorem(Number.of(student[OVERALL].values), number, dataset),
    )  # fmt: skip


def against_theorem(overall: Number, trend: Number, dataset: xr.Dataset) -> str:
    """Compare sign and shape of the ratio with those in linear regression, in words and numbers."""
    parts = (
        ("sign", "log ratio", overall, float(dataset.theorem_overall)),
        ("shape", "its change over the range", trend, float(dataset.theorem_trend)),
    )
    words = [
        f"{what} {_agreement(number, theorem)}: {name} {number.words(NO_CHANGE)}, "
        f"in linear regression {theorem:z.2f}"
        for what, name, number, theorem in parts
    ]
    return "; ".join(words)


def _agreement(number: Number, theorem: float) -> str:
    side = verdict(number.low, number.high, NO_CHANGE)
    if side == UNDECIDED:
        return "undecided"
    same = (side == HOLDS) == (theorem > 0)
    return "agrees with the theorem" if same else "differs from the theorem"


# --- gradients --------------------------------------------------------------------------------


def _signs(claim: Claim, gradients: Gradients) -> Iterator[Finding]:
    number = Number.of(gradients.data[claim.statistic].values, within=SHARES)
    first = Number.of(gradients.data[f"{RIGHT_FIRST_GRADIENTS}_difference"].values)
    yield Finding.of(
        claim, gradients.setting, number, control_name=f"share under {ONE_HOT} labels",
        control=gradients.number(RIGHT_SIGNS, target=ONE_HOT)[0],
        remark=f"of the first gradients {first.words(claim.null)}",
    )  # fmt: skip


def _directions(claim: Claim, gradients: Gradients) -> Iterator[Finding]:
    """Yield the finding against all controls, which has the verdict, then those against each."""
    own = f"{MEAN_COSINE}_estimate"
    controls = _controls(gradients.data, claim.statistic, own, "control", "model")
    each = _against(claim, gradients.setting, controls, MEAN_COSINE)
    if len(each) == 1:
        only = each[0].number
        yield Finding.of(claim, gradients.setting, only, withheld=True, remark=NO_CONTROLS)
        return
    yield against_all(each, f"mean of {MEAN_COSINE} of controls")
    yield from each


# --- accuracies along training ----------------------------------------------------------------


def _equal_accuracy(claim: Claim, curves: Curves) -> Iterator[Finding]:
    """Yield the finding against reference and placebos, which counts, then those against each."""
    to_reference = curves.data[EQUAL_ACCURACY].sel(compared=STUDENT).values
    placebos = _controls(curves.data, claim.statistic, f"{EQUAL_ACCURACY}_estimate")
    each = [
        *_against(claim, curves.setting, {REFERENCE: (to_reference, NAN)}, "", SHARES),
        *_against(claim, curves.setting, placebos, EQUAL_ACCURACY, SHARES),
    ]
    each = [replace(one, examples=curves.test_examples) for one in each]
    few: dict[str, Any] = {"verdict": WITHHELD, "remark": TOO_FEW}
    each = [one if math.isfinite(one.number.estimate) else replace(one, **few) for one in each]
    if placebos:
        yield against_all(each, f"mean {EQUAL_ACCURACY} of placebos")
        yield from each
    else:
        remark = NO_PLACEBOS.format("the setting has")
        yield replace(each[0], verdict=WITHHELD, p=NAN, counted=True, remark=remark)


# The analysis that each claim reads, and the function that evaluates the claim.
FIND: dict[Claim, tuple[str, Callable[..., Iterator[Finding]]]] = {
    EXAGGERATED: ("bias", _against_placebos),
    RISING: ("bias", _trend),
    PAIRS_AS_IN_THE_PAPER: ("bias", _pairs),
    PAIRS_AGAINST_CONTROLS: ("bias", _pairs_against_controls),
    BETTER: ("curves", _equal_accuracy),
    SIGNS: ("gradients", _signs),
    DIRECTIONS: ("gradients", _directions),
}
CLAIMS = tuple(FIND)


def findings(claim: Claim, analyses: Mapping[str, Analysis]) -> Iterator[Finding]:
    """Evaluate one claim in every setting that has the analysis it reads.

    A claim on the bias is evaluated in every layer. Only the first layer of a setting is counted;
    other layers and bands of ranks are not.
    """
    stage, find = FIND[claim]
    if stage == "bias":
        for bias in (one.bias for one in analyses.values() if one.bias is not None):
            for layer in bias.layers:
                yield from find(claim, bias, layer)
        return
    for analysis in distilled_throughout(analyses):
        found: Any = getattr(analysis, stage)
        if found is not None:
            yield from find(claim, found)
