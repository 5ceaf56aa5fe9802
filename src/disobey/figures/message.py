"""The titles: what the numbers say, in words. A title that the numbers do not support cannot arise.

The side of an interval decides; without an interval there is no verdict.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from disobey.analysis.names import ALL, EFFECT, EXAGGERATION, STUDENT
from disobey.analysis.store import Analysis
from disobey.numbers import NBSP, interval


class Side(Enum):
    """Where an interval lies, as seen from the value that means "no deviation"."""

    ABOVE = "above"
    BELOW = "below"
    UNDECIDED = "undecided"
    ONE_SEED = "one seed"
    NO_INTERVAL = "no interval"
    NO_PLACEBO = "no placebo"


WITHOUT_VERDICT = (Side.ONE_SEED, Side.NO_INTERVAL, Side.NO_PLACEBO)


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
    split, subset : str
        Of which examples.
    claimed : Side
        The side that is counted first.
    """

    subject: str
    above: str
    below: str
    symbol: str
    statistic: str
    null: float
    model: str = STUDENT
    split: str = "test"
    subset: str = ALL
    claimed: Side = Side.ABOVE

    @property
    def words(self) -> dict[Side, str]:
        """The words of both sides, the claimed one first."""
        words = {Side.ABOVE: self.above, Side.BELOW: self.below}
        return {self.claimed: words.pop(self.claimed)} | words

    def bound(self, side: Side) -> str:
        """Return "A > 1" or "A < 1"."""
        return f"{self.symbol}{NBSP}{'>' if side is Side.ABOVE else '<'}{NBSP}{self.null:g}"

    def number(self, analysis: Analysis) -> tuple[float, float, float]:
        """Return estimate, low and high."""
        return analysis.number(self.statistic, self.model, self.split, self.subset)

    def printed(self, analysis: Analysis) -> str:
        """Return the number and its interval as printed."""
        return interval(*self.number(analysis), self.null)

    def side(self, analysis: Analysis) -> Side:
        """Return on which side of ``null`` the interval lies."""
        _, low, high = self.number(analysis)
        if math.isnan(low) or math.isnan(high):
            return Side.ONE_SEED if seeds(analysis, self.split) == 1 else Side.NO_INTERVAL
        if low > self.null:
            return Side.ABOVE
        return Side.BELOW if high < self.null else Side.UNDECIDED


# Claims that several figures show.
EXAGGERATES = Claim(
    subject="the student's confidence",
    above="exaggerated",
    below="attenuated",
    symbol="A",
    statistic=EXAGGERATION,
    null=1.0,
)
ACCURACY_RAISED = Claim(
    subject="test accuracy",
    above="raised by distillation",
    below="lowered",
    symbol="student − reference".replace(" ", NBSP),
    statistic="accuracy",
    null=0.0,
    model=EFFECT,
)


def seeds(analysis: Analysis, split: str = "test") -> int:
    """Return the number of seeds."""
    return int(analysis.splits[split].sizes["seed"])


def size(analysis: Analysis, split: str = "test") -> str:
    """Return "seeds x examples" of a split."""
    return f"{seeds(analysis, split)}{NBSP}×{NBSP}{examples(analysis, split)}"


def examples(analysis: Analysis, split: str = "test", subset: str = ALL) -> str:
    """Return the number of examples, or its range over seeds."""
    counts = analysis.splits[split].examples.sel(subset=subset).values
    few, many = int(counts.min()), int(counts.max())
    return f"{many:,}" if few == many else f"{few:,}–{many:,}"


def headline(analyses: dict[str, Analysis], *claims: Claim) -> str:
    """Return the title of a figure: the verdict of one setting, or the count over several."""
    if len(analyses) == 1:
        (setting, analysis), *_ = analyses.items()
        return f"{setting}: " + "; ".join(verdict(claim, analysis) for claim in claims)
    return sentence("; ".join(counted(claim, analyses.values()) for claim in claims))


def sentence(text: str) -> str:
    """Return a text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def in_sequence(places: Sequence[tuple[str, Analysis]]) -> bool:
    """Return whether there are several places, and one setting at each."""
    return 1 < len(places) == len({place for place, _ in places})


def placed(claim: Claim, places: Sequence[tuple[str, Analysis]], at: tuple[str, str]) -> str:
    """Return where a claim holds, is contrary or undecided, among settings in a sequence.

    Parameters
    ----------
    claim : Claim
    places : sequence of (str, Analysis)
        What varies from setting to setting, as it is called.
    at : (str, str)
        What stands before one place, and before several.
    """
    sides: dict[Side, list[str]] = {side: [] for side in Side}
    for place, analysis in places:
        sides[claim.side(analysis)].append(place)
    where = {
        side: f"{at[len(found) > 1]}{NBSP}{', '.join(found)}"
        for side, found in sides.items()
        if found
    }
    first, second = claim.words.values()
    if where.keys() <= set(WITHOUT_VERDICT):
        reasons = " or ".join(side.value for side in where)
        return f"{reasons}: no verdict whether {claim.subject} is {first}"
    parts = [f"{word} {where[side]}" for side, word in claim.words.items() if side in where]
    if parts:
        # The bound is said once: the other side is clear from it.
        side, word = next((s, word) for s, word in claim.words.items() if s in where)
        parts[0] = f"{claim.subject} is {word} ({claim.bound(side)}) {where[side]}"
    if Side.UNDECIDED in where:
        undecided = (
            "undecided" if parts else f"undecided whether {claim.subject} is {first} or {second}"
        )
        parts.append(f"{undecided} {where[Side.UNDECIDED]}")
    parts += [
        f"{side.value}: no verdict {where[side]}" for side in WITHOUT_VERDICT if side in where
    ]
    return ", ".join(parts)


def verdict(claim: Claim, analysis: Analysis) -> str:
    """Return what the interval of one setting says of a claim."""
    side = claim.side(analysis)
    first, second = claim.words.values()
    words = {known: f"{claim.subject} is {word}" for known, word in claim.words.items()}
    words[Side.UNDECIDED] = f"undecided whether {claim.subject} is {first} or {second}"
    unknown = f"{side.value}: no verdict whether {claim.subject} is {first}"
    estimate, _, _ = claim.number(analysis)
    value = f"{claim.symbol}{NBSP}={NBSP}{claim.printed(analysis)}"
    return words.get(side, unknown) + ("" if math.isnan(estimate) else f", {value}")


def counted(claim: Claim, analyses: Iterable[Analysis]) -> str:
    """Return in how many settings a claim holds."""
    (claimed, first), (other, second) = claim.words.items()
    sides = Counter(claim.side(analysis) for analysis in analyses)
    total = sides.total()
    if sum(sides[side] for side in WITHOUT_VERDICT) == total:
        reasons = " or ".join(side.value for side in WITHOUT_VERDICT if sides[side])
        return f"{reasons}: no verdict whether {claim.subject} is {first} ({total} settings)"
    parts = [
        f"{claim.subject} is {first} in {sides[claimed]} of {total} settings"
        f" ({claim.bound(claimed)})"
    ]
    if sides[other]:
        parts.append(f"{second} in {sides[other]}")
    if sides[Side.UNDECIDED]:
        parts.append(f"undecided in {sides[Side.UNDECIDED]}")
    parts += [
        f"{side.value}: no verdict in {sides[side]}" for side in WITHOUT_VERDICT if sides[side]
    ]
    return ", ".join(parts)
