"""The study at a glance: the paper's plot, paths of weights, and the verdicts on all settings."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from disobey.analysis.bias import Bias
from disobey.analysis.claims.claim import WITHHELD, Claim
from disobey.analysis.claims.registry import Summary, findings, summaries
from disobey.analysis.intervals import CONTRARY, HOLDS, UNDECIDED
from disobey.analysis.names import READINGS, REFERENCE, STUDENT
from disobey.analysis.store import SPLITS, Analysis
from disobey.figures import style
from disobey.figures.confidence import (
    LEFT,
    LONGEST,
    WITHIN_PAIR,
    Pair,
    draw_row,
    legend,
    write_above,
)
from disobey.figures.panels import scale
from disobey.figures.ratios import NO_CHANGE, first_layer, printed_ratio, ratio
from disobey.figures.sheet import GAP, MARGIN, Sheet
from disobey.numbers import interval

# The claims of the matrix from top to bottom, in words for which there is room.
ROWS = {
    "low_confidence_underfitting": "underfits where teacher is unsure",
    "high_confidence_overfitting": "overfits where teacher is sure",
    "exaggeration": "exaggerates confidence (slope)",
    "inheritance": "copies its own teacher",
    "denoising": "doubts wrong labels",
    "accuracy_gain": "is more accurate",
    "bias": "exaggerates the implicit bias",
}
READ_AS = ("as in\nthe paper", "vs. second\nseed", "given a\nreplicate")
VERDICTS = {HOLDS: "#5DB89A", CONTRARY: "#D9A0C1", UNDECIDED: "#E4E4E4", WITHHELD: "#FFFFFF"}
# Inches.
BETWEEN = 0.34
PATH_SIDE, PATH_LEFT, PATH_BELOW = 1.3, 0.42, 0.26
LABELS, ROW_HEIGHT, CELL_GAP, SPLIT_GAP = 1.65, 0.175, 0.03, 0.08


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw the plot of one setting, paths of the weights in another, and the matrix of verdicts.

    Parameters
    ----------
    analyses : dict of str to Analysis
        All settings of the study. The plot is of the first with label noise, else of the first;
        the paths are of the first whose bias is measured, and left out where there is none.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns wide.
    """
    noisy = (analysis for analysis in analyses.values() if analysis.about.get("label_noise"))
    shown = next(noisy, None) or next(iter(analyses.values()))
    bias = next((a.bias for a in analyses.values() if a.bias is not None), None)
    sheet, letters = Sheet(style.TWO_COLUMNS), iter("abcd")
    sheet.title("How students differ from their teachers")
    sheet.legend(legend([shown]))
    _plots(sheet, shown, letters)
    left, bottom = MARGIN, sheet.top
    if bias is not None:
        bottom += _paths(sheet, bias, next(letters))
        left += PATH_LEFT + PATH_SIDE + BETWEEN
    Matrix(left, sheet.page - MARGIN - left).draw(
        sheet, f"{next(letters)}   verdicts, k of n settings", summaries(findings(analyses))
    )
    sheet.top = max(sheet.top, bottom)
    return sheet.finish()


def _plots(sheet: Sheet, analysis: Analysis, letters: Iterator[str]) -> None:
    """Draw the pairs of panels of both splits side by side."""
    step = (sheet.width - LEFT + BETWEEN) / 2
    side = min((step - BETWEEN - WITHIN_PAIR) / 2, LONGEST)
    pairs = []
    for place, split in enumerate(split for split in SPLITS if split in analysis.splits):
        name = f"{next(letters)}   {analysis.setting}"
        pairs.append(Pair(analysis, split, side, MARGIN + LEFT + place * step, name))
    draw_row(sheet, pairs, last=True)


def _paths(sheet: Sheet, bias: Bias, letter: str) -> float:
    """Draw paths in the plane of the leading and the last direction; return the height."""
    layer = first_layer(bias)
    data = bias.layers[layer]
    name = style.wrap(f"{letter}   {bias.setting}, {layer}", PATH_SIDE, style.SMALL_SIZE, "bold")
    lines = name.count("\n") + 3
    axes = sheet.axes(
        MARGIN + PATH_LEFT, PATH_SIDE, PATH_SIDE, down=style.line_height(style.SMALL_SIZE, lines)
    )
    write_above(axes, name, 2, weight="bold")
    last = int(data["rank"][-1])
    here = data.sel(compared=STUDENT).isel(direction=-1)
    along = ratio((float(here.estimate), float(here.low), float(here.high)))
    ratios = (
        f"ratio along $v_{{{last}}}$: {interval(*along, NO_CHANGE)}\n"
        f"all directions: {printed_ratio(bias, layer)}"
    )
    write_above(axes, ratios, color=style.ROLES[STUDENT].colour)
    shown = []
    for model in (REFERENCE, STUDENT):
        progress = data.progress.sel(model=model).transpose("seed", "point", "direction").values
        colour = style.ROLES[model].colour
        for path in progress[..., [0, -1]]:
            # Paths begin where no step was taken, which the histories do not repeat.
            from_start = np.concatenate([np.zeros((1, 2)), path])
            axes.plot(*from_start.T, color=colour, linewidth=style.MEDIUM, gid=f"path/{model}")
            axes.plot(*path[-1:].T, "*", color=colour, markeredgewidth=0)
            shown.append(from_start)
    both = np.concatenate(shown)
    scale(axes, "x", both[:, 0], width=PATH_SIDE)
    scale(axes, "y", both[:, 1])
    axes.set_xlabel("progress along $v_1$", size=style.SMALL_SIZE)
    axes.set_ylabel(f"progress along $v_{{{last}}}$", size=style.SMALL_SIZE)
    return style.line_height(style.SMALL_SIZE, lines) + PATH_SIDE + PATH_BELOW


class Matrix:
    """Verdicts: a row for each claim, a column for each split and reading.

    A cell is filled with each verdict by its share of the settings. A claim that is read in one way
    has one cell over the columns of its split, or over all.

    Parameters
    ----------
    left, width : float
        In inches, on the sheet.
    """

    def __init__(self, left: float, width: float) -> None:
        self.left, self.width = left, width
        columns = len(SPLITS) * len(READINGS)
        self.cell = (width - LABELS - SPLIT_GAP) / columns

    def span(self, split: str, reading: str) -> tuple[float, float]:
        """Return left edge and width of a claim's cell."""
        of_split = len(READINGS) * self.cell
        if not split:
            return LABELS, 2 * of_split + SPLIT_GAP
        start = LABELS + SPLITS.index(split) * (of_split + SPLIT_GAP)
        if not reading:
            return start, of_split
        return start + READINGS.index(reading) * self.cell, self.cell

    def draw(self, sheet: Sheet, heading: str, counted: Sequence[Summary]) -> None:
        """Add the matrix, and a legend below it, to a sheet."""
        rows = [[summary for summary in counted if summary.claim.name == name] for name in ROWS]
        rows = [row for row in rows if row]
        above = style.line_height(style.SMALL_SIZE, 3) + GAP
        height = len(rows) * ROW_HEIGHT
        axes = sheet.axes(self.left, self.width, height, down=above)
        axes.set_axis_off()
        axes.set(xlim=(0, self.width), ylim=(height, 0))
        axes.text(0, -above, heading, va="top", weight="bold", size=style.SMALL_SIZE)
        self._heads(axes)
        for place, row in enumerate(rows):
            label = ROWS[row[0].claim.name]
            axes.text(0, (place + 0.5) * ROW_HEIGHT, label, va="center", size=style.SMALL_SIZE)
            for summary in row:
                self._cell(axes, summary, place * ROW_HEIGHT)
        sheet.top += above + height + GAP
        handles = [
            Patch(facecolor=colour, edgecolor=style.FAINT, linewidth=style.THIN, label=verdict)
            for verdict, colour in VERDICTS.items()
        ]
        sheet.legend(handles, self.left)

    def _heads(self, axes: Axes) -> None:
        """Write the splits, and below them the readings."""
        text: dict[str, Any] = {"ha": "center", "va": "bottom", "size": style.SMALL_SIZE}
        up = style.line_height(style.SMALL_SIZE, 2)
        for split in SPLITS:
            start, width = self.span(split, "")
            axes.text(start + width / 2, -up, split, weight="bold", **text)
            for reading, words in zip(READINGS, READ_AS, strict=True):
                start, width = self.span(split, reading)
                axes.text(start + width / 2, 0, words, linespacing=style.LINE_SPACING, **text)

    def _cell(self, axes: Axes, summary: Summary, top: float) -> None:
        claim = summary.claim
        start, width = self.span(claim.split, claim.reading)
        left, width, height = start + CELL_GAP / 2, width - CELL_GAP, ROW_HEIGHT - CELL_GAP
        corner = top + CELL_GAP / 2
        edge = left
        for verdict, colour in VERDICTS.items():
            share = width * getattr(summary, verdict) / summary.settings
            part = Rectangle((edge, corner), share, height, color=colour, linewidth=0)
            part.set_gid(f"verdict/{_name(claim)}/{verdict}")
            axes.add_patch(part)
            edge += share
        frame: dict[str, Any] = {"fill": False, "edgecolor": style.FAINT, "linewidth": style.THIN}
        axes.add_patch(Rectangle((left, corner), width, height, **frame))
        axes.text(
            left + width / 2,
            corner + height / 2,
            f"{summary.holds} of {summary.settings}",
            ha="center",
            va="center",
            size=style.SMALL_SIZE,
            gid=f"count/{_name(claim)}",
        )


def _name(claim: Claim) -> str:
    return f"{claim.name}/{claim.split}/{claim.reading}"
