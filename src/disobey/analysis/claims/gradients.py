"""Claims of the gradient view: right signs of targets, and weights nearer to true directions."""

from collections.abc import Iterator, Mapping

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
from disobey.analysis.gradients_store import (
    MEAN_COSINE,
    MEAN_COSINE_DIFFERENCE,
    ONE_HOT,
    RIGHT_FIRST_GRADIENTS,
    RIGHT_SIGNS,
    Gradients,
)
from disobey.analysis.names import STUDENT, TEACHER
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
CLAIMS = (SIGNS, DIRECTIONS)
NO_CONTROLS = (
    "compared with the reference alone: another training run may differ as much; add "
    "controls: [double_length, student_at_1] to the setting"
)


def findings(claim: Claim, analyses: Mapping[str, Analysis]) -> Iterator[Finding]:
    """Hold one claim against every setting whose data have true directions."""
    find = _signs if claim is SIGNS else _directions
    for analysis in distilled_throughout(analyses):
        if analysis.gradients is not None:
            yield from find(claim, analysis.gradients)


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
    each = [_against(claim, gradients, control) for control in gradients.controls]
    if len(each) == 1:
        number = each[0].number
        yield Finding(claim, gradients.setting, number, WITHHELD, NAN, remark=NO_CONTROLS)
        return
    yield against_all(each, f"mean of {MEAN_COSINE} of controls")
    yield from each


def _against(claim: Claim, gradients: Gradients, control: str) -> Finding:
    of_control = gradients.data[MEAN_COSINE_DIFFERENCE].sel(control=control)
    number = Number.of(of_control.values)
    side, p = decide(claim, number)
    return Finding(
        claim, gradients.setting, number, side, p,
        control_name=f"{MEAN_COSINE} of {control}",
        control=gradients.number(MEAN_COSINE, model=control)[0],
        placebo=control, counted=False,
    )  # fmt: skip
