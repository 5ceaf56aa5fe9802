"""Settings as numbered points: bias, confidence and gain in accuracy; gain against misfit."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disobey.analysis.names import (
    EFFECT,
    EXAGGERATION,
    NATS,
    REFERENCE,
    SQUARED_PROBABILITY,
    STUDENT,
)
from disobey.analysis.payoff import SCORES
from disobey.analysis.statistics import statistic_of
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.series import BIAS, NO_CHANGE, Numbers, number_of
from disobey.figures.sheet import (
    GAP,
    LEFT,
    MARGIN,
    RIGHT,
    Sheet,
    even_ticks,
    grid,
    put_ticks,
    say,
    scale,
    short,
)
from disobey.numbers import NBSP, interval

# Positions of a point's number, in inches from the point, the nearest first.
RADII, ANGLES = (0.085, 0.12, 0.16, 0.2, 0.25, 0.3, 0.36, 0.43), 16
# At this distance or more, a line connects number and point.
FAR = 0.14
# Half the size of a marker, half the width of an interval's bar, and the margin of numbers.
MARKER, BAR = 0.03, 0.006
# The share of a connecting line that its number covers.
STOP_SHORT = 0.25
# Centre and half sizes, in inches.
Box = tuple[np.ndarray, np.ndarray]
# The names of the horizontal and the vertical number.
Plane = tuple[str, str]


@dataclass(frozen=True)
class Point:
    """A setting: its number in the figure, and its estimate and interval in each dimension."""

    number: int
    setting: str
    numbers: dict[str, Numbers]

    def known(self, plane: Plane) -> bool:
        """Return True if both of its estimates in a plane are known."""
        return all(math.isfinite(self.numbers[name][0]) for name in plane)

    def draw(
        self,
        axes: Axes,
        plane: Plane,
        model: str,
        name: str,
        *,
        filled: bool,
        bars: Mapping[str, Any],
        least: float = -math.inf,
        **look: Any,
    ) -> None:
        """Draw the marker and both intervals, cut off below ``least``."""
        (x, left, right), (y, low, high) = (self.numbers[what] for what in plane)
        name, role = f"{name}/{self.setting}", style.ROLES[model]
        ends = [max(left, least), right]
        axes.plot(ends, [y, y], color=role.colour, gid=f"across/{name}", **bars)
        axes.plot([x, x], [low, high], color=role.colour, gid=f"up/{name}", **bars)
        style.estimate(axes, x, y, role, f"point/{name}", filled=filled, **look)


def number_points(
    axes: Axes, points: list[Point], plane: Plane, size: np.ndarray, texts: Sequence[Box] = ()
) -> None:
    """Write the number of each point clear of other text, points and intervals.

    ``size`` is the size of the axes and ``texts`` are boxes of existing text, in inches.
    """
    place = axes.transScale + axes.transLimits

    def inches(across: int, up: int) -> np.ndarray:
        """Return points, or ends of their intervals, in inches from the corner, (point, 2)."""
        ends = zip(plane, (across, up), strict=True)
        values = np.array([[p.numbers[name][end] for p in points] for name, end in ends]).T
        return place.transform(values) * size

    at = inches(0, 0)
    avoided = [(middle, np.full(2, MARKER)) for middle in at]
    for low, high in ((inches(1, 0), inches(2, 0)), (inches(0, 1), inches(0, 2))):
        avoided += zip((low + high) / 2, (high - low) / 2 + BAR, strict=True)
    written = list(texts)
    for point, middle in zip(points, at, strict=True):
        text = str(point.number)
        width = style.text_width(text, style.SMALL_SIZE)
        half = np.array([width, style.line_height(style.SMALL_SIZE)]) / 2 + BAR
        free = _free_place(middle, half, written, avoided, size)
        written.append((free, half))
        style.write(axes, text, tuple(free / size), (0, 0), ha="center", va="center", zorder=4)
        if np.hypot(*(free - middle)) > FAR:
            line = np.stack([middle, free - (free - middle) * STOP_SHORT]) / size
            look: dict[str, Any] = {"color": style.FAINT, "linewidth": style.THIN, "zorder": 1}
            axes.plot(*line.T, transform=axes.transAxes, **look)


def _free_place(
    middle: np.ndarray,
    half: np.ndarray,
    written: Sequence[Box],
    avoided: Sequence[Box],
    size: np.ndarray,
) -> np.ndarray:
    """Return the nearest position for a box that overlaps numbers, then points and bars, least."""
    turns = 2 * np.pi * (np.arange(ANGLES) / ANGLES + 1 / 8)
    around = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    places = [middle + radius * turn for radius in RADII for turn in around]
    inside = [p for p in places if (p - half >= 0).all() and (p + half <= size).all()]

    def overlaps(place: np.ndarray) -> tuple[float, float]:
        first, second = (_shared(place, half, boxes) for boxes in (written, avoided))
        return first, second

    return min(inside or places, key=overlaps)


def _shared(place: np.ndarray, half: np.ndarray, boxes: Sequence[Box]) -> float:
    """Return the area of a box's overlap with other boxes."""
    shared = [half + other - np.abs(place - centre) for centre, other in boxes]
    return sum(float(np.prod(both)) for both in shared if (both > 0).all())


# --- bias, confidence and gain in accuracy ----------------------------------------------------

STATISTICS = {
    "bias": (BIAS, STUDENT), "confidence": (EXAGGERATION, STUDENT), "gain": ("accuracy", EFFECT),
}  # fmt: skip
PLANES = (("bias", "confidence"), ("confidence", "gain"), ("bias", "gain"))
# With at most this many settings the planes are side by side.
FEW = 4
HEIGHTS = {True: 1.0, False: 1.6}


@style.styled
def draw_link(analyses: dict[str, Analysis]) -> Figure:
    """Draw progress ratio, exaggeration of confidence and gain in accuracy against each other.

    Settings without a bias analysis are left out.
    """
    chosen = {name: analysis for name, analysis in analyses.items() if analysis.bias is not None}
    if not chosen:
        raise ValueError("the figure link needs a setting with a bias analysis, got none")
    points = [
        Point(number, setting, {name: number_of(one, *of) for name, of in STATISTICS.items()})
        for number, (setting, one) in enumerate(chosen.items(), start=1)
    ]
    sheet = Sheet()
    sheet.title("Implicit bias, confidence and accuracy")
    few = len(points) <= FEW
    columns, planes = (2, PLANES[:2]) if few else (1, PLANES)
    made = grid(sheet, [f"↑ {_label(up)}" for _, up in planes], columns, height=HEIGHTS[few])
    size = np.array([sheet.width / columns - LEFT - RIGHT, HEIGHTS[few]])
    for axes, plane in zip(made, planes, strict=True):
        axes.set_xlabel(f"{_label(plane[0])} →")
        _draw_plane(axes, plane, [point for point in points if point.known(plane)], size)
    lines = []
    for point in points:
        seen = any(point.known(plane) for plane in PLANES)
        lines.append(f"{point.number}{NBSP}{NBSP}{point.setting}{'' if seen else ': no estimate'}")
    sheet.write((3 * NBSP + " ").join(lines))
    return sheet.finish()


def _draw_plane(axes: Axes, plane: Plane, points: list[Point], size: np.ndarray) -> None:
    if not points:
        say(axes)
        return
    for which, name, width in zip("xy", plane, (float(size[0]), None), strict=True):
        shown = [value for point in points for value in point.numbers[name]]
        scale(axes, which, [*shown, _null(name)], log=name == "bias", width=width)
        style.null_line(axes, which, _null(name), style.THIN)
    bars = {"linewidth": style.MEDIUM, "alpha": 0.6}
    for point in points:
        decided = all(math.isfinite(value) for name in plane for value in point.numbers[name])
        point.draw(axes, plane, STUDENT, "/".join(plane), filled=decided, bars=bars)
    number_points(axes, points, plane, size)


def _label(name: str) -> str:
    of, model = STATISTICS[name]
    if of == BIAS:
        return "progress ratio (log scale)"
    return statistic_of(of).axis(style.ROLES[EFFECT].label if model == EFFECT else "")


def _null(name: str) -> float:
    of, model = STATISTICS[name]
    return NO_CHANGE if of == BIAS else statistic_of(of).null_of(model)


# --- the pay-off of deviating from the teacher ------------------------------------------------

SCORE_HEADS = {
    "brier": f"↑ gain over the teacher, Brier score ({SQUARED_PROBABILITY})",
    "nll": f"↑ gain over the teacher, NLL ({NATS})",
}
HEIGHT = 2.1
# Lines of equal pay-off, and the free share of each scale.
LINES = (2, 1, 0, -1, -2, -4)
ROOM, EDGE = 1.08, 0.94
# Settings per row of the key.
COLUMNS = 3


def _root(values: Any) -> Any:
    return np.sign(values) * np.sqrt(np.abs(values))


def _square(values: Any) -> Any:
    return np.sign(values) * np.square(values)


@style.styled
def draw_pay_off(analyses: dict[str, Analysis]) -> Figure:
    """Draw gain against misfit of students and references on test, by Brier score and NLL.

    Both scales are square roots, which spread numbers near 0 and keep lines of equal pay-off
    straight.
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
    made = grid(sheet, [SCORE_HEADS[score] for score in SCORES], len(SCORES), height=HEIGHT)
    size = np.array([sheet.width / len(SCORES) - LEFT - RIGHT, HEIGHT])
    for axes, score in zip(made, SCORES, strict=True):
        axes.set_xlabel("misfit (both scales: square root) →", size=style.SMALL_SIZE)
        _draw_score(axes, score, shown, size)
    _key(sheet, shown)
    return sheet.finish()


def _is_control(analysis: Analysis) -> bool:
    return "control" in analysis.about


def _draw_score(axes: Axes, score: str, analyses: Mapping[str, Analysis], size: np.ndarray) -> None:
    plane = f"{score}_misfit", f"{score}_gain"

    def points(model: str) -> list[Point]:
        """Return the numbered points of the settings in which a model has a gain."""
        found = (
            Point(number, name, {what: analysis.number(what, model) for what in plane})
            for number, (name, analysis) in enumerate(analyses.items(), start=1)
        )
        return [point for point in found if point.known(plane)]

    students, references = points(STUDENT), points(REFERENCE)
    if not students:
        say(axes)
        return
    _scales(axes, [*students, *references], plane, float(size[0]))
    texts = list(_lines(axes, size))
    # Settings share references.
    distinct = {tuple(point.numbers[plane[0]]): point for point in references}
    bars = {"linewidth": style.THIN, "alpha": 0.7}
    for model, of_model in ((REFERENCE, distinct.values()), (STUDENT, students)):
        for point in of_model:
            filled = model == STUDENT and not _is_control(analyses[point.setting])
            name, look = f"{plane[1]}/{model}", {"clip_on": False}
            point.draw(axes, plane, model, name, filled=filled, bars=bars, least=0, **look)
    number_points(axes, students, plane, size, texts)


def _scales(axes: Axes, points: list[Point], plane: Plane, width: float) -> None:
    """Set both scales: misfit from 0, gain around 0, both containing all intervals."""
    across, up = (
        [value for point in points for value in point.numbers[name] if math.isfinite(value)]
        for name in plane
    )
    right = max(across) or 1.0
    low, high = min(up), max(up)
    # 0 stays visible with a single gain, or if all gains have the same sign.
    least = 0.05 * max(right, high, -low)
    low, high = min(low, -least), max(high, least)
    axes.set_xscale("function", functions=(_root, _square))
    axes.set_yscale("function", functions=(_root, _square))
    axes.set(xlim=(0, right * ROOM), ylim=(low * ROOM, high * ROOM))
    across_at = [0, *_round(right)]
    put_ticks(axes, "x", across_at, [short(tick) for tick in across_at], width)
    below, above = ([sign * tick for tick in _round(end)] for sign, end in ((-1, -low), (1, high)))
    shown = [*(b for b in below[::-1]), 0.0, *above]
    put_ticks(axes, "y", shown, [short(tick) for tick in shown])


def _round(end: float) -> list[float]:
    """Return two round numbers, near a quarter of the end and near the end itself."""
    return sorted({tick for part in (0.3, 1) for tick in even_ticks(0, part * end, 2)[-1:] if tick})


def _lines(axes: Axes, size: np.ndarray) -> Iterator[Box]:
    """Draw lines of equal pay-off from the origin to the frame; yield the boxes of their labels."""
    right, (low, high) = _root(axes.get_xlim()[1]), _root(np.array(axes.get_ylim()))
    for payoff in LINES:
        slope = float(_root(payoff))
        # The intersection of line and frame, in square roots.
        x = right if not slope else min(right, (high if slope > 0 else low) / slope)
        ends, colour = np.array([[0, x], [0, slope * x]]), style.FAINT if payoff else style.INK
        (line,) = axes.plot(*_square(ends), zorder=0.5, gid=f"equal/{payoff:g}")
        line.set(color=colour, linewidth=style.THIN)
        share = (np.array([x, slope * x]) * EDGE - [0, low]) / [right, high - low]
        text = short(payoff)
        drawn = axes.text(
            share[0], share[1], text, transform=axes.transAxes, color=style.FAINT, zorder=0.6
        )
        drawn.set(size=style.SMALL_SIZE, ha="center", va="center")
        drawn.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.8})
        height = style.line_height(style.SMALL_SIZE)
        yield share * size, np.array([style.text_width(text, style.SMALL_SIZE), height]) / 2


def _key(sheet: Sheet, analyses: Mapping[str, Analysis]) -> None:
    """Write the number, name and pay-off by Brier score of each setting, in columns."""
    sheet.write("Pay-off of the student by Brier score:")
    entries = []
    for number, (name, analysis) in enumerate(analyses.items(), start=1):
        payoff = interval(*analysis.number("brier_payoff", STUDENT), 0.0)
        payoff = payoff.replace(f"{NBSP}[", " [")
        entries.append(f"{number}{NBSP}{NBSP}{name}{NBSP} {payoff}")
    columns = min(COLUMNS, len(entries))
    rows = -(-len(entries) // columns)
    width = sheet.width / columns
    wrapped = [style.wrap(entry, width - 2 * GAP, style.SMALL_SIZE) for entry in entries]
    blocks = ["\n".join(wrapped[start : start + rows]) for start in range(0, len(wrapped), rows)]
    height = style.line_height(style.SMALL_SIZE, max(block.count("\n") + 1 for block in blocks))
    for column, block in enumerate(blocks):
        axes = sheet.axes(MARGIN + column * width, width - 2 * GAP, height)
        axes.set_axis_off()
        text = axes.text(0, 1, block, transform=axes.transAxes, size=style.SMALL_SIZE)
        text.set(va="top", linespacing=style.LINE_SPACING)
    sheet.top += height + GAP
