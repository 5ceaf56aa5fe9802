"""A claim that a student must hold against each of several controls, such as placebos."""

import math
from dataclasses import replace

from disobey.analysis.claims.claim import ABOVE, NAN, Finding, Number
from disobey.analysis.intervals import CONTRARY, HOLDS, UNDECIDED, verdict

# What stands in place of a control's name in the finding over all of them.
ALL_PLACEBOS = "all"


def against_all(each: list[Finding], control_name: str, *, counted: bool = True) -> Finding:
    """Put the findings against each control together: the claim holds if it holds against each.

    Estimate and control are means over controls. The interval spans those of all, so that it is on
    one side exactly if each is. So does p: the largest, or the smallest of the other side. If one
    of them has no number, neither has the whole.

    Parameters
    ----------
    each : list of Finding
        Of one claim in one setting; ``placebo`` is the name of the control.
    control_name : str
        What the mean of ``control`` is called.
    counted : bool
        Whether the summary counts the finding.
    """
    first, numbers = each[0], [found.number for found in each]
    unknown = next((found for found in each if math.isnan(found.number.estimate)), None)
    if unknown is not None:
        remark = f"against {unknown.placebo}: {unknown.remark}"
        return replace(unknown, placebo=ALL_PLACEBOS, counted=counted, remark=remark)
    above = first.claim.side == ABOVE
    low, high = min(n.low for n in numbers), max(n.high for n in numbers)
    side = verdict(low, high, first.claim.null)
    estimate = sum(n.estimate for n in numbers) / len(numbers)
    controls = [found.control for found in each if not math.isnan(found.control)]
    closest = (min if above else max)(each, key=lambda found: found.number.estimate)
    kept = sum(found.verdict == HOLDS for found in each)
    spans = ", whose intervals this one spans" if len(each) > 1 else ""
    return Finding(
        first.claim,
        first.setting,
        Number(estimate, low, high, NAN, NAN, first.seeds),
        side if above else {CONTRARY: HOLDS, HOLDS: CONTRARY}.get(side, UNDECIDED),
        NAN if first.seeds < 2 else _joint_p([found.p for found in each]),
        first.examples,
        control_name,
        sum(controls) / len(controls) if controls else NAN,
        layer=first.layer,
        placebo=ALL_PLACEBOS,
        counted=counted,
        remark=f"holds against {kept} of {len(each)} placebos{spans}; "
        f"closest is {closest.placebo}, {closest.number.words(first.claim.null)}",
    )


def _joint_p(p_values: list[float]) -> float:
    """Return the p of "it holds against each": the largest; of "contrary against each" likewise."""
    if max(p_values) < 1 / 2:
        return max(p_values)
    return max(min(p_values), 1 / 2)
