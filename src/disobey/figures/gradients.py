"""The gradient view: accuracies, cosines with true directions, right signs, the logit plot."""

from collections.abc import Sequence
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
from disobey.analysis.names import PERCENT, REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import SPLITS, Analysis
from disobey.figures import cells, style
from disobey.figures.sheet import GAP, MARGIN, Sheet, put_ticks, scale, write_head
from disobey.numbers import NBSP

MODELS = (TEACHER, REFERENCE, STUDENT)
# Inches: height of the panels, and the margins left of and below each panel for its labels.
HEIGHT, BELOW, RIGHT = 1.3, 0.27, 0.06
LEFTS = {"accuracy": 0.34, "cosine": 0.38, "signs": 0.92, "plot": 0.3}
# Distance between the two panels of the third column, and the height of the upper one.
BETWEEN, UPPER = 0.36, 0.32
NUMBER_ROOM = 4.0  # per cent
LINES: dict[str, Any] = {"train": (0, (2, 1)), "test": "-"}
# Distance between two models, in units of a class.
APART = 0.22
TARGETS = {ONE_HOT: ("one-hot labels", REFERENCE), TEACHER: ("teacher's targets", TEACHER)}


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw how the models of one setting relate to the true directions of the data."""
    analysis = cells.only("gradients", analyses)
    if analysis.gradients is None:
        raise ValueError(
            f"the figure gradients needs data with true directions; {analysis.setting} has none"
        )
    sheet = Sheet(style.TWO_COLUMNS)
    sheet.title(f"Gradient view: {analysis.setting}")
    lines = [Line2D([], [], color=style.INK, ls=look, label=split) for split, look in LINES.items()]
    first = Line2D([], [], color=style.INK, marker="o", markerfacecolor=style.HOLLOW, linestyle="")
    first.set_label("of first gradients")
    sheet.legend([*(style.handle(model) for model in MODELS), *lines, first])
    above = style.line_height(style.SMALL_SIZE)
    free = sheet.width - sum(LEFTS.values()) - RIGHT * len(LEFTS) - HEIGHT
    widths = dict.fromkeys(LEFTS, free / (len(LEFTS) - 1)) | {"plot": HEIGHT}
    edges, edge = {}, MARGIN
    for name, left in LEFTS.items():
        edges[name] = edge + left
        edge = edges[name] + widths[name] + RIGHT

    def put(name: str, head: str, height: float = HEIGHT, down: float = 0.0) -> Axes:
        """Add axes to a column, under a heading."""
        axes = sheet.axes(edges[name], widths[name], height, down=above + down)
        write_head(axes, head, LEFTS[name])
        return axes

    _draw_accuracies(put("accuracy", "Accuracy (%)"), analysis)
    _draw_cosines(put("cosine", "Cosine with the truth, by class"), analysis.gradients)
    _draw_signs(put("signs", "Pairs with the right sign (%)", UPPER), analysis.gradients)
    down = UPPER + BETWEEN
    lower = put("signs", "Student's mean cosine minus that of", HEIGHT - down, down)
    _draw_differences(lower, analysis.gradients)
    _draw_logits(put("plot", f"Train, n{NBSP}={NBSP}{cells.size(analysis, 'train')}"), analysis)
    sheet.top += above + HEIGHT + BELOW + GAP
    return sheet.finish()


def _draw_accuracies(axes: Axes, analysis: Analysis) -> None:
    """Draw accuracies over steps, or final accuracies if no curves were recorded."""
    shown: list[float] = []
    if analysis.curves is not None:
        shown = _draw_curves(axes, analysis.curves)
        axes.set_xlabel("step")
    else:
        for x, split in enumerate(SPLITS):
            for place, model in enumerate(MODELS):
                percent = [PERCENT * end for end in analysis.number("accuracy", model, split)]
                _mark(axes, x + APART * (place - 1), percent, model, f"final/{split}/{model}")
                shown += percent
        axes.set_xlim(-0.5, 1.5)
        put_ticks(axes, "x", [0, 1], SPLITS)
    scale(axes, "y", shown)


def _draw_curves(axes: Axes, curves: Curves) -> list[float]:
    """Draw train and test accuracy of each model with its band; return the means."""
    shown: list[float] = []
    drawn = [model for model in MODELS if model in curves.data.model]
    for model in drawn:
        data = curves.data.sel(model=model)
        for split, linestyle in LINES.items():
            ends = PERCENT * np.array([data[f"{split}_accuracy_{end}"] for end in ENDS])
            look = {"linestyle": linestyle, "marker": ""}
            role, gid = style.ROLES[model], f"curve/{split}/{model}"
            style.curve(axes, data.step.values, ends, role, gid, **look)
            shown += list(ends[0][np.isfinite(ends[0])])
    # Only the drawn models: a control may be trained for longer.
    scale(axes, "x", [0, float(np.nanmax(curves.data.step.sel(model=drawn)))])
    return shown


def _draw_cosines(axes: Axes, gradients: Gradients) -> None:
    """Draw the cosines of teacher, reference and student by class, with intervals over seeds."""
    shown: list[float] = []
    classes = gradients.data.sizes["class"]
    for place, model in enumerate(MODELS):
        ends = np.array([gradients.data.sel(model=model)[f"{COSINE}_{end}"] for end in ENDS])
        for k in range(classes):
            _mark(axes, k + APART * (place - 1), list(ends[:, k]), model, f"cosine/{model}/{k}")
        shown += list(ends.ravel())
    scale(axes, "y", shown)
    axes.set_xlim(-0.6, classes - 0.4)
    put_ticks(axes, "x", range(classes), list(map(str, range(classes))))
    axes.set_xlabel("class")


def _mark(
    axes: Axes,
    at: float,
    ends: Sequence[float],
    model: str,
    gid: str,
    *,
    upright: bool = True,
    filled: bool = True,
) -> None:
    """Draw an estimate and its interval, vertically at a position or horizontally in a row."""
    (estimate, low, high), role = ends, style.role_of(model)
    (axes.vlines if upright else axes.hlines)(at, low, high, role.colour, linewidth=style.MEDIUM)
    size = style.BINNED_SIZE if upright else style.MARKER_SIZE
    look = {"markersize": size, "markeredgewidth": 1.0}
    x, y = (at, estimate) if upright else (estimate, at)
    style.estimate(axes, x, y, role, gid, filled=filled and bool(np.isfinite(low)), **look)


def _draw_signs(axes: Axes, gradients: Gradients) -> None:
    """Draw the shares of pairs with the right sign, for first gradients and over training."""
    shown: list[float] = []
    for y, (target, (_, model)) in enumerate(TARGETS.items()):
        for share, filled in ((RIGHT_FIRST_GRADIENTS, False), (RIGHT_SIGNS, True)):
            percent = [PERCENT * end for end in gradients.number(share, target=target)]
            gid = f"{share}/{target}"
            _mark(axes, y, percent, model, gid, upright=False, filled=filled)
            shown += percent
        at = percent[0], y
        look: dict[str, Any] = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center"}
        axes.annotate(f"{percent[0]:.1f}", at, size=style.SMALL_SIZE, **look)
    # Margins of half a number on either side.
    shown += [min(shown) - NUMBER_ROOM, max(shown) + NUMBER_ROOM]
    _rows(axes, [words for words, _ in TARGETS.values()], shown)


def _draw_differences(axes: Axes, gradients: Gradients) -> None:
    """Draw the differences between the student's cosine and those of its controls."""
    found = {c: gradients.number(MEAN_COSINE_DIFFERENCE, control=c) for c in gradients.controls}
    for y, (name, ends) in enumerate(found.items()):
        _mark(axes, y, ends, name, f"difference/{name}", upright=False)
    style.null_line(axes, "x", 0, style.THIN)
    _rows(axes, [style.role_of(name).label for name in found], [0, *np.ravel(list(found.values()))])


def _rows(axes: Axes, labels: Sequence[str], shown: Sequence[float]) -> None:
    """Label the rows, with the first row at the top."""
    scale(axes, "x", shown)
    axes.set_ylim(len(labels) - 0.4, -0.7)
    put_ticks(axes, "y", range(len(labels)), labels)


def _draw_logits(axes: Axes, analysis: Analysis) -> None:
    """Draw the paper's plot of the training examples."""
    cells.draw_models(axes, analysis.splits["train"])
    axes.set(xlabel=cells.X, ylabel=cells.Y)
