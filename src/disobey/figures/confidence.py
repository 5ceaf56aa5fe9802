"""The paper's plot: confidence of student and second seed against the teacher's, per setting."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from disobey.analysis.names import REFERENCE, STUDENT
from disobey.analysis.store import SPLITS, Analysis
from disobey.figures import style
from disobey.figures.cells import draw_cells, draw_means
from disobey.figures.panels import even_ticks, put_ticks, short_labels
from disobey.figures.sheet import GAP, MARGIN, Sheet
from disobey.figures.sizes import size
from disobey.numbers import NBSP, interval, number

# The second seed stands beside the student, in a panel of its own.
BESIDE = (STUDENT, REFERENCE)
# The number whose sign the paper reads off the plot, and what a model without a deviation has.
BOTTOM_GAP, NO_GAP = "plot_gap_bottom_decile", 0.0
SLOPE = "plot_slope"
# Inches: between the axes, and of the longest side; a longer one shows nothing more.
LEFT, BETWEEN_PAIRS, WITHIN_PAIR, TICKS, BELOW, LONGEST = 0.3, 0.19, 0.06, 0.13, 0.26, 1.35
# Share of the examples beyond each end of an axis, and of an axis without any example.
TAIL, ROOM = 0.002, 0.04
MAX_TICKS = 3
# Share of an axis at either end without a tick: its label would reach into the next panel.
INSET = 0.1
FALLBACK = (-1.0, 1.0)


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw the student's, and beside it the second seed's, confidence logit against the teacher's.

    Parameters
    ----------
    analyses : dict of str to Analysis
        From left to right; train above, test below. A comparison may have one split or no
        reference: what it lacks stays empty.

    Returns
    -------
    matplotlib.figure.Figure
        One column wide for one setting, else two.
    """
    sheet = Sheet(style.TWO_COLUMNS if len(analyses) > 1 else style.COLUMN_WIDTH)
    sheet.title("Confidence in the class that the teacher predicts")
    sheet.legend(legend(analyses.values()))
    cell = (sheet.width - LEFT + BETWEEN_PAIRS) / len(analyses)
    side = min((cell - BETWEEN_PAIRS - WITHIN_PAIR) / 2, LONGEST)
    splits = [s for s in SPLITS if any(s in a.splits for a in analyses.values())]
    for row, split in enumerate(splits):
        pairs = [
            Pair(
                analysis, split, side, MARGIN + LEFT + column * cell, analysis.setting * (row == 0)
            )
            for column, analysis in enumerate(analyses.values())
            if split in analysis.splits
        ]
        draw_row(sheet, pairs, last=row == len(splits) - 1)
    return sheet.finish()


def legend(analyses: Iterable[Analysis]) -> list[Line2D]:
    """Return the legend: the models that any setting has, the diagonal and the gap."""
    labels = {STUDENT: "distilled student", REFERENCE: "second seed, without a teacher"}
    shown = {m for a in analyses for data in a.splits.values() for m in compared_in(data)}
    equal = style.handle(STUDENT, color=style.INK, marker="", linestyle=(0, (3, 2)))
    equal.set(label="as confident as the teacher", linewidth=style.MEDIUM)
    gap = Line2D([], [], color=style.INK, marker="|", linestyle="")
    gap.set(label="mean gap in the teacher's lowest decile", markeredgewidth=style.BOLD)
    return [*(style.handle(m, label=labels[m]) for m in BESIDE if m in shown), equal, gap]


def compared_in(data: xr.Dataset) -> list[str]:
    """Return the models that a split's plot shows: those that were compared with the teacher."""
    return [model for model in BESIDE if model in data.compared.values]


class Pair:
    """One split of one setting: a square for each model, side by side on the same scales.

    Parameters
    ----------
    analysis : Analysis
    split : str
    side, left : float
        Of a square, and where the first one begins; in inches.
    name : str
        What stands above it.
    """

    def __init__(
        self, analysis: Analysis, split: str, side: float, left: float, name: str = ""
    ) -> None:
        self.analysis, self.split, self.side, self.left = analysis, split, side, left
        self.models = compared_in(analysis.splits[split])
        self.name = style.wrap(name, 2 * side, style.SMALL_SIZE, "bold").splitlines()
        self.numbers = [_numbers(analysis, split, model, side) for model in self.models]

    @property
    def lines(self) -> int:
        """How many lines of numbers stand above the squares."""
        return max(map(len, self.numbers))

    def draw(self, sheet: Sheet, down: float, lines: int) -> list[Axes]:
        """Draw the squares ``down`` inches below the sheet's top, under as many lines of numbers.

        Returns
        -------
        list of matplotlib.axes.Axes
            One per model.
        """
        limits = plot_limits(self.analysis.splits[self.split])
        inset = INSET * (limits[1] - limits[0])
        ticks = even_ticks(limits[0] + inset, limits[1] - inset, MAX_TICKS)
        made = []
        for place, (model, numbers) in enumerate(zip(self.models, self.numbers, strict=True)):
            edge = self.left + place * (self.side + WITHIN_PAIR)
            axes = sheet.axes(edge, self.side, self.side, down=down)
            axes.set(xlim=limits, ylim=limits)
            if draw_plot(axes, self.analysis, self.split, model):
                for which in "xy":
                    put_ticks(axes, which, ticks, short_labels(ticks))
            axes.tick_params(labelleft=place == 0)
            write_above(axes, "\n".join(numbers), color=style.ROLES[model].colour)
            made.append(axes)
        of = f"{self.split}, n{NBSP}={NBSP}{size(self.analysis, self.split)}"
        write_above(made[0], of, lines)
        if self.name:
            write_above(made[0], "\n".join(self.name), lines + 1, weight="bold")
        return made


def draw_row(sheet: Sheet, pairs: Sequence[Pair], *, last: bool) -> list[Axes]:
    """Add a row of pairs to a sheet; only the outer panels' axes are named."""
    lines = max(pair.lines for pair in pairs)
    down = style.line_height(style.SMALL_SIZE, 1 + lines + max(len(pair.name) for pair in pairs))
    rows = [pair.draw(sheet, down, lines) for pair in pairs]
    rows[0][0].set_ylabel("model (logit)", size=style.SMALL_SIZE)
    made = [axes for row in rows for axes in row]
    for axes in made if last else ():
        axes.set_xlabel("teacher (logit)", size=style.SMALL_SIZE)
    sheet.top += down + pairs[0].side + (BELOW if last else TICKS) + GAP
    return made


def draw_plot(axes: Axes, analysis: Analysis, split: str, model: str) -> bool:
    """Draw one model: its density, means within quantile bins, and its gap in the lowest decile.

    The bar of the gap reaches from the diagonal to where the model's mean lies, at the teacher's
    mean within the decile.

    Returns
    -------
    bool
        Whether there was anything to draw.
    """
    data = analysis.splits[split]
    edges = data.confidence_edge.values
    here = data.sel(compared=model)
    cells = here.density.transpose("teacher_bin", "model_bin").values
    teacher, binned = here.binned_teacher.values, here.binned_model.values
    if not draw_cells(axes, edges, cells, model):
        return False
    draw_means(axes, teacher, binned, model)
    gap, _, _ = analysis.number(BOTTOM_GAP, model, split)
    lowest = float(teacher[: len(teacher) // 10].mean())
    (bar,) = axes.plot([lowest] * 2, [lowest, lowest + gap], zorder=5, gid=f"gap/{model}")
    bar.set(color=style.INK, linewidth=style.BOLD, solid_capstyle="butt")
    return True


def _numbers(analysis: Analysis, split: str, model: str, width: float) -> list[str]:
    """Return the lines of numbers of a panel, each as wide as the panel at most."""
    gap, slope = (analysis.number(name, model, split) for name in (BOTTOM_GAP, SLOPE))
    printed = f"gap {interval(*gap, NO_GAP).replace(f'{NBSP}[', ' [')}"
    lines = style.wrap(printed, width, style.SMALL_SIZE).splitlines()
    if any(style.text_width(line, style.SMALL_SIZE) > width or line[-1] in "[." for line in lines):
        lines = style.wrap(printed.replace(NBSP, " "), width, style.SMALL_SIZE).splitlines()
    return lines if np.isnan(slope[0]) else [*lines, f"slope {number(slope[0])}"]


def write_above(axes: Axes, text: str, lines: int = 0, **options: Any) -> None:  # noqa: ANN401 - of a text
    """Write above axes and ``lines`` lines of small text."""
    axes.annotate(
        text,
        xy=(0, 1),
        xycoords="axes fraction",
        xytext=(0, 2 + style.line_height(style.SMALL_SIZE, lines) / style.POINT),
        textcoords="offset points",
        size=style.SMALL_SIZE,
        va="bottom",
        linespacing=style.LINE_SPACING,
        **options,
    )


def plot_limits(data: xr.Dataset) -> tuple[float, float]:
    """Return the part of the scale that holds all examples but the tails, for both axes."""
    edges = data.confidence_edge.values
    ends: list[float] = []
    for axis in ("teacher_bin", "model_bin"):
        counts = data.density.sum([dim for dim in data.density.dims if dim != axis]).values
        below, total = counts.cumsum(), counts.sum()
        tails = (below <= TAIL * total) | (below - counts >= (1 - TAIL) * total)
        inside = np.flatnonzero(~tails)
        if len(inside):
            ends += [float(edges[inside[0]]), float(edges[inside[-1] + 1])]
    low, high = (min(ends), max(ends)) if ends else FALLBACK
    room = ROOM * (high - low)
    return low - room, high + room
