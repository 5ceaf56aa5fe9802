"""Each claim over all settings: k of n, with Holm and what chance would give."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from disobey.analysis.claims.claim import CLEAR_OF, WITHHELD, Claim, Finding, two_sided
from disobey.analysis.intervals import CONTRARY, HOLDS, LEVEL, UNDECIDED, holm


@dataclass(frozen=True)
class Summary:
    """A claim over all settings.

    Attributes
    ----------
    settings : int
        How many the claim was held against.
    holds, contrary, undecided, withheld : int
        Settings by verdict, one by one.
    holds_after_holm, contrary_after_holm : int
        Settings where the verdict stands when all are tested together (family-wise 5 %).
    expected_by_chance : float
        Settings where it would hold if there were no effect in any: at most, where a verdict needs
        more than one interval.
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
    """Count the verdicts of one claim, one finding per setting."""
    counts = Counter(found.verdict for found in findings)
    # Two-sided like the interval, so that Holm with one setting agrees with the verdict.
    rejected = holm([two_sided(claim, found.p) for found in findings])
    after_holm = Counter(f.verdict for f, sure in zip(findings, rejected, strict=True) if sure)
    # Chance that a 95 % interval lies wholly on a claimed side of the null when the null is true.
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
