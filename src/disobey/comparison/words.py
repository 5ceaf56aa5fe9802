"""A comparison in words: as plain text for a terminal, and as Markdown."""

import math
import textwrap
from collections.abc import Iterator, Sequence

from disobey.analysis.intervals import CONTRARY, HOLDS
from disobey.analysis.names import (
    EFFECT,
    EXAGGERATION,
    FIDELITY,
    GAPS,
    INHERITANCE,
    PLOTTED,
    PRIMARY,
    QUALITY,
    REFERENCE,
    SIGNAL_SCALE,
    STUDENT,
    TEACHER,
)
from disobey.comparison.result import BY_EXAMPLES, Comparison, Held
from disobey.numbers import NBSP, interval, number
from disobey.report.lead import IN_WORDS
from disobey.report.markdown import markdown
from disobey.report.verdicts import STATISTICS, Statistic

WIDTH, NARROWEST = 100, 72
INDENT, GAP = "  ", 2
HEAD = ("claim", "reading", "statistic", "estimate", "95 % interval", "what it means")
STATISTICS_SHOWN = "all statistics over all examples (comparison.csv has every subset)"
DASH = "–"
DECIMALS = 3
SYMBOLS = {EXAGGERATION: "A", SIGNAL_SCALE: "A_z", INHERITANCE: "B", **dict.fromkeys(GAPS, "G")}
# What the table calls a statistic: short, or its lines would not fit a terminal.
SHORT = {
    EXAGGERATION: "A",
    "plot_slope": "slope",
    GAPS[0]: "G, bottom decile",
    "plot_gap_bottom_decile": "gap, bottom decile",
    GAPS[-1]: "G, top decile",
    "plot_gap_top_decile": "gap, top decile",
    INHERITANCE: "B",
    "accuracy": "accuracy in %",
    "given_label_confidence": "p(label) in %",
}
Table = tuple[Sequence[str], list[tuple[str, ...]]]


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
    """Return head and rows of the table of claims."""
    return HEAD, [_row(held) for held in comparison.held(split)]


def _row(held: Held) -> tuple[str, ...]:
    claim, value = held.claim, held.number.estimate
    how = STATISTICS[claim.statistic]
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
        SHORT[claim.statistic] + (" over reference" if claim.model == EFFECT else ""),
        DASH if math.isnan(value) else estimate,
        ends.replace(NBSP, " "),
        meaning(held, how),
    )


def meaning(held: Held, how: Statistic) -> str:
    """Say in a line what an estimate and its interval mean for the claim.

    One pair is one seed: whatever its interval over examples, there is no verdict.
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
            CONTRARY: f"contrary: the interval lies on the other side of {null}",
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
        f"no verdict: in this pair {side_words}, {claimed}, whichever test examples are drawn; "
        f"another seed may differ"
    )


# --- description -----------------------------------------------------------------------------


def described(comparison: Comparison, split: str) -> Table:
    """Return head and rows of the statistics of each model over all examples."""
    models = [TEACHER, *([REFERENCE] if comparison.has_reference else []), STUDENT]
    rows = []
    for name in (*PRIMARY, *PLOTTED, *FIDELITY, *QUALITY):
        values = [comparison.value(name, model, split) for model in models]
        if not all(map(math.isnan, values)):
            cells = [DASH if math.isnan(value) else number(value, DECIMALS) for value in values]
            symbol = f" ({SYMBOLS[name]})" if name in SYMBOLS else ""
            rows.append((name.replace("_", " ") + symbol, *cells))
    return ("statistic", *models), rows


# --- what is not known -----------------------------------------------------------------------

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
    """Return what the given files cannot tell, one sentence or two each."""
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
    """Return the lines of a table; where ``below``, the last cell of a row stands on its own line.

    Sentences in a last column would be broken into short pieces.
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
