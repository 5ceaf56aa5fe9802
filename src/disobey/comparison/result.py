"""Results of a comparison: numbers by claim, a tidy table, a figure, and text."""

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from disobey.analysis.claims.claim import Claim, Number, decide, examples_of, number_of
from disobey.analysis.claims.confidence import CLAIMS, NOISE_CLAIMS, PAYOFF_CLAIMS
from disobey.analysis.intervals import CONTRARY, HOLDS, LEVEL, normal_quantile
from disobey.analysis.names import (
    ALL,
    EFFECT,
    MISLABELLED,
    REFERENCE,
    STUDENT,
    TEACHER,
    Statistic,
)
from disobey.analysis.statistics import (
    FIDELITY,
    MISTAKES,
    MUTUAL,
    PAYOFF,
    PLOTTED,
    PRIMARY,
    QUALITY,
    STATISTICS,
)
from disobey.analysis.store import Analysis
from disobey.comparison.alignment import Aligned
from disobey.errors import UserError, nearest
from disobey.numbers import NBSP, interval, number
from disobey.report.lead import IN_WORDS, markdown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

BY_PAIRS, BY_EXAMPLES = "pairs and examples", "examples only"
WIDTH, NARROWEST = 100, 72
INDENT, GAP = "  ", 2
HEAD = ("claim", "reading", "statistic", "estimate", "95 % interval", "what it means")
STATISTICS_SHOWN = "all statistics over all examples (comparison.csv has every subset)"
DASH = "–"
DECIMALS = 3
Table = tuple[Sequence[str], list[tuple[str, ...]]]


@dataclass(frozen=True)
class Held:
    """A claim evaluated on one split.

    Attributes
    ----------
    claim : Claim
    number : Number
        The estimate; with one pair ``low`` and ``high`` are NaN.
    low, high : float
        Ends of the 95 % interval; NaN if there is none.
    covers : str
        The units of the interval: ``pairs and examples``, ``examples only``, or empty. Only the
        first gives a verdict: the other takes these trained models as they are.
    verdict : str
        ``holds``, ``contrary`` or ``undecided``; empty if there is none.
    missing : tuple of str
        The inputs that are missing for an estimate.
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
    """A comparison of students with their teachers, returned by `disobey.compare`.

    Attributes
    ----------
    analysis : Analysis
        All statistics, split by split, in the form of a study's setting.
    replicates : int
        The number of models per pair that A, G, A_z and B were conditioned on.
    notes : tuple of str
        How the rows were matched.
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
        """The number of pairs of a teacher and its student, one per seed."""
        return int(self.analysis.splits[self.splits[0]].sizes["seed"])

    @property
    def has_reference(self) -> bool:
        """True if a model without a teacher was given."""
        return REFERENCE in self.analysis.splits[self.splits[0]].compared.values

    def has_labels(self, split: str) -> bool:
        """Return True if the labels of a split were given."""
        return not math.isnan(self.value("accuracy", STUDENT, split))

    def value(
        self, statistic: str, model: str = STUDENT, split: str | None = None, subset: str = ALL
    ) -> float:
        """Return the estimate of one statistic, by its name in `disobey.analysis.names`."""
        if statistic not in STATISTICS:
            raise UserError(f"there is no statistic {statistic}; {nearest(statistic, STATISTICS)}")
        return self.analysis.number(statistic, model, split or self.splits[0], subset)[0]

    def held(self, split: str) -> list[Held]:
        """Evaluate the claims on one split."""
        claims = [claim for claim in (*CLAIMS, *PAYOFF_CLAIMS) if claim.split == split]
        if not math.isnan(self.value("accuracy", STUDENT, split, MISLABELLED)):
            claims += [claim for claim in NOISE_CLAIMS if claim.split == split]
        return [self._hold(claim) for claim in claims]

    def _hold(self, claim: Claim) -> Held:
        number = number_of(self.analysis, claim.statistic, claim.model, claim.split, claim.subset)
        low, high, covers = interval_of(number, STATISTICS[claim.statistic].limits(claim.model))
        verdict = decide(claim, number)[0] if covers == BY_PAIRS else ""
        return Held(claim, number, low, high, covers, verdict, self._missing(claim))

    def _missing(self, claim: Claim) -> tuple[str, ...]:
        wanted = {
            "a replicate": claim.statistic in PRIMARY and not self.replicates,
            "a reference": claim.model == EFFECT and not self.has_reference,
            "labels": claim.statistic in ("accuracy", *PAYOFF) and not self.has_labels(claim.split),
        }
        return tuple(name for name, missing in wanted.items() if missing)

    def frame(self) -> "pd.DataFrame":
        """Return every number, one per row.

        Returns
        -------
        DataFrame
            Columns ``split``, ``subset``, ``model``, ``statistic``, ``value``, ``low``, ``high``,
            ``interval`` (its units, `Held.covers`), ``pairs`` and ``n`` (examples). Statistics
            without a value are left out.
        """
        import pandas as pd

        rows = []
        for split in self.splits:
            cells = self.analysis.splits[split].estimate
            cells = cells.stack(cell=("subset", "statistic", "model"))
            for subset, statistic, model in cells[np.isfinite(cells.values)].cell.values:
                found = number_of(self.analysis, statistic, model, split, subset)
                ends = interval_of(found, STATISTICS[statistic].limits(model))
                of = self.pairs, examples_of(self.analysis, split, subset)
                rows.append((split, subset, model, statistic, found.estimate, *ends, *of))
        columns = ["split", "subset", "model", "statistic", "value", "low", "high", "interval",
                   "pairs", "n"]  # fmt: skip
        return pd.DataFrame(rows, columns=columns)

    def figure(self) -> "Figure":
        """Draw the paper's student-teacher plot."""
        from disobey.figures.confidence import draw

        return draw({self.analysis.setting: self.analysis})

    def __repr__(self) -> str:
        return text(self)


def interval_of(number: Number, within: tuple[float, float]) -> tuple[float, float, str]:
    """Return low, high and the units of an interval, which is clipped to ``within``.

    With several pairs it is over pairs crossed with examples; with one pair it is estimate +- 1.96
    sqrt(v), where v is the variance over resampled test examples. On a training split, whose
    examples are the population, one pair has no interval.
    """
    if not math.isnan(number.low):
        return number.low, number.high, BY_PAIRS
    if not number.example_variance > 0:
        return math.nan, math.nan, ""
    half = normal_quantile(LEVEL) * math.sqrt(number.example_variance)
    low, high = max(number.estimate - half, within[0]), min(number.estimate + half, within[1])
    return low, high, BY_EXAMPLES


# --- output: plain text for a terminal, and Markdown ------------------------------------------


def text(comparison: Comparison, width: int = WIDTH) -> str:
    """Return the comparison as plain text, paragraphs filled to ``width``, tables aligned."""
    width = max(width, NARROWEST)
    lines = _filled(comparison.analysis.setting, width)
    for note in (_size(comparison), *comparison.notes):
        lines += _filled(note, width)
    for split in comparison.splits:
        lines += ["", f"{split} split, {_examples(comparison, split)}", ""]
        lines += _aligned(verdicts(comparison, split), below=True)
        lines += ["", f"{INDENT}{STATISTICS_SHOWN}:", ""]
        lines += _aligned(described(comparison, split))
    lines += ["", "What cannot be concluded", ""]
    for caveat in caveats(comparison):
        lines += textwrap.wrap(f"- {caveat}", width, subsequent_indent=INDENT)
    return "\n".join(lines)


def markdown_page(comparison: Comparison) -> Iterator[str]:
    """Yield the lines of comparison.md."""
    yield f"# {comparison.analysis.setting}"
    yield ""
    yield "; ".join((_size(comparison), *comparison.notes)) + "."
    for split in comparison.splits:
        yield from ("", f"## {split} split, {_examples(comparison, split)}", "")
        yield from markdown(*verdicts(comparison, split))
        yield from ("", f"{STATISTICS_SHOWN.capitalize()}:", "")
        yield from markdown(*described(comparison, split))
    yield from ("", "![Student against teacher](confidence.png)", "")
    yield from ("## What cannot be concluded", "")
    for caveat in caveats(comparison):
        yield f"- {caveat}"


def _size(comparison: Comparison) -> str:
    pairs = f"{comparison.pairs} pair{'s' if comparison.pairs > 1 else ''}"
    each = " each" if comparison.pairs > 1 else ""
    words = f"{pairs} of a teacher and a student, {comparison.replicates} replicates{each}"
    return words if comparison.replicates != 1 else words.replace("replicates", "replicate")


def _examples(comparison: Comparison, split: str) -> str:
    examples = int(comparison.analysis.splits[split].examples.sel(subset="all")[0])
    return f"{examples:,} examples of {len(comparison.models[split].class_names):,} classes"


# --- verdicts --------------------------------------------------------------------------------


def verdicts(comparison: Comparison, split: str) -> Table:
    """Return the header and the rows of the table of claims."""
    return HEAD, [_row(held) for held in comparison.held(split)]


def _row(held: Held) -> tuple[str, ...]:
    claim, value = held.claim, held.number.estimate
    how = STATISTICS[claim.statistic]
    label = (how.short or how.printed) + (" in %" if how.percent else "")
    estimate, _, ends = interval(
        *(how.scale * end for end in (value, held.low, held.high, claim.null))
    ).partition(NBSP)
    if not held.covers:
        ends = "none"
    elif held.covers == BY_EXAMPLES:
        ends += f" {held.covers}"
    return (
        claim.name.replace("_", " "),
        claim.reading or DASH,
        label + (" over reference" if claim.model == EFFECT else ""),
        DASH if math.isnan(value) else estimate,
        ends.replace(NBSP, " "),
        meaning(held, how),
    )


def meaning(held: Held, how: Statistic) -> str:
    """Return one line on what an estimate and its interval mean for the claim.

    One pair is one seed: it has no verdict, whatever its interval over examples.
    """
    claim, null = held.claim, f"{how.scale * held.claim.null:g}"
    if held.missing:
        return f"cannot be concluded: needs {' and '.join(held.missing)}"
    if math.isnan(held.number.estimate):
        return "not estimated: its denominator is zero, or it has no example"
    if held.verdict:
        side = {
            HOLDS: f"{' '.join(filter(None, ('holds', IN_WORDS.get(claim.reading))))}: "
            f"{claim.text[:1].lower()}{claim.text[1:]}",
            CONTRARY: f"contrary: the interval is on the other side of {null}",
        }
        return side.get(held.verdict, f"undecided: the interval contains {null}")
    above = held.number.estimate > claim.null
    side_words = f"{'above' if above else 'below'} {null}"
    claimed = "as claimed" if above == (claim.side == "above") else "contrary to the claim"
    if not held.covers:
        return f"no verdict: {side_words} in this pair, {claimed}; another seed may differ"
    if held.low <= claim.null <= held.high:
        return f"no verdict: the interval over examples alone already contains {null}"
    return (
        f"no verdict: in this pair {side_words}, {claimed}, for any draw of test examples; "
        f"another seed may differ"
    )


# --- description -----------------------------------------------------------------------------


def described(comparison: Comparison, split: str) -> Table:
    """Return the header and the rows of the statistics of each model over all examples."""
    models = [TEACHER, *([REFERENCE] if comparison.has_reference else []), STUDENT]
    rows = []
    for name in (*PRIMARY, *PLOTTED, *FIDELITY, *QUALITY, *PAYOFF, *MUTUAL, *MISTAKES):
        values = [comparison.value(name, model, split) for model in models]
        if not all(map(math.isnan, values)):
            cells = [DASH if math.isnan(value) else number(value, DECIMALS) for value in values]
            symbol = f" ({one.symbol})" if (one := STATISTICS[name]).symbol else ""
            rows.append((name.replace("_", " ") + symbol, *cells))
    return ("statistic", *models), rows


# --- caveats ---------------------------------------------------------------------------------

NO_REPLICATE = (
    "Without a replicate (a teacher of another seed: --replicate) exaggeration, underfitting and "
    "overfitting are read as in the paper only, and nothing is said of inheritance. The paper's "
    "reading chooses class and rank by the teacher, which selects on the teacher's own noise: any "
    "second model, another teacher too, then seems to underfit what the teacher is unsure of."
)
REPLICATES = (
    "That replicates differ from the teacher in nothing but the seed (same data, label noise and "
    "recipe) cannot be seen in logits; without it A, A_z, B and G mean something else."
)
ONE_PAIR = (
    "One pair is one seed: there is no interval over seeds, so no verdict. An interval 'examples "
    "only' says how much the number would change with other test examples for these very models "
    "(bootstrap, 1.96 standard deviations); it says nothing of other training runs. Training "
    "examples are not resampled. More pairs: --pair."
)
SEVERAL_PAIRS = (
    "Intervals cross pairs with test examples, t of few seeds included; they hold for this one "
    "split and noise draw. On the training split they are over pairs alone."
)
NO_REFERENCE = (
    "Without a reference (the student's architecture trained on labels alone: --reference) what is "
    "found may belong to the student's architecture or recipe and not to distillation."
)
NO_LABELS = (
    "Without labels there is no accuracy, no calibration, and no split by whether the teacher is "
    "right."
)


def caveats(comparison: Comparison) -> list[str]:
    """Return what cannot be concluded from the given files, one or two sentences each."""
    found = [REPLICATES if comparison.replicates else NO_REPLICATE]
    found.append(ONE_PAIR if comparison.pairs == 1 else SEVERAL_PAIRS)
    if not comparison.has_reference:
        found.append(NO_REFERENCE)
    if not all(map(comparison.has_labels, comparison.splits)):
        found.append(NO_LABELS)
    return found


# --- plain text ------------------------------------------------------------------------------


def _filled(line: str, width: int) -> list[str]:
    return textwrap.wrap(
        line, width, subsequent_indent=INDENT, break_long_words=False, break_on_hyphens=False
    )


def _aligned(table: Table, below: bool = False) -> list[str]:
    """Return the lines of a table; if ``below``, the last cell of a row has its own line.

    In a narrow last column, sentences would be broken into short pieces.
    """
    head, rows = table
    cells = [head[:-1], *(row[:-1] for row in rows)] if below else [head, *rows]
    widths = [max(map(len, column)) + GAP for column in zip(*cells, strict=True)]
    lines = []
    for row, shown in zip((head, *rows), cells, strict=True):
        line = INDENT + "".join(f"{c:<{w}}" for c, w in zip(shown, widths, strict=True))
        lines.append(line.rstrip())
        if below and row is not head:
            lines.append(INDENT * 3 + row[-1])
    return lines
