"""The paper's plot: a model's confidence against its teacher's, by setting or by step."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from disobey.analysis.names import REFERENCE, STUDENT
from disobey.analysis.store import SPLITS, Analysis
from disobey.figures import cells, style
from disobey.figures.cells import printed, shown_in, size
from disobey.figures.families import families, snapshots_of, unswitched
from disobey.figures.sheet import GAP, MARGIN, Sheet
from disobey.figures.style import ONE_HOT_FIRST
from disobey.numbers import NBSP, number

# The number whose sign the paper reads off the plot.
BOTTOM_GAP, SLOPE = "plot_gap_bottom_decile", "plot_slope"
# Inches: between the axes, and the longest side; a longer one shows nothing more.
LEFT, BETWEEN_PAIRS, WITHIN_PAIR, TICKS, BELOW, LONGEST = 0.3, 0.19, 0.06, 0.13, 0.26, 1.35
X, Y = "teacher (logit)", "model (logit)"


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw student and, beside it, second seed against the teacher; train above, test below.

    A comparison may have one split or no reference: these places stay empty.
    """
    sheet = Sheet(style.TWO_COLUMNS if len(analyses) > 1 else style.COLUMN_WIDTH)
    sheet.title("Confidence in the class that the teacher predicts")
    sheet.legend(legend(analyses.values()))
    cell = (sheet.width - LEFT + BETWEEN_PAIRS) / len(analyses)
    side = min((cell - BETWEEN_PAIRS - WITHIN_PAIR) / 2, LONGEST)
    splits = [s for s in SPLITS if any(s in a.splits for a in analyses.values())]
    for row, split in enumerate(splits):
        pairs = [
            Pair(one, split, side, MARGIN + LEFT + column * cell, one.setting * (row == 0))
            for column, one in enumerate(analyses.values())
            if split in one.splits
        ]
        draw_row(sheet, pairs, last=row == len(splits) - 1)
    return sheet.finish()


def legend(analyses: Iterable[Analysis]) -> list[Line2D]:
    """Return the legend: the models that any setting has, the diagonal and the gap."""
    labels = {STUDENT: "distilled student", REFERENCE: "second seed, without a teacher"}
    equal = style.handle(STUDENT, color=style.INK, marker="", linestyle=style.DASHED)
    equal.set(label="as confident as the teacher", linewidth=style.MEDIUM)
    gap = Line2D([], [], color=style.INK, marker="|", linestyle="")
    gap.set(label="mean gap in the teacher's lowest decile", markeredgewidth=style.BOLD)
    return [*(style.handle(m, label=labels[m]) for m in shown_in(analyses)), equal, gap]


class Pair:
    """One split of one setting: a square for each model, side by side on the same scales.

    Parameters
    ----------
    analysis : Analysis
    split : str
    side, left : float
        Of a square, and the left edge of the first one; in inches.
    name : str
        The heading above it.
    """

    def __init__(
        self, analysis: Analysis, split: str, side: float, left: float, name: str = ""
    ) -> None:
        self.analysis, self.split, self.side, self.left = analysis, split, side, left
        self.models = cells.models_of(analysis.splits[split])
        self.name = style.wrap(name, 2 * side, style.SMALL_SIZE, "bold").splitlines()
        self.numbers = [_numbers(analysis, split, model, side) for model in self.models]

    @property
    def lines(self) -> int:
        """The number of lines above the squares."""
        return max(map(len, self.numbers))

    def draw(self, sheet: Sheet, down: float, lines: int) -> list[Axes]:
        """Draw the squares ``down`` inches below the sheet's top, under as many lines of numbers.

        Returns
        -------
        list of matplotlib.axes.Axes
            One per model.
        """
        limits = plot_limits(self.analysis.splits[self.split])
        made = []
        for place, (model, numbers) in enumerate(zip(self.models, self.numbers, strict=True)):
            edge = self.left + place * (self.side + WITHIN_PAIR)
            axes = sheet.axes(edge, self.side, self.side, down=down)
            if draw_plot(axes, self.analysis, self.split, model):
                cells.square_scale(axes, limits, left=place == 0)
            style.write(axes, "\n".join(numbers), color=style.ROLES[model].colour)
            made.append(axes)
        _write_above(made[0], cells.head(self.analysis, self.split), lines)
        if self.name:
            _write_above(made[0], "\n".join(self.name), lines + 1, weight="bold")
        return made


def draw_row(sheet: Sheet, pairs: Sequence[Pair], *, last: bool) -> list[Axes]:
    """Add a row of pairs to a sheet; only the outer panels' axes have labels."""
    lines = max(pair.lines for pair in pairs)
    down = style.line_height(style.SMALL_SIZE, 1 + lines + max(len(pair.name) for pair in pairs))
    rows = [pair.draw(sheet, down, lines) for pair in pairs]
    rows[0][0].set_ylabel(Y)
    made = [axes for row in rows for axes in row]
    for axes in made if last else ():
        axes.set_xlabel(X)
    sheet.top += down + pairs[0].side + (BELOW if last else TICKS) + GAP
    return made


def draw_plot(axes: Axes, analysis: Analysis, split: str, model: str) -> bool:
    """Draw one model: its density, means within quantile bins, and its gap in the lowest decile.

    The bar of the gap reaches from the diagonal to the model's mean, at the teacher's mean within
    the decile.

    Returns
    -------
    bool
        Whether there was an example.
    """
    data = analysis.splits[split]
    here = data.sel(compared=model)
    counts = here.density.transpose("teacher_bin", "model_bin").values
    teacher, binned = here.binned_teacher.values, here.binned_model.values
    if not cells.draw_cells(axes, data.confidence_edge.values, counts, model):
        return False
    cells.draw_means(axes, teacher, binned, model)
    gap, _, _ = analysis.number(BOTTOM_GAP, model, split)
    lowest = float(teacher[: len(teacher) // 10].mean())
    (bar,) = axes.plot([lowest] * 2, [lowest, lowest + gap], zorder=5, gid=f"gap/{model}")
    bar.set(color=style.INK, linewidth=style.BOLD, solid_capstyle="butt")
    return True


def plot_limits(data: xr.Dataset) -> tuple[float, float]:
    """Return the part of the scale that holds all examples but the tails, for both axes."""
    density = data.density.transpose("compared", "teacher_bin", "model_bin").values
    return cells.limits_of(data.confidence_edge.values, [density])


def _numbers(analysis: Analysis, split: str, model: str, width: float) -> list[str]:
    """Return the lines of numbers of a panel, each as wide as the panel at most."""
    gap, slope = printed(analysis, BOTTOM_GAP, model, split), analysis.number(SLOPE, model, split)
    lines = style.wrap(f"gap {gap}", width, style.SMALL_SIZE).splitlines()
    if any(style.text_width(line, style.SMALL_SIZE) > width or line[-1] in "[." for line in lines):
        gap = gap.replace(NBSP, " ")
        lines = style.wrap(f"gap {gap}", width, style.SMALL_SIZE).splitlines()
    return lines if np.isnan(slope[0]) else [*lines, f"slope {number(slope[0])}"]


def _write_above(axes: Axes, text: str, lines: int, **options: Any) -> None:  # noqa: ANN401
    """Write above axes and ``lines`` lines of small text."""
    up = 2 + style.line_height(style.SMALL_SIZE, lines) / style.POINT
    style.write(axes, text, aside=(0, up), **options)


# --- over the steps of training ---------------------------------------------------------------

# Rows of models that never switch.
ALONE, PLAIN = "one-hot", "distilled"
# More columns than this need both columns of a page.
NARROW = 3
# Inches: left of the first panel, between panels, below the last row, and the longest side.
STEPS_LEFT, BETWEEN, STEPS_BELOW, STEPS_LONGEST = 0.46, 0.06, 0.28, 1.3


@dataclass(frozen=True)
class Row:
    """A model, reference or student, at every epoch: ``analyses`` by epoch, in order."""

    label: str
    model: str
    analyses: dict[float, Analysis]


@style.styled
def draw_steps(analyses: dict[str, Analysis]) -> Figure:
    """Draw the plot of training examples, a row for each arm of switching, a column for each epoch.

    The horizontal axis is the final teacher. ``analyses`` are settings that differ in their switch,
    and their snapshots, named ``<setting>@<epoch>``.
    """
    rows = _rows(analyses)
    epochs = sorted({epoch for row in rows for epoch in row.analyses})
    sheet = Sheet(style.TWO_COLUMNS if len(epochs) > NARROW else style.COLUMN_WIDTH)
    sheet.title("Confidence on training examples along training")
    last = rows[0].analyses[epochs[-1]]
    (family,) = families([last], ())
    sheet.write(f"{family.name}, n{NBSP}={NBSP}{size(last, 'train')}")
    side = min((sheet.width - STEPS_LEFT + BETWEEN) / len(epochs) - BETWEEN, STEPS_LONGEST)
    found = [plot_limits(a.splits["train"]) for row in rows for a in row.analyses.values()]
    limits = min(low for low, _ in found), max(high for _, high in found)
    sheet.top += style.line_height(style.SMALL_SIZE)
    for index, row in enumerate(rows):
        for column, epoch in enumerate(epochs):
            left = MARGIN + STEPS_LEFT + column * (side + BETWEEN)
            axes = sheet.axes(left, side, side)
            _draw_step(axes, row, epoch, limits)
            axes.tick_params(labelleft=column == 0, labelbottom=index == len(rows) - 1)
            if index == 0:
                words = "end, " if epoch == epochs[-1] else ""
                axes.set_title(f"{words}epoch{NBSP}{epoch:g}", pad=2)
            if index == len(rows) - 1:
                axes.set_xlabel(X)
            if column == 0:
                axes.set_ylabel(row.label)
        sheet.top += side + BETWEEN
    sheet.top += STEPS_BELOW + GAP
    return sheet.finish()


def _rows(analyses: dict[str, Analysis]) -> list[Row]:
    """Return the reference, the student without a switch, then those with one."""
    found = list(snapshots_of("steps", analyses).values())
    rows = {ALONE: Row(ALONE, REFERENCE, found[0])}
    for never in (STUDENT, None):
        for dated in found:
            if unswitched(next(iter(dated.values()))) == never:
                rows.setdefault(_label(dated), Row(_label(dated), STUDENT, dated))
    return list(rows.values())


def _label(dated: dict[float, Analysis]) -> str:
    """Return the losses on which a setting's student is trained."""
    first = next(iter(dated.values()))
    if unswitched(first) == STUDENT:
        return PLAIN
    switch = first.about["switch"]
    words = (ALONE, PLAIN)
    before, after = words if switch["order"] == ONE_HOT_FIRST else words[::-1]
    return f"{before}, then\n{after} from{NBSP}{switch['at']:g}"


def _draw_step(axes: Axes, row: Row, epoch: float, limits: tuple[float, float]) -> None:
    """Draw one arm at one epoch, with its gap in the teacher's lowest decile in numbers."""
    analysis = row.analyses[epoch]
    axes.set(xlim=limits, ylim=limits)
    if not draw_plot(axes, analysis, "train", row.model):
        return
    cells.square_scale(axes, limits)
    if not np.isnan(analysis.number(BOTTOM_GAP, row.model, "train")[0]):
        gap = printed(analysis, BOTTOM_GAP, row.model, "train").replace(" [", "\n[")
        colour = style.ROLES[row.model].colour
        style.write(axes, gap, (0.97, 0.04), (0, 0), color=colour, ha="right")
