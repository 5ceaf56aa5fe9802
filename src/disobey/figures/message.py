"""The titles: what the numbers say, in words. A title that the numbers do not support cannot arise.

The side of an interval decides; without an interval there is no verdict.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from disobey.analysis.names import ALL, EXAGGERATION, STUDENT
from disobey.analysis.store import Analysis
from disobey.figures.style import number

# No-break blank: a number and its interval stay on one line.
NBSP = "\u00a0"
MAX_DECIMALS = 4
MIN_DECIMALS = 2
# An interval spans at least so many units of the last decimal.
LEAST_STEPS = 4


class Side(Enum):
    """Where an interval lies, as seen from the value that means "no deviation"."""

    ABOVE = "above"
    BELOW = "below"
    UNDECIDED = "undecided"
    ONE_SEED = "one seed"
    NO_INTERVAL = "no interval"


WITHOUT_VERDICT = (Side.ONE_SEED, Side.NO_INTERVAL)


@dataclass(frozen=True)
class Claim:
    """A statement that a statistic decides.

    Attributes
    ----------
    subject, above, below : str
        "``subject`` is ``above``" when the interval lies above ``null``.
    symbol : str
        What the statistic is called in a formula.
    statistic, model : str
        Which number (`disobey.analysis.names`).
    null : float
        The value that means "no deviation".
    """

    subject: str
    above: str
    below: str
    symbol: str
    statistic: str
    null: float
    model: str = STUDENT

    def number(self, analysis: Analysis) -> tuple[float, float, float]:
        """Return estimate, low and high on the test split."""
        return analysis.number(self.statistic, self.model)

    def side(self, analysis: Analysis) -> Side:
        """Return on which side of ``null`` the interval lies."""
        _, low, high = self.number(analysis)
        if math.isnan(low) or math.isnan(high):
            return Side.ONE_SEED if seeds(analysis) == 1 else Side.NO_INTERVAL
        if low > self.null:
            return Side.ABOVE
        return Side.BELOW if high < self.null else Side.UNDECIDED


# The primary claim, which two figures show.
EXAGGERATES = Claim(
    subject="the student's confidence",
    above="exaggerated",
    below="attenuated",
    symbol="A",
    statistic=EXAGGERATION,
    null=1.0,
)


def seeds(analysis: Analysis, split: str = "test") -> int:
    """Return the number of seeds."""
    return int(analysis.splits[split].sizes["seed"])


def size(analysis: Analysis, split: str = "test") -> str:
    """Return "seeds x examples" of a split."""
    examples = analysis.splits[split].examples.sel(subset=ALL).values
    few, many = int(examples.min()), int(examples.max())
    text = f"{many:,}" if few == many else f"{few:,}–{many:,}"
    return f"{seeds(analysis, split)}{NBSP}×{NBSP}{text}"


def interval_text(estimate: float, low: float, high: float) -> str:
    """Return "0.93 [0.90, 0.96]", with as many decimals as the interval resolves."""
    if math.isnan(estimate):
        return "not estimated"
    if math.isnan(low) or math.isnan(high):
        return number(estimate, MIN_DECIMALS)
    decimals = MIN_DECIMALS
    if high > low:
        decimals = min(
            max(-math.floor(math.log10((high - low) / LEAST_STEPS)), MIN_DECIMALS), MAX_DECIMALS
        )
    middle, left, right = (number(value, decimals) for value in (estimate, low, high))
    return f"{middle}{NBSP}[{left},{NBSP}{right}]"


def headline(analyses: dict[str, Analysis], *claims: Claim) -> str:
    """Return the title of a figure: the verdict of one setting, or the count over several."""
    if len(analyses) == 1:
        (setting, analysis), *_ = analyses.items()
        return f"{setting}: " + "; ".join(_verdict(claim, analysis) for claim in claims)
    text = "; ".join(_counted(claim, analyses.values()) for claim in claims)
    return text[:1].upper() + text[1:]


def _verdict(claim: Claim, analysis: Analysis) -> str:
    side = claim.side(analysis)
    words = {
        Side.ABOVE: f"{claim.subject} is {claim.above}",
        Side.BELOW: f"{claim.subject} is {claim.below}",
        Side.UNDECIDED: f"undecided whether {claim.subject} is {claim.above} or {claim.below}",
    }
    unknown = f"{side.value}: no verdict whether {claim.subject} is {claim.above}"
    estimate, low, high = claim.number(analysis)
    value = f"{claim.symbol}{NBSP}={NBSP}{interval_text(estimate, low, high)}"
    return words.get(side, unknown) + ("" if math.isnan(estimate) else f", {value}")


def _counted(claim: Claim, analyses: Iterable[Analysis]) -> str:
    sides = Counter(claim.side(analysis) for analysis in analyses)
    total = sides.total()
    if sum(sides[side] for side in WITHOUT_VERDICT) == total:
        reasons = " or ".join(side.value for side in WITHOUT_VERDICT if sides[side])
        return f"{reasons}: no verdict whether {claim.subject} is {claim.above} ({total} settings)"
    parts = [
        f"{claim.subject} is {claim.above} in {sides[Side.ABOVE]} of {total} settings"
        f" ({claim.symbol}{NBSP}>{NBSP}{claim.null:g})"
    ]
    if sides[Side.BELOW]:
        parts.append(f"{claim.below} in {sides[Side.BELOW]}")
    if sides[Side.UNDECIDED]:
        parts.append(f"undecided in {sides[Side.UNDECIDED]}")
    parts += [
        f"{side.value}: no verdict in {sides[side]}" for side in WITHOUT_VERDICT if sides[side]
    ]
    return ", ".join(parts)
