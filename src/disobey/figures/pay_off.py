"""Whether deviating from the teacher pays: gain against misfit, a point per setting."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disobey.analysis.names import NATS, REFERENCE, SQUARED_PROBABILITY, STUDENT
from disobey.analysis.payoff import SCORES
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.link import Box, Point, number_points
from disobey.figures.panels import LEFT, RIGHT, even_ticks, grid, put_ticks, say, short, ticks_at
from disobey.figures.sheet import GAP, MARGIN, Sheet
from disobey.numbers import NBSP, interval

HEADS = {
    "brier": f"↑ gain over the teacher, Brier score ({SQUARED_PROBABILITY})",
    "nll": f"↑ gain over the teacher, NLL ({NATS})",
}
HEIGHT = 2.1
# Lines of equal pay-off, and how much of each scale is free.
LINES = (2, 1, 0, -1, -2, -4)
ROOM, EDGE = 1.08, 0.94
# How many settings stand side by side in the key.
COLUMNS = 3


def _root(values: Any) -> Any:  # noqa: ANN401 - of arrays and numbers
    return np.sign(values) * np.sqrt(np.abs(values))


def _square(values: Any) -> Any:  # noqa: ANN401
    return np.sign(values) * np.square(values)


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw gain against misfit of students and references on test, by Brier score and NLL.

    Both scales are square roots: numbers near 0 are not on top of each other, and lines of equal
    pay-off stay straight.

    Parameters
    ----------
    analyses : dict of str to Analysis
        By setting, in the order of the study.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns wide.
    """
    shown = {name: analysis for name, analysis in analyses.items() if "test" in analysis.splits}
    sheet = Sheet(style.TWO_COLUMNS)
    sheet.title("Pay-off of deviating from the teacher")
    hollow = {"markerfacecolor": style.HOLLOW, "linestyle": "", "markeredgewidth": style.MEDIUM}
    handles = [style.handle(STUDENT, linestyle=""), style.handle(REFERENCE, **hollow)]
    if any(map(_is_control, shown.values())):
        handles.append(style.handle(STUDENT, label="student without a teacher", **hollow))
    equal = style.handle(STUDENT, color=style.FAINT, marker="", label="equal pay-off")
    equal.set_linewidth(style.THIN)
    sheet.legend([*handles, equal])
    made = grid(sheet, [HEADS[score] for score in SCORES], len(SCORES), height=HEIGHT)
    size = np.array([sheet.width / len(SCORES) - LEFT - RIGHT, HEIGHT])
    for axes, score in zip(made, SCORES, strict=True):
        axes.set_xlabel("misfit (both scales: square root) →", size=style.SMALL_SIZE)
        _plane(axes, score, shown, size)
    _key(sheet, shown)
    return sheet.finish()


def _is_control(analysis: Analysis) -> bool:
    return "control" in analysis.about


def _points(analyses: Mapping[str, Analysis], score: str, model: str) -> list[Point]:
    """Return the settings where a model has a gain, by their numbers."""
    plane = f"{score}_misfit", f"{score}_gain"
    points = (
        Point(number, name, {what: analysis.number(what, model) for what in plane})
        for number, (name, analysis) in enumerate(analyses.items(), start=1)
    )
    return [point for point in points if point.known(plane)]


def _plane(axes: Axes, score: str, analyses: Mapping[str, Analysis], size: np.ndarray) -> None:
    plane = f"{score}_misfit", f"{score}_gain"
    students, references = (_points(analyses, score, model) for model in (STUDENT, REFERENCE))
    if not students:
        say(axes)
        return
    _scales(axes, [*students, *references], plane, float(size[0]))
    texts = list(_lines(axes, size))
    # Settings share references.
    distinct = {tuple(point.numbers[plane[0]]): point for point in references}
    for model, points in ((REFERENCE, distinct.values()), (STUDENT, students)):
        for point in points:
            control = model == REFERENCE or _is_control(analyses[point.setting])
            _mark(axes, point, plane, model, hollow=control)
    number_points(axes, students, plane, size, texts)


def _scales(axes: Axes, points: list[Point], plane: tuple[str, str], width: float) -> None:
    """Set both scales: misfit from 0, gain about 0, room for all intervals."""
    across, up = (
        [value for point in points for value in point.numbers[name] if math.isfinite(value)]
        for name in plane
    )
    right = max(across) or 1.0
    low, high = min(up), max(up)
    # A single gain, or none on one side, still shows where 0 is.
    least = 0.05 * max(right, high, -low)
    low, high = min(low, -least), max(high, least)
    axes.set_xscale("function", functions=(_root, _square))
    axes.set_yscale("function", functions=(_root, _square))
    axes.set(xlim=(0, right * ROOM), ylim=(low * ROOM, high * ROOM))
    ticks_at(axes, "x", [0, *_round(right)], width)
    below, above = ([sign * tick for tick in _round(end)] for sign, end in ((-1, -low), (1, high)))
    shown = [*(b for b in below[::-1]), 0.0, *above]
    put_ticks(axes, "y", shown, [short(tick) for tick in shown])


def _round(end: float) -> list[float]:
    """Return two round numbers up to an end, a quarter of it and the whole, about."""
    return sorted({tick for part in (0.3, 1) for tick in even_ticks(0, part * end, 2)[-1:] if tick})


def _lines(axes: Axes, size: np.ndarray) -> Iterator[Box]:
    """Draw lines of equal pay-off from no deviation to the frame; yield where they say which."""
    right, (low, high) = _root(axes.get_xlim()[1]), _root(np.array(axes.get_ylim()))
    for payoff in LINES:
        slope = float(_root(payoff))
        # Where the line meets the frame, in roots.
        x = right if not slope else min(right, (high if slope > 0 else low) / slope)
        line: dict[str, Any] = {
            "color": style.INK if not payoff else style.FAINT,
            "linewidth": style.THIN,
        }
        ends = np.array([[0, x], [0, slope * x]])
        axes.plot(*_square(ends), zorder=0.5, gid=f"equal/{payoff:g}", **line)
        share = (np.array([x, slope * x]) * EDGE - [0, low]) / [right, high - low]
        text = short(payoff)
        drawn = axes.text(
            share[0], share[1], text, transform=axes.transAxes, color=style.FAINT, zorder=0.6
        )
        drawn.set(size=style.SMALL_SIZE, ha="center", va="center")
        drawn.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.8})
        height = style.line_height(style.SMALL_SIZE)
        yield share * size, np.array([style.text_width(text, style.SMALL_SIZE), height]) / 2


def _mark(axes: Axes, point: Point, plane: tuple[str, str], model: str, *, hollow: bool) -> None:
    """Draw a point with both intervals."""
    role = style.ROLES[model]
    (x, left, right), (y, low, high) = (point.numbers[name] for name in plane)
    name = f"{plane[1]}/{model}/{point.setting}"
    bars: dict[str, Any] = {"color": role.colour, "linewidth": style.THIN, "alpha": 0.7}
    axes.plot([max(left, 0), right], [y, y], gid=f"across/{name}", **bars)
    axes.plot([x, x], [low, high], gid=f"up/{name}", **bars)
    axes.plot(
        [x],
        [y],
        role.marker,
        color=role.colour,
        markersize=style.MARKER_SIZE,
        markerfacecolor=style.HOLLOW if hollow else role.colour,
        markeredgewidth=style.MEDIUM,
        gid=f"point/{name}",
        clip_on=False,
    )


def _key(sheet: Sheet, analyses: Mapping[str, Analysis]) -> None:
    """Write number, name and the pay-off by Brier score of each setting, in columns."""
    sheet.write("Pay-off of the student by Brier score:")
    entries = list(_entries(analyses))
    columns = min(COLUMNS, len(entries))
    rows = -(-len(entries) // columns)
    width = sheet.width / columns
    wrapped = [style.wrap(entry, width - 2 * GAP, style.SMALL_SIZE) for entry in entries]
    blocks = ["\n".join(wrapped[start : start + rows]) for start in range(0, len(wrapped), rows)]
    height = style.line_height(style.SMALL_SIZE, max(block.count("\n") + 1 for block in blocks))
    for column, block in enumerate(blocks):
        axes = sheet.axes(MARGIN + column * width, width - 2 * GAP, height)
        axes.set_axis_off()
        text: dict[str, Any] = {
            "size": style.SMALL_SIZE,
            "va": "top",
            "linespacing": style.LINE_SPACING,
        }
        axes.text(0, 1, block, transform=axes.transAxes, **text)
    sheet.top += height + GAP


def _entries(analyses: Mapping[str, Analysis]) -> Iterator[str]:
    for number, (name, analysis) in enumerate(analyses.items(), start=1):
        payoff = interval(*analysis.number("brier_payoff", STUDENT), 0.0)
        yield f"{number}{NBSP}{NBSP}{name}{NBSP} {payoff.replace(f'{NBSP}[', ' [')}"
