"""Claims about the implicit bias: the student's matched progress against placebos and theorem."""

from collections.abc import Iterator, Mapping

import xarray as xr

from disobey.analysis.bias_store import OVERALL, OVERALL_DIFFERENCE, TREND, Bias
from disobey.analysis.claims.claim import (
    ABOVE,
    BELOW,
    NAN,
    WITHHELD,
    Claim,
    Finding,
    Number,
    decide,
)
from disobey.analysis.claims.controls import against_all
from disobey.analysis.intervals import HOLDS, UNDECIDED, verdict
from disobey.analysis.names import STUDENT
from disobey.analysis.store import Analysis

# The log ratio, and its change, of what does not deviate.
NO_CHANGE = 0.0

EXAGGERATED = Claim(
    "bias",
    "Distillation exaggerates the implicit bias towards the top eigendirections: at equal leading "
    "progress the student has made less along the others than one-hot placebos",
    "paper",
    "shown as trajectories, without placebos; no number at hand",
    OVERALL_DIFFERENCE,
    f"{STUDENT} - placebo",
    0.0,
    BELOW,
    split="",
)
RISING = Claim(
    "bias_trend",
    "The ratio of student to reference rises with progress, as in linear regression",
    "ours",
    "its theorem says that the ratio is below 1 there; that it rises is derived here",
    TREND,
    STUDENT,
    0.0,
    ABOVE,
    split="",
)
CLAIMS = (EXAGGERATED, RISING)


def findings(claim: Claim, analyses: Mapping[str, Analysis]) -> Iterator[Finding]:
    """Hold one claim against every layer of every setting with a bias analysis.

    The first layer of a setting is counted, the others stand beside it.
    """
    find = _against_placebos if claim is EXAGGERATED else _trend
    for analysis in analyses.values():
        if analysis.bias is not None:
            for layer in analysis.bias.layers:
                yield from find(claim, analysis.bias, layer)


def _counted(bias: Bias, layer: str) -> bool:
    return layer == next(iter(bias.layers))


# --- against placebos ------------------------------------------------------------------------


def _against_placebos(claim: Claim, bias: Bias, layer: str) -> Iterator[Finding]:
    """Yield the finding over all placebos, which is the verdict, then those against each."""
    dataset, placebos = bias.layers[layer], bias.placebos(layer)
    each = [_against(claim, bias, layer, placebo) for placebo in placebos]
    if not each:
        number = Number.of(dataset[OVERALL].sel(compared=STUDENT).values)
        yield Finding(
            claim, bias.setting, number, WITHHELD, NAN, layer=layer,
            counted=_counted(bias, layer),
            remark="compared with the reference, since the study names no placebos: another "
            "training run may differ as much; add placebos to the setting's bias",
        )  # fmt: skip
        return
    yield against_all(each, "mean log ratio of placebos", counted=_counted(bias, layer))
    yield from each


def _against(claim: Claim, bias: Bias, layer: str, placebo: str) -> Finding:
    dataset = bias.layers[layer]
    number = Number.of(dataset[OVERALL_DIFFERENCE].sel(placebo=placebo).values)
    control = float(dataset[f"{OVERALL}_estimate"].sel(compared=placebo))
    side, p = decide(claim, number)
    return Finding(
        claim, bias.setting, number, side, p,
        control_name=f"log ratio of {placebo}", control=control, layer=layer, placebo=placebo,
        counted=False,
    )  # fmt: skip


# --- against the theorem ---------------------------------------------------------------------


def _trend(claim: Claim, bias: Bias, layer: str) -> Iterator[Finding]:
    dataset = bias.layers[layer]
    student = dataset.sel(compared=STUDENT)
    number = Number.of(student[TREND].values)
    side, p = decide(claim, number)
    placebos = bias.placebos(layer)
    control = NAN
    if placebos:
        control = float(dataset[f"{TREND}_estimate"].sel(compared=list(placebos)).mean())
    yield Finding(
        claim, bias.setting, number, side, p,
        control_name="mean of placebos" if placebos else "", control=control, layer=layer,
        counted=_counted(bias, layer),
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
