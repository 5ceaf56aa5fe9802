"""All claims in the order of tables and report, and the findings of each in all settings."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from disobey.analysis.claims import bias, confidence, switching
from disobey.analysis.claims.claim import (
    CLEAR_OF,
    NAN,
    WITHHELD,
    Claim,
    Finding,
    two_sided,
    why_degenerate,
)
from disobey.analysis.intervals import (
    CONTRARY,
    HOLDS,
    LEVEL,
    TWO_SEEDS,
    UNDECIDED,
    holm,
)
from disobey.analysis.store import Analysis

Finder = Callable[[Claim, Mapping[str, Analysis]], Iterator[Finding]]

SUBJECTS: tuple[tuple[tuple[Claim, ...], Finder], ...] = (
    ((*confidence.CLAIMS, *confidence.LABEL_CLAIMS), confidence.findings),
    (bias.CLAIMS, bias.findings),
    (confidence.NOISE_CLAIMS, confidence.findings),
    (confidence.PAYOFF_CLAIMS, confidence.findings),
    (switching.CLAIMS, switching.findings),
)
CLAIMS = tuple(claim for claims, _ in SUBJECTS for claim in claims)


def findings(analyses: Mapping[str, Analysis]) -> list[Finding]:
    """Evaluate every claim in the settings to which it applies; see `settings_of_claims`.

    Verdicts are withheld for degenerate settings; verdicts on two seeds have a warning.
    """
    held = settings_of_claims(analyses)
    reasons = {name: why_degenerate(analysis) for name, analysis in held.items()}
    return [
        _checked(finding, reasons[finding.setting])
        for claims, find_all in SUBJECTS
        for claim in claims
        for finding in find_all(claim, held)
    ]


def _checked(found: Finding, degenerate: str) -> Finding:
    """Withhold the verdict if the setting is ``degenerate``; add a warning for two seeds."""
    if degenerate:
        remark = "; ".join(filter(None, (degenerate, found.remark)))
        return replace(found, verdict=WITHHELD, p=NAN, remark=remark)
    if found.seeds == 2 and found.verdict != WITHHELD:
        return replace(found, remark="; ".join(filter(None, (found.remark, TWO_SEEDS))))
    return found


def settings_of_claims(analyses: Mapping[str, Analysis]) -> dict[str, Analysis]:
    """Return the settings in which claims are evaluated.

    Analyses at an epoch before the last (``about.epoch``) are left out, as are the ends of a sweep
    over switch points: there the student is identical to the reference (no distillation) or to the
    student of the setting without a switch (distillation throughout).
    """
    return {
        name: analysis
        for name, analysis in analyses.items()
        if "epoch" not in analysis.about and not switching.is_an_end(analysis, analyses.values())
    }


# --- over all settings -----------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """A claim over all settings.

    It contains the number of settings in which the claim was evaluated, in total and by verdict,
    and the numbers that keep their verdict when all are tested together (family-wise 5 %).
    ``expected_by_chance`` is the expected number of settings in which the claim would hold if no
    setting had an effect; an upper bound where a verdict needs more than one interval.
    """

    claim: Claim
    settings: int
    holds: int
    contrary: int
    undecided: int
    withheld: int
    holds_after_holm: int
    contrary_after_holm: int
    expected_by_chance: float


def summarise(claim: Claim, findings: Sequence[Finding]) -> Summary:
    """Count the verdicts of one claim, given one finding per setting."""
    counts = Counter(found.verdict for found in findings)
    # Two-sided like the interval, so that Holm with one setting agrees with the verdict.
    rejected = holm([two_sided(claim, found.p) for found in findings])
    after_holm = Counter(f.verdict for f, sure in zip(findings, rejected, strict=True) if sure)
    # Probability that a 95 % interval is entirely on the claimed side of a true null.
    chance = (1 - LEVEL) / (1 if claim.side == CLEAR_OF else 2)
    return Summary(
        claim,
        settings=len(findings),
        holds=counts[HOLDS],
        contrary=counts[CONTRARY],
        undecided=counts[UNDECIDED],
        withheld=counts[WITHHELD],
        holds_after_holm=after_holm[HOLDS],
        contrary_after_holm=after_holm[CONTRARY],
        expected_by_chance=chance * sum(math.isfinite(found.p) for found in findings),
    )


def summaries(found: list[Finding]) -> list[Summary]:
    """Count the verdicts of each claim, split and reading that was evaluated in a setting."""
    counted = {claim: [f for f in found if f.claim == claim and f.counted] for claim in CLAIMS}
    return [summarise(claim, of_claim) for claim, of_claim in counted.items() if of_claim]
