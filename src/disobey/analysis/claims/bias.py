"""Claims about the implicit bias: the student's matched progress against placebos and theorem."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

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
    decide,
)
from disobey.analysis.intervals import HOLDS, UNDECIDED, verdict
from disobey.analysis.names import PAIRS, PAPER, REFERENCE, SECOND_SEED, STUDENT
from disobey.analysis.store import Analysis

# The log ratio, and its change, of what does not deviate.
NO_CHANGE = 0.0

EXAGGERATED = Claim(
    "bias",
    "Distillation exaggerates the implicit bias towards the top eigendirections: at equal leading "
    "progress the student has made less along the others than one-hot placebos",
    "paper",
    "shown as trajectories, by eye and without placebos (first version)",
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
# The paper counts by eye: against the teacher alone, whatever a second seed of it would show.
PAIRS_AS_IN_THE_PAPER = Claim(
    "pairs",
    "At equal progress along a top eigendirection the student has made less along a bottom one "
    "than its teacher, in more pairs than a second seed would",
    "paper",
    "seen in 15 of 15 pairs (random features) and in 13 of 15 (a perceptron), by eye, one seed "
    "(first version)",
    PAIRS_EXPECTED,
    STUDENT,
    PAIRS / 2,
    ABOVE,
    split="",
    reading=PAPER,
    control=REFERENCE,
)
PAIRS_AGAINST_CONTROLS = replace(
    PAIRS_AS_IN_THE_PAPER,
    model=f"{STUDENT} - placebo",
    null=0.0,
    reading=SECOND_SEED,
    control=None,
)
CLAIMS = (EXAGGERATED, RISING, PAIRS_AS_IN_THE_PAPER, PAIRS_AGAINST_CONTROLS)
NO_PLACEBOS = (
    "compared with the reference, since the study names no placebos: another training run may "
    "differ as much; add placebos to the setting's bias"
)


def findings(claim: Claim, analyses: Mapping[str, Analysis]) -> Iterator[Finding]:
    """Hold one claim against every layer of every setting with a bias analysis.

    The first layer of a setting is counted, the others stand beside it; so do bands of ranks.
    """
    for analysis in analyses.values():
        if analysis.bias is not None:
            for layer in analysis.bias.layers:
                yield from FIND[claim](claim, analysis.bias, layer)


def _counted(bias: Bias, layer: str) -> bool:
    return layer == next(iter(bias.layers))


# --- against placebos ------------------------------------------------------------------------


def _against_placebos(claim: Claim, bias: Bias, layer: str) -> Iterator[Finding]:
    """Yield the finding over all placebos, which is the verdict; then each, then by band."""
    dataset, placebos = bias.layers[layer], bias.placebos(layer)
    differences = [dataset[OVERALL_DIFFERENCE].sel(placebo=one).values for one in placebos]
    alone = dataset[OVERALL].sel(compared=STUDENT).values
    controls = [float(dataset[f"{OVERALL}_estimate"].sel(compared=one)) for one in placebos]
    compared = Compared(claim, bias, layer, placebos, "log ratio")
    yield from compared.findings(differences, controls, alone)
    for band in map(str, dataset.band.values):
        here = dataset.sel(band=band)
        numbers = [here[BAND_DIFFERENCE].sel(placebo=one).values for one in placebos]
        beside = [float(here[f"{BAND_OVERALL}_estimate"].sel(compared=one)) for one in placebos]
        if placebos and not np.isnan(numbers).any():
            over_all, *_ = compared.findings(numbers, beside, alone)
            yield replace(over_all, band=band, counted=False)


class Compared(NamedTuple):
    """What the student is held against, one by one and all together.

    Attributes
    ----------
    claim : Claim
    bias : Bias
    layer : str
    placebos : sequence of str
        Or other models.
    called : str
        What the control is, of each.
    ends : (float, float)
        The smallest and the largest difference that there can be.
    """

    claim: Claim
    bias: Bias
    layer: str
    placebos: Sequence[str]
    called: str
    ends: tuple[float, float] = (-math.inf, math.inf)

    def findings(
        self, differences: Sequence[np.ndarray], controls: Sequence[float], alone: np.ndarray
    ) -> Iterator[Finding]:
        """Yield the finding over all placebos, then those against each.

        Parameters
        ----------
        differences : sequence of ndarray, shape (seed,)
            Student minus each placebo.
        controls : sequence of float
            What each placebo shows.
        alone : ndarray, shape (seed,)
            What the student shows, where there are no placebos and so no verdict.
        """
        counted = _counted(self.bias, self.layer)
        if not self.bias.placebos(self.layer):
            yield Finding(
                self.claim, self.bias.setting, Number.of(alone), WITHHELD, NAN, layer=self.layer,
                counted=counted, remark=NO_PLACEBOS,
            )  # fmt: skip
            return
        each = list(map(self._against, self.placebos, differences, controls))
        yield against_all(each, f"mean {self.called} of placebos", counted=counted)
        yield from each

    def _against(self, placebo: str, difference: np.ndarray, control: float) -> Finding:
        number = Number.of(difference, within=self.ends)
        side, p = decide(self.claim, number)
        return Finding(
            self.claim, self.bias.setting, number, side, p,
            control_name=f"{self.called} of {placebo}", control=control, layer=self.layer,
            placebo=placebo, counted=False,
        )  # fmt: skip


# --- pairs -----------------------------------------------------------------------------------


def _pairs(claim: Claim, bias: Bias, layer: str) -> Iterator[Finding]:
    """Yield the count of pairs of the student; it decides by itself, as in the paper."""
    dataset = bias.layers[layer]
    if PAIRS_EXPECTED not in dataset:
        return
    expected = dataset[PAIRS_EXPECTED]
    number = Number.of(expected.sel(model=STUDENT).values, within=(0, PAIRS))
    side, p = decide(claim, number)
    drawn = float(dataset[f"{PAIRS_DRAWN}_estimate"].sel(model=STUDENT))
    yield Finding(
        claim, bias.setting, number, side, p,
        control_name=REFERENCE, control=float(expected.sel(model=REFERENCE).mean()), layer=layer,
        counted=_counted(bias, layer),
        remark=f"of {PAIRS} pairs, the mean over all draws; in the drawn ones {drawn:.1f}",
    )  # fmt: skip


def _pairs_against_controls(claim: Claim, bias: Bias, layer: str) -> Iterator[Finding]:
    """Yield by how many pairs the student exceeds reference and placebos."""
    dataset = bias.layers[layer]
    if PAIRS_EXPECTED not in dataset:
        return
    expected = dataset[PAIRS_EXPECTED]
    controls = (REFERENCE, *bias.placebos(layer))
    student, *others = (expected.sel(model=one).values for one in (STUDENT, *controls))
    compared = Compared(claim, bias, layer, controls, "pairs", (-PAIRS, PAIRS))
    yield from compared.findings(
        [student - other for other in others],
        [float(other.mean()) for other in others],
        student - others[0],
    )


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


FIND: dict[Claim, Callable[[Claim, Bias, str], Iterator[Finding]]] = {
    EXAGGERATED: _against_placebos,
    RISING: _trend,
    PAIRS_AS_IN_THE_PAPER: _pairs,
    PAIRS_AGAINST_CONTROLS: _pairs_against_controls,
}
