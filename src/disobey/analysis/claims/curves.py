"""The claim about accuracies along training: the student at equal train accuracy."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from disobey.analysis.claims.claim import (
    ABOVE,
    NAN,
    WITHHELD,
    Claim,
    Finding,
    Number,
    decide,
    distilled_throughout,
)
from disobey.analysis.claims.controls import against_all
from disobey.analysis.curves_store import EQUAL_ACCURACY, EQUAL_ACCURACY_DIFFERENCE, Curves
from disobey.analysis.names import REFERENCE, STUDENT
from disobey.analysis.store import Analysis

BETTER = Claim(
    "equal_accuracy",
    "Where it fits its training labels as well as models that were trained on labels, the student "
    "is more accurate on test",
    "paper",
    "seen in curves of the second of its two small experiments, not of the first; no number, "
    "no control",
    EQUAL_ACCURACY_DIFFERENCE,
    f"{STUDENT} - control",
    0.0,
    ABOVE,
)
CLAIMS = (BETTER,)
TOO_FEW = "both reach too few levels of train accuracy in some seed"
NO_PLACEBOS = (
    "compared with the reference, since the setting has no placebos: another training run may "
    "differ as much; add placebos to the setting's bias"
)


def findings(claim: Claim, analyses: Mapping[str, Analysis]) -> Iterator[Finding]:
    """Hold the claim against every setting with curves: reference and placebos are its controls.

    The finding over all controls is counted, those against each stand beside it.
    """
    for analysis in distilled_throughout(analyses):
        curves = analysis.curves
        if curves is None:
            continue
        found = [_against(claim, curves, control) for control in (REFERENCE, *curves.placebos)]
        each = [replace(one, examples=curves.test_examples) for one in found]
        if curves.placebos:
            yield against_all(each, f"mean {EQUAL_ACCURACY} of placebos")
            yield from each
        else:
            yield replace(each[0], verdict=WITHHELD, p=NAN, counted=True, remark=NO_PLACEBOS)


def _against(claim: Claim, curves: Curves, control: str) -> Finding:
    number = Number.of(_per_seed(curves, control), within=(-1.0, 1.0))
    side, p = decide(claim, number)
    unknown = math.isnan(number.estimate)
    found = Finding(
        claim, curves.setting, number, WITHHELD if unknown else side, p,
        placebo=control, counted=False, remark=TOO_FEW if unknown else "",
    )  # fmt: skip
    if control == REFERENCE:
        return found
    beside, _, _ = curves.number(EQUAL_ACCURACY, compared=control)
    return replace(found, control_name=f"{EQUAL_ACCURACY} of {control}", control=beside)


def _per_seed(curves: Curves, control: str) -> np.ndarray:
    """Return the student's test accuracy at equal train accuracy minus the control's."""
    if control == REFERENCE:
        return curves.data[EQUAL_ACCURACY].sel(compared=STUDENT).values
    return curves.data[EQUAL_ACCURACY_DIFFERENCE].sel(placebo=control).values
