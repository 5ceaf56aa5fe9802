"""Claims about accuracies along training, and of the gradient view."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from disobey.analysis.claims.claim import (
    ABOVE,
    NAN,
    WITHHELD,
    Claim,
    Finding,
    Number,
    against_all,
    decide,
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
from disobey.analysis.names import REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import Analysis

SIGNS = Claim(
    "gradient_signs",
    "Where classes are similar, more gradients point to the true directions under the teacher's "
    "targets than under one-hot labels",
    "paper",
    "97.77 % against 73.22 % of all pairs of a training example and a class; one run",
    f"{RIGHT_SIGNS}_difference",
    f"target of {TEACHER} - {ONE_HOT}",
    0.0,
    ABOVE,
    split="train",
)
DIRECTIONS = Claim(
    "class_directions",
    "The student's weights are nearer to the true directions of the classes than those of models "
    "without its softened teacher",
    "paper",
    "of every class, against the teacher, and a student about 0.7 points better on test; one run, "
    "no controls",
    MEAN_COSINE_DIFFERENCE,
    f"{STUDENT} - control",
    0.0,
    ABOVE,
    split="",
)
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
TOO_FEW = "both reach too few levels of train accuracy in some seed"
NO_PLACEBOS = (
    "compared with the reference, since the setting has no placebos: another training run may "
    "differ as much; add placebos to the setting's bias"
)
NO_CONTROLS = (
    "compared with the reference alone: another training run may differ as much; add "
    "controls: [double_length, student_at_1] to the setting"
)


# --- gradients -------------------------------------------------------------------------------


def _signs(claim: Claim, gradients: Gradients) -> Iterator[Finding]:
    number = Number.of(gradients.data[claim.statistic].values, within=(-1.0, 1.0))
    first = Number.of(gradients.data[f"{RIGHT_FIRST_GRADIENTS}_difference"].values)
    side, p = decide(claim, number)
    yield Finding(
        claim, gradients.setting, number, side, p,
        control_name=f"share under {ONE_HOT} labels",
        control=gradients.number(RIGHT_SIGNS, target=ONE_HOT)[0],
        remark=f"of the first gradients {first.words(claim.null)}",
    )  # fmt: skip


def _directions(claim: Claim, gradients: Gradients) -> Iterator[Finding]:
    """Yield the finding against all controls, which is the verdict, then those against each."""
    each = [_against_control(claim, gradients, control) for control in gradients.controls]
    if len(each) == 1:
        number = each[0].number
        yield Finding(claim, gradients.setting, number, WITHHELD, NAN, remark=NO_CONTROLS)
        return
    yield against_all(each, f"mean of {MEAN_COSINE} of controls")
    yield from each


def _against_control(claim: Claim, gradients: Gradients, control: str) -> Finding:
    of_control = gradients.data[MEAN_COSINE_DIFFERENCE].sel(control=control)
    number = Number.of(of_control.values)
    side, p = decide(claim, number)
    return Finding(
        claim, gradients.setting, number, side, p,
        control_name=f"{MEAN_COSINE} of {control}",
        control=gradients.number(MEAN_COSINE, model=control)[0],
        placebo=control, counted=False,
    )  # fmt: skip


# --- curves ----------------------------------------------------------------------------------


def _equal_accuracy(claim: Claim, curves: Curves) -> Iterator[Finding]:
    """Yield the finding against reference and placebos, which counts, then those against each."""
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


# What a claim reads of a setting, and how it is held against that.
FIND: dict[Claim, tuple[str, Callable[[Claim, Any], Iterator[Finding]]]] = {
    BETTER: ("curves", _equal_accuracy),
    SIGNS: ("gradients", _signs),
    DIRECTIONS: ("gradients", _directions),
}
CLAIMS = tuple(FIND)


def findings(claim: Claim, analyses: Mapping[str, Analysis]) -> Iterator[Finding]:
    """Hold one claim against every setting that has what it reads."""
    stage, find = FIND[claim]
    for analysis in distilled_throughout(analyses):
        found = getattr(analysis, stage)
        if found is not None:
            yield from find(claim, found)
