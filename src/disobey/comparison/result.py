"""What a comparison found: numbers by claim, a tidy table, the figure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from disobey.analysis.claims.claim import Claim, Number, decide, number_of
from disobey.analysis.claims.confidence import CLAIMS
from disobey.analysis.claims.noise import CLAIMS as NOISE_CLAIMS
from disobey.analysis.intervals import LEVEL
from disobey.analysis.names import ALL, EFFECT, PRIMARY, REFERENCE, STUDENT, limits
from disobey.analysis.setting import MISLABELLED
from disobey.analysis.store import Analysis
from disobey.comparison.alignment import Aligned

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

BY_PAIRS, BY_EXAMPLES = "pairs and examples", "examples only"


@dataclass(frozen=True)
class Held:
    """A claim held against one split.

    Attributes
    ----------
    claim : Claim
    number : Number
        Its estimate; with one pair ``low`` and ``high`` are NaN.
    low, high : float
        Ends of the 95 % interval; NaN where there is none.
    covers : str
        What the interval is over: ``pairs and examples``, ``examples only``, or empty. Only the
        first gives a verdict: the other takes these trained models as they are.
    verdict : str
        ``holds``, ``contrary`` or ``undecided``; empty where there is none.
    missing : tuple of str
        What would have to be given for there to be an estimate.
    """

    claim: Claim
    number: Number
    low: float
    high: float
    covers: str
    verdict: str
    missing: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Estimate and interval over pairs as printed, such as ``0.75 [0.72, 0.78]``."""
        return self.number.words(self.claim.null)


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """A student compared with its teacher; made by `disobey.compare`.

    Attributes
    ----------
    analysis : Analysis
        All statistics, split by split, in the form of a study's setting.
    replicates : int
        How many models A, G, A_z and B were conditioned on, for each pair.
    notes : tuple of str
        How rows were matched.
    models : mapping of str to Aligned
        By split, all models over the same examples.

    Notes
    -----
    ``print(comparison)`` shows the verdicts and what cannot be concluded, ``comparison.frame()``
    all numbers, ``comparison.figure()`` the student-teacher plot.
    """

    analysis: Analysis
    replicates: int
    notes: tuple[str, ...]
    models: Mapping[str, Aligned]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that were given, test first."""
        return tuple(sorted(self.analysis.splits))

    @property
    def pairs(self) -> int:
        """How many pairs of a teacher and its student, one per seed."""
        return int(self.analysis.splits[self.splits[0]].sizes["seed"])

    @property
    def has_reference(self) -> bool:
        """Whether a model without a teacher was given."""
        return REFERENCE in self.analysis.splits[self.splits[0]].compared.values

    def has_labels(self, split: str) -> bool:
        """Whether the labels of a split were given."""
        return not math.isnan(self.value("accuracy", STUDENT, split))

    def value(
        self, statistic: str, model: str = STUDENT, split: str | None = None, subset: str = ALL
    ) -> float:
        """Return the estimate of one statistic, as `disobey.analysis.names` calls them."""
        return self.analysis.number(statistic, model, split or self.splits[0], subset)[0]

    def held(self, split: str) -> list[Held]:
        """Hold the claims against one split."""
        claims = [claim for claim in CLAIMS if claim.split == split]
        if not math.isnan(self.value("accuracy", STUDENT, split, MISLABELLED)):
            claims += [claim for claim in NOISE_CLAIMS if claim.split == split]
        return [self._hold(claim) for claim in claims]

    def _hold(self, claim: Claim) -> Held:
        number = number_of(self.analysis, claim.statistic, claim.model, claim.split, claim.subset)
        low, high, covers = interval_of(number, limits(claim.statistic, claim.model))
        verdict = decide(claim, number)[0] if covers == BY_PAIRS else ""
        return Held(claim, number, low, high, covers, verdict, self._missing(claim))

    def _missing(self, claim: Claim) -> tuple[str, ...]:
        wanted = {
            "a replicate": claim.statistic in PRIMARY and not self.replicates,
            "a reference": claim.model == EFFECT and not self.has_reference,
            "labels": claim.statistic == "accuracy" and not self.has_labels(claim.split),
        }
        return tuple(name for name, missing in wanted.items() if missing)

    def frame(self) -> "pd.DataFrame":
        """Return every number, one a row.

        Returns
        -------
        DataFrame
            Columns ``split``, ``subset``, ``model``, ``statistic``, ``value``, ``low``, ``high``,
            ``interval`` (what it is over, see `Held`), ``pairs`` and ``n`` (examples). Statistics
            without a value are left out.
        """
        import pandas as pd

        rows = []
        for split in self.splits:
            data = self.analysis.splits[split]
            finite = np.argwhere(np.isfinite(data.estimate.values))
            for cell in finite:
                one = data.isel(dict(zip(data.estimate.dims, cell, strict=True)))
                subset, model, statistic = (
                    str(one[name].item()) for name in ("subset", "model", "statistic")
                )
                number = number_of(self.analysis, statistic, model, split, subset)
                low, high, covers = interval_of(number, limits(statistic, model))
                n = round(float(one.examples.mean()))
                rows.append(
                    (split, subset, model, statistic, number.estimate, low, high, covers,
                     self.pairs, n)
                )  # fmt: skip
        columns = ["split", "subset", "model", "statistic", "value", "low", "high", "interval",
                   "pairs", "n"]  # fmt: skip
        return pd.DataFrame(rows, columns=columns)

    def figure(self) -> "Figure":
        """Draw the paper's student-teacher plot."""
        from disobey.figures.confidence import draw

        return draw({self.analysis.setting: self.analysis})

    def __repr__(self) -> str:
        from disobey.comparison.words import text

        return text(self)


def interval_of(number: Number, within: tuple[float, float]) -> tuple[float, float, str]:
    """Return low, high and what the interval is over; it is cut to the values ``within``.

    Over pairs crossed with examples, as everywhere here; with one pair estimate +- 1.96 sqrt(v), v
    the variance when test examples are resampled. On a training split, whose examples are the
    population, one pair has none.
    """
    if not math.isnan(number.low):
        return number.low, number.high, BY_PAIRS
    if not number.example_variance > 0:
        return math.nan, math.nan, ""
    from scipy.special import ndtri  # late: it takes a third of a second to import

    half = float(ndtri((1 + LEVEL) / 2)) * math.sqrt(number.example_variance)
    low, high = max(number.estimate - half, within[0]), min(number.estimate + half, within[1])
    return low, high, BY_EXAMPLES
