"""The gradient view: accuracies, cosines with the true directions, right signs, the logit plot."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from disobey.analysis.curves import Curves
from disobey.analysis.gradients import (
    COSINE,
    MEAN_COSINE_DIFFERENCE,
    ONE_HOT,
    RIGHT_FIRST_GRADIENTS,
    RIGHT_SIGNS,
    Gradients,
)
from disobey.analysis.intervals import ENDS
from disobey.analysis.names import REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import SPLITS, Analysis
from disobey.figures import cells, style
from disobey.figures.panels import put_ticks, say, scale, write_head
from disobey.figures.sheet import GAP, MARGIN, Sheet
from disobey.figures.sizes import size
from disobey.numbers import NBSP

PAGE = 17 * style.CM
MODELS = (TEACHER, REFERENCE, STUDENT)
# Inches: height of all panels, what is free at the left of each for its labels, and below.
HEIGHT, BELOW, RIGHT = 1.3, 0.27, 0.06
LEFTS = {"accuracy": 0.34, "cosine": 0.38, "signs": 0.92, "plot": 0.3}
# Between the two panels of the third column, and the height of the upper one.
BETWEEN, UPPER = 0.36, 0.32
NUMBER_ROOM = 4.0  # per cent
LINES: dict[str, Any] = {"train": (0, (2, 1)), "test": "-"}
# Of classes beside each other the models stand apart, in units of a class.
APART = 0.22
TARGETS = {ONE_HOT: ("one-hot labels", REFERENCE), TEACHER: ("teacher's targets", TEACHER)}


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw what the data's true directions tell of one setting.

    Parameters
    ----------
    analyses : dict of str to Analysis
        One setting, with gradients.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns wide.

    Raises
    ------
    ValueError
        When there is not exactly one setting, or it has no gradients.
    """
    if len(analyses) != 1:
        raise ValueError(
            f"the figure gradients shows one setting, got {len(analyses)}; draw one figure each"
        )
    (analysis,) = analyses.values()
    if analysis.gradients is None:
        raise ValueError(
            f"the figure gradients needs data with true directions; {analysis.setting} has none"
        )
    sheet = Sheet(PAGE)
    sheet.title(f"Gradient view: {analysis.setting}")
    lines = [Line2D([], [], color=style.INK, ls=look, label=split) for split, look in LINES.items()]
    first = Line2D([], [], color=style.INK, marker="o", markerfacecolor=style.HOLLOW, linestyle="")
    first.set_label("of first gradients")
    sheet.legend([*(style.handle(model) for model in MODELS), *lines, first])
    above = style.line_height(style.SMALL_SIZE)
    free = sheet.width - sum(LEFTS.values()) - RIGHT * len(LEFTS) - HEIGHT
    put = _Columns(sheet, above, free / (len(LEFTS) - 1))
    _draw_accuracies(put.column("accuracy", "Accuracy (%)"), analysis)
    _draw_cosines(put.column("cosine", "Cosine with the truth, by class"), analysis.gradients)
    _draw_third_column(sheet, put, analysis.gradients)
    _draw_logits(put.column("plot", f"Train, n{NBSP}={NBSP}{size(analysis, 'train')}"), analysis)
    sheet.top += above + HEIGHT + BELOW + GAP
    return sheet.finish()


class _Columns:
    """Puts panels side by side, the last one a square."""

    def __init__(self, sheet: Sheet, above: float, width: float) -> None:
        self.sheet, self.above, self.width = sheet, above, width
        self.edge = MARGIN

    def column(self, name: str, head: str, height: float = HEIGHT) -> Axes:
        """Add the axes of a column under a heading; the next column stands beside it."""
        left, width = self.edge + LEFTS[name], HEIGHT if name == "plot" else self.width
        axes = self.sheet.axes(left, width, height, down=self.above)
        write_head(axes, head, LEFTS[name])
        self.edge = left + width + RIGHT
        return axes


def _draw_accuracies(axes: Axes, analysis: Analysis) -> None:
    """Draw accuracies over steps; where none were recorded, those at the end."""
    if analysis.curves is not None:
        shown = _draw_curves(axes, analysis.curves)
        axes.set_xlabel("step", size=style.SMALL_SIZE)
    else:
        shown = []
        for x, split in enumerate(SPLITS):
            for place, model in enumerate(MODELS):
                percent = [100 * end for end in analysis.number("accuracy", model, split)]
                _mark(axes, x + APART * (place - 1), percent, model, gid=f"final/{split}/{model}")
                shown += percent
        axes.set_xlim(-0.5, 1.5)
        put_ticks(axes, "x", [0, 1], SPLITS)
    scale(axes, "y", shown)


def _draw_curves(axes: Axes, curves: Curves) -> list[float]:
    """Draw train and test accuracy of each model with its band; return what has to be seen."""
    shown: list[float] = []
    for model in (m for m in MODELS if m in curves.data.model):
        data = curves.data.sel(model=model)
        step, colour = data.step.values, style.ROLES[model].colour
        for split, linestyle in LINES.items():
            mean, low, high = (100 * data[f"{split}_accuracy_{end}"].values for end in ENDS)
            axes.fill_between(step, low, high, color=colour, alpha=0.18, linewidth=0)
            line = partial(axes.plot, color=colour, linewidth=style.MEDIUM, linestyle=linestyle)
            line(step, mean, gid=f"curve/{split}/{model}")
            shown += list(mean[np.isfinite(mean)])
    scale(axes, "x", [0, float(np.nanmax(curves.data.step))])
    return shown


def _draw_cosines(axes: Axes, gradients: Gradients) -> None:
    """Draw each class's cosine of teacher, reference and student, with intervals over seeds."""
    shown: list[float] = []
    classes = gradients.data.sizes["class"]
    for place, model in enumerate(MODELS):
        ends = np.array([gradients.data.sel(model=model)[f"{COSINE}_{end}"] for end in ENDS])
        for k in range(classes):
            _mark(axes, k + APART * (place - 1), list(ends[:, k]), model, gid=f"cosine/{model}/{k}")
        shown += list(ends.ravel())
    scale(axes, "y", shown)
    axes.set_xlim(-0.6, classes - 0.4)
    ticks = list(range(classes))
    put_ticks(axes, "x", ticks, list(map(str, ticks)))
    axes.set_xlabel("class", size=style.SMALL_SIZE)


def _mark(axes: Axes, x: float, ends: Sequence[float], model: str, gid: str) -> None:
    """Draw an estimate and its interval upright at ``x``."""
    role = style.role_of(model)
    estimate, low, high = ends
    axes.vlines(x, low, high, color=role.colour, linewidth=style.MEDIUM)
    known = np.isfinite(low)
    axes.plot(
        x, estimate, role.marker, color=role.colour, markersize=style.BINNED_SIZE,
        markerfacecolor=role.colour if known else style.HOLLOW, gid=gid,
    )  # fmt: skip


def _draw_third_column(sheet: Sheet, put: _Columns, gradients: Gradients) -> None:
    """Draw shares of right signs above, and below by how much the student's cosine is higher."""
    edge = put.edge
    upper = put.column("signs", "Pairs with the right sign (%)", UPPER)
    shown: list[float] = []
    for y, (target, (_, model)) in enumerate(TARGETS.items()):
        for share, filled in ((RIGHT_FIRST_GRADIENTS, False), (RIGHT_SIGNS, True)):
            percent = [100 * end for end in gradients.number(share, target=target)]
            _row(upper, y, percent, model, filled=filled, gid=f"{share}/{target}")
            shown += percent
        upper.annotate(
            f"{percent[0]:.1f}", (percent[0], y), xytext=(0, 3), textcoords="offset points",
            size=style.SMALL_SIZE, ha="center",
        )  # fmt: skip
    # Room for half a number on either side.
    shown += [min(shown) - NUMBER_ROOM, max(shown) + NUMBER_ROOM]
    _rows(upper, [words for words, _ in TARGETS.values()], shown)
    down = put.above + UPPER + BETWEEN
    left, height = edge + LEFTS["signs"], HEIGHT - UPPER - BETWEEN
    lower = sheet.axes(left, put.width, height, down=down)
    write_head(lower, "Student's mean cosine minus that of", LEFTS["signs"])
    names = gradients.controls
    found = [gradients.number(MEAN_COSINE_DIFFERENCE, control=name) for name in names]
    for y, (name, ends) in enumerate(zip(names, found, strict=True)):
        _row(lower, y, ends, name, filled=True, gid=f"difference/{name}")
    lower.axvline(0, color=style.INK, linewidth=style.THIN, linestyle=(0, (3, 2)))
    _rows(lower, [style.role_of(name).label for name in names], [0, *np.ravel(found)])


def _row(axes: Axes, y: int, ends: Sequence[float], model: str, *, filled: bool, gid: str) -> None:
    """Draw an estimate and its interval in a row."""
    role = style.role_of(model)
    estimate, low, high = ends
    axes.hlines(y, low, high, color=role.colour, linewidth=style.MEDIUM)
    filled &= bool(np.isfinite(low))
    axes.plot(
        estimate, y, role.marker, color=role.colour, markersize=style.MARKER_SIZE, gid=gid,
        markerfacecolor=role.colour if filled else style.HOLLOW,
    )  # fmt: skip


def _rows(axes: Axes, labels: Sequence[str], shown: Sequence[float]) -> None:
    """Name the rows, the first one above."""
    scale(axes, "x", shown)
    axes.set_ylim(len(labels) - 0.4, -0.7)
    put_ticks(axes, "y", range(len(labels)), labels)


def _draw_logits(axes: Axes, analysis: Analysis) -> None:
    """Draw the paper's plot of the training examples."""
    data = analysis.splits.get("train")
    if data is None:
        say(axes, "no training split")
        return
    edges, models = data.confidence_edge.values, cells.models_of(data)
    counts = {
        model: data.density.sel(compared=model).transpose("teacher_bin", "model_bin").values
        for model in models
    }
    if not cells.draw_cells(axes, edges, counts[STUDENT], STUDENT):
        return
    for model in reversed(models):
        here = data.sel(compared=model)
        cells.draw_means(axes, here.binned_teacher.values, here.binned_model.values, model)
    limits = cells.limits_of(edges, list(counts.values()))
    cells.square_scale(axes, limits, left=True, below=True)
    axes.set_xlabel("teacher (logit)", size=style.SMALL_SIZE)
    axes.set_ylabel("model (logit)", size=style.SMALL_SIZE)
