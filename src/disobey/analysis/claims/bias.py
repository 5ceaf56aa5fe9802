"""Claims that compare the student with controls: its bias, gradients and test accuracy.

Bias and directions are compared with placebos and other models that were trained on labels,
accuracies where they fit their training labels equally well.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from disobey.analysis.intervals import HOLDS, UNDECIDED, verdict
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
# The paper counts by eye: against the teacher alone, whatever a second seed of it would show.
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


def _against(
    claim: Claim,
    setting: str,
    control: str,
    per_seed: np.ndarray,
    called: str,
    beside: float = NAN,
    within: tuple[float, float] = ANY,
    layer: str = "",
) -> Finding:
    """Return the finding against one control, which is not counted.

    ``per_seed`` is student minus control, (seed,), ``called`` the name of ``beside``, the control's
    own number.
    """
    name = f"{called} of {control}" if called else ""
    about: dict[str, Any] = {
        "control_name": name,
        "control": beside,
        "layer": layer,
        "placebo": control,
    }
    return Finding.of(claim, setting, Number.of(per_seed, within=within), counted=False, **about)


# --- the bias against placebos ----------------------------------------------------------------


def _against_placebos(claim: Claim, bias: Bias, layer: str) -> Iterator[Finding]:
    """Yield the finding over all placebos, which is the verdict; then each, then by band."""
    dataset, placebos = bias.layers[layer], bias.placebos(layer)
    differences = [dataset[OVERALL_DIFFERENCE].sel(placebo=one).values for one in placebos]
    controls = [float(dataset[f"{OVERALL}_estimate"].sel(compared=one)) for one in placebos]
    alone = dataset[OVERALL].sel(compared=STUDENT).values
    what = claim, bias, layer, placebos, "log ratio"
    yield from _compared(*what, differences, controls, alone)
    for band in map(str, dataset.band.values):
        here = dataset.sel(band=band)
        numbers = [here[BAND_DIFFERENCE].sel(placebo=one).values for one in placebos]
        beside = [float(here[f"{BAND_OVERALL}_estimate"].sel(compared=one)) for one in placebos]
        if placebos and not np.isnan(numbers).any():
            over_all, *_ = _compared(*what, numbers, beside, alone)
            yield replace(over_all, band=band, counted=False)


def _compared(
    claim: Claim,
    bias: Bias,
    layer: str,
    controls: Sequence[str],
    called: str,
    differences: Sequence[np.ndarray],
    beside: Sequence[float],
    alone: np.ndarray,
    within: tuple[float, float] = ANY,
) -> Iterator[Finding]:
    """Yield the finding against all controls, then those against each; see `_against`.

    Without placebos there is no verdict on the student's number ``alone``, shape (seed,).
    """
    counted = layer == bias.first
    if not bias.placebos(layer):
        about: dict[str, Any] = {"layer": layer, "remark": NO_PLACEBOS.format("the study names")}
        number = Number.of(alone)
        yield Finding.of(claim, bias.setting, number, withheld=True, counted=counted, **about)
        return
    each = [
        _against(claim, bias.setting, one, difference, called, of, within, layer)
        for one, difference, of in zip(controls, differences, beside, strict=True)
    ]
    yield against_all(each, f"mean {called} of placebos", counted=counted)
    yield from each


def _pairs(claim: Claim, bias: Bias, layer: str) -> Iterator[Finding]:
    """Yield the count of pairs of the student; it decides by itself, as in the paper."""
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
    """Yield by how many pairs the student exceeds reference and placebos."""
    dataset = bias.layers[layer]
    if PAIRS_EXPECTED not in dataset:
        return
    controls = (REFERENCE, *bias.placebos(layer))
    student, *others = (
        dataset[PAIRS_EXPECTED].sel(model=one).values for one in (STUDENT, *controls)
    )
    differences = [student - other for other in others]
    beside = [float(other.mean()) for other in others]
    yield from _compared(
        claim, bias, layer, controls, "pairs", differences, beside, differences[0], (-PAIRS, PAIRS)
    )


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
    """Say whether sign and shape of the ratio are those of linear regression, with the numbers."""
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
    number = Number.of(gradients.data[claim.statistic].values, within=(-1.0, 1.0))
    first = Number.of(gradients.data[f"{RIGHT_FIRST_GRADIENTS}_difference"].values)
    yield Finding.of(
        claim, gradients.setting, number, control_name=f"share under {ONE_HOT} labels",
        control=gradients.number(RIGHT_SIGNS, target=ONE_HOT)[0],
        remark=f"of the first gradients {first.words(claim.null)}",
    )  # fmt: skip


def _directions(claim: Claim, gradients: Gradients) -> Iterator[Finding]:
    """Yield the finding against all controls, which is the verdict, then those against each."""
    setting, differences = gradients.setting, gradients.data[MEAN_COSINE_DIFFERENCE]
    each = [
        _against(
            claim, setting, control, differences.sel(control=control).values, MEAN_COSINE,
            gradients.number(MEAN_COSINE, model=control)[0],
        )
        for control in gradients.controls
    ]  # fmt: skip
    if len(each) == 1:
        yield Finding.of(claim, setting, each[0].number, withheld=True, remark=NO_CONTROLS)
        return
    yield against_all(each, f"mean of {MEAN_COSINE} of controls")
    yield from each


# --- accuracies along training ----------------------------------------------------------------


def _equal_accuracy(claim: Claim, curves: Curves) -> Iterator[Finding]:
    """Yield the finding against reference and placebos, which counts, then those against each."""
    to_reference = curves.data[EQUAL_ACCURACY].sel(compared=STUDENT).values
    each = [_against(claim, curves.setting, REFERENCE, to_reference, "", within=(-1.0, 1.0))]
    for placebo in curves.placebos:
        difference = curves.data[EQUAL_ACCURACY_DIFFERENCE].sel(placebo=placebo).values
        beside, _, _ = curves.number(EQUAL_ACCURACY, compared=placebo)
        what = claim, curves.setting, placebo, difference, EQUAL_ACCURACY
        each.append(_against(*what, beside, (-1.0, 1.0)))
    each = [replace(one, examples=curves.test_examples) for one in each]
    few: dict[str, Any] = {"verdict": WITHHELD, "remark": TOO_FEW}
    each = [one if math.isfinite(one.number.estimate) else replace(one, **few) for one in each]
    if curves.placebos:
        yield against_all(each, f"mean {EQUAL_ACCURACY} of placebos")
        yield from each
    else:
        remark = NO_PLACEBOS.format("the setting has")
        yield replace(each[0], verdict=WITHHELD, p=NAN, counted=True, remark=remark)


# The analysis that a claim reads, and how the claim is held against it.
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
    """Hold one claim against every setting that has what it reads.

    A claim on the bias is held against every layer. The first layer of a setting is counted, the
    others are beside it; so are bands of ranks.
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
