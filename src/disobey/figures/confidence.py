"""The paper's plot: a model's confidence against its teacher's, by setting or by step."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from disobey.analysis.names import REFERENCE, STUDENT
from disobey.analysis.store import SPLITS, Analysis
from disobey.figures import cells, style
from disobey.figures.cells import X, Y, printed, shown_in
from disobey.figures.series import families, snapshots_of, unswitched
from disobey.figures.sheet import GAP, MARGIN, Sheet
from disobey.figures.style import ONE_HOT_FIRST
from disobey.numbers import NBSP, number

# The statistic whose sign the paper reads off the plot.
BOTTOM_GAP, SLOPE = "plot_gap_bottom_decile", "plot_slope"
# Inches: distance between axes, and the longest side; a longer one would show no more.
LEFT, BETWEEN_PAIRS, WITHIN_PAIR, TICKS, BELOW, LONGEST = 0.3, 0.19, 0.06, 0.13, 0.26, 1.35


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw student and second seed side by side against the teacher; train above, test below.

    The panels of a missing split or reference stay empty.
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
    """Return the legend: the models of all settings, the diagonal and the gap."""
    labels = {STUDENT: "distilled student", REFERENCE: "second seed, without a teacher"}
    equal = cells.diagonal_handle("as confident as the teacher")
    gap = Line2D([], [], color=style.INK, marker="|", linestyle="")
    gap.set(label="mean gap in the teacher's lowest decile", markeredgewidth=style.BOLD)
    return [*(style.handle(m, label=labels[m]) for m in shown_in(analyses)), equal, gap]


class Pair(NamedTuple):
    """One split of one setting: a square per model, side by side on the same scales.

    ``side`` is the length of a square's side and ``left`` the left edge of the first square, in
    inches; ``name`` is the heading above it.
    """

    analysis: Analysis
    split: str
    side: float
    left: float
    name: str


def draw_row(sheet: Sheet, pairs: Sequence[Pair], *, last: bool) -> None:
    """Add a row of pairs to a sheet; only the outer panels' axes have labels."""
    names = [style.wrap(p.name, 2 * p.side, style.SMALL_SIZE, "bold").splitlines() for p in pairs]
    numbers = [
        {m: _numbers(one, split, m, side) for m in cells.models_of(one.splits[split])}
        for one, split, side, *_ in pairs
    ]
    lines = max(len(words) for of_models in numbers for words in of_models.values())
    down = style.line_height(style.SMALL_SIZE, 1 + lines + max(map(len, names)))
    made: list[Axes] = []
    for (one, split, side, left, _), of_models, name in zip(pairs, numbers, names, strict=True):
        limits = plot_limits(one.splits[split])
        for place, (model, words) in enumerate(of_models.items()):
            axes = sheet.axes(left + place * (side + WITHIN_PAIR), side, side, down=down)
            if draw_plot(axes, one, split, model):
                cells.square_scale(axes, limits, left=place == 0)
            style.write(axes, "\n".join(words), color=style.ROLES[model].colour)
            if place == 0:
                _write_above(axes, cells.head(one, split), lines)
            if place == 0 and name:
                _write_above(axes, "\n".join(name), lines + 1, weight="bold")
            made.append(axes)
    made[0].set_ylabel(Y)
    for axes in made if last else ():
        axes.set_xlabel(X)
    sheet.top += down + pairs[0].side + (BELOW if last else TICKS) + GAP


def draw_plot(axes: Axes, analysis: Analysis, split: str, model: str) -> bool:
    """Draw one model: its density, means within quantile bins, and its gap in the lowest decile.

    The bar of the gap extends from the diagonal to the model's mean, at the teacher's mean within
    the decile.

    Returns
    -------
    bool
        True if there was any example.
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
    """Return limits for both axes that contain all examples except the tails."""
    density = data.density.transpose("compared", "teacher_bin", "model_bin").values
    return cells.limits_of(data.confidence_edge.values, [density])


def _numbers(analysis: Analysis, split: str, model: str, width: float) -> list[str]:
    """Return the lines of numbers of a panel, none wider than the panel."""
    gap, slope = printed(analysis, BOTTOM_GAP, model, split), analysis.number(SLOPE, model, split)
    lines = style.wrap(f"gap {gap}", width, style.SMALL_SIZE).splitlines()
    return lines if np.isnan(slope[0]) else [*lines, f"slope {number(slope[0])}"]


def _write_above(axes: Axes, text: str, lines: int, **options: Any) -> None:
    """Write text above axes, leaving room for ``lines`` lines of small text."""
    up = 2 + style.line_height(style.SMALL_SIZE, lines) / style.POINT
    style.write(axes, text, aside=(0, up), **options)


# --- over the steps of training ---------------------------------------------------------------

# The rows of models that never switch.
ALONE, PLAIN = "one-hot", "distilled"
# More panels per row than this need both columns of a page.
NARROW = 3
# Inches: left of the first panel, between panels, below the last row, and the longest side.
STEPS_LEFT, BETWEEN, STEPS_BELOW, STEPS_LONGEST = 0.46, 0.06, 0.28, 1.3
# A model, and a setting by epoch, in order.
Row = tuple[str, dict[float, Analysis]]


@style.styled
def draw_steps(analyses: dict[str, Analysis]) -> Figure:
    """Draw the plot of training examples, a row per arm of switching and a column per epoch.

    The horizontal axis is the final teacher. ``analyses`` are settings that differ in their switch,
    and their snapshots, named ``<setting>@<epoch>``.
    """
    rows = _rows(analyses)
    epochs = sorted({epoch for _, dated in rows.values() for epoch in dated})
    sheet = Sheet(style.TWO_COLUMNS if len(epochs) > NARROW else style.COLUMN_WIDTH)
    sheet.title("Confidence on training examples along training")
    last = rows[ALONE][1][epochs[-1]]
    (family,) = families([last], ())
    sheet.write(f"{family.name}: {cells.head(last, 'train')}")
    side = min((sheet.width - STEPS_LEFT + BETWEEN) / len(epochs) - BETWEEN, STEPS_LONGEST)
    found = [plot_limits(a.splits["train"]) for _, dated in rows.values() for a in dated.values()]
    limits = min(low for low, _ in found), max(high for _, high in found)
    sheet.top += style.line_height(style.SMALL_SIZE)
    for index, (label, (model, dated)) in enumerate(rows.items(), 1):
        for column, epoch in enumerate(epochs):
            axes = sheet.axes(MARGIN + STEPS_LEFT + column * (side + BETWEEN), side, side)
            _draw_step(axes, dated[epoch], model, limits)
            axes.tick_params(labelleft=column == 0, labelbottom=index == len(rows))
            if index == 1:
                words = "end, " if epoch == epochs[-1] else ""
                axes.set_title(f"{words}epoch{NBSP}{epoch:g}", pad=2)
            axes.set_xlabel(X if index == len(rows) else "")
            axes.set_ylabel("" if column else label)
        sheet.top += side + BETWEEN
    sheet.top += STEPS_BELOW + GAP
    return sheet.finish()


def _rows(analyses: dict[str, Analysis]) -> dict[str, Row]:
    """Return the rows by label: reference, student without a switch, students with one."""
    found = list(snapshots_of("steps", analyses).values())
    rows = {ALONE: (REFERENCE, found[0])}
    for never in (STUDENT, None):
        for dated in found:
            first = next(iter(dated.values()))
            if unswitched(first) == never:
                rows.setdefault(_label(first), (STUDENT, dated))
    return rows


def _label(analysis: Analysis) -> str:
    """Return the losses on which a setting's student is trained."""
    if unswitched(analysis) == STUDENT:
        return PLAIN
    switch = analysis.about["switch"]
    words = (ALONE, PLAIN)
    before, after = words if switch["order"] == ONE_HOT_FIRST else words[::-1]
    return f"{before}, then\n{after} from{NBSP}{switch['at']:g}"


def _draw_step(axes: Axes, analysis: Analysis, model: str, limits: tuple[float, float]) -> None:
    """Draw one arm at one epoch, and print its gap in the teacher's lowest decile."""
    axes.set(xlim=limits, ylim=limits)
    if not draw_plot(axes, analysis, "train", model):
        return
    cells.square_scale(axes, limits)
    if not np.isnan(analysis.number(BOTTOM_GAP, model, "train")[0]):
        gap = printed(analysis, BOTTOM_GAP, model, "train").replace(" [", "\n[")
        colour = style.ROLES[model].colour
        style.write(axes, gap, (0.97, 0.04), (0, 0), color=colour, ha="right")
