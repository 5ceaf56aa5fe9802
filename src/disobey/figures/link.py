"""Bias, exaggerated confidence and gain in accuracy of all settings, against each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disobey.analysis.names import EFFECT, EXAGGERATION, STUDENT
from disobey.analysis.statistics import statistic_of
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.bias import NO_CHANGE, Numbers, progress_ratio
from disobey.figures.panels import LEFT, RIGHT, grid, say, scale
from disobey.figures.sheet import Sheet
from disobey.numbers import NBSP

STATISTICS = {"confidence": (EXAGGERATION, STUDENT), "gain": ("accuracy", EFFECT)}
# Across, up.
PLANES = (("bias", "confidence"), ("confidence", "gain"), ("bias", "gain"))
# Up to so many settings the planes are side by side.
FEW = 4
HEIGHTS = {True: 1.0, False: 1.6}
# Places of a point's number, in inches from the point, the nearest first.
RADII, ANGLES = (0.085, 0.12, 0.16, 0.2, 0.25, 0.3, 0.36, 0.43), 16
# From this distance on a line leads to the point.
FAR = 0.14
# Half the size of a marker, and half the width of an interval's bar; also kept around numbers.
MARKER, BAR = 0.03, 0.006
# The share of a line that its number covers.
STOP_SHORT = 0.25
# Centre and half sizes, in inches.
Box = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Point:
    """A setting: its number in the figure, and estimate and interval in each dimension."""

    number: int
    setting: str
    numbers: dict[str, Numbers]

    def known(self, plane: Sequence[str]) -> bool:
        """Return whether it has a place in a plane."""
        return all(math.isfinite(self.numbers[name][0]) for name in plane)

    def decided(self, plane: Sequence[str]) -> bool:
        """Return whether it has both intervals."""
        return all(math.isfinite(value) for name in plane for value in self.numbers[name])


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw progress ratio, exaggeration of confidence and gain in accuracy against each other.

    Settings without a bias analysis are left out.
    """
    chosen = {name: analysis for name, analysis in analyses.items() if analysis.bias is not None}
    if not chosen:
        raise ValueError("the figure link needs a setting with a bias analysis, got none")
    points = [_point(number, *item) for number, item in enumerate(chosen.items(), start=1)]
    sheet = Sheet()
    sheet.title("Implicit bias, confidence and accuracy")
    few = len(points) <= FEW
    columns, planes = (2, PLANES[:2]) if few else (1, PLANES)
    made = grid(sheet, [f"↑ {_label(up)}" for _, up in planes], columns, height=HEIGHTS[few])
    size = np.array([sheet.width / columns - LEFT - RIGHT, HEIGHTS[few]])
    for axes, plane in zip(made, planes, strict=True):
        axes.set_xlabel(f"{_label(plane[0])} →")
        _plane(axes, plane, [point for point in points if point.known(plane)], size)
    lines = []
    for point in points:
        seen = any(point.known(plane) for plane in PLANES)
        lines.append(f"{point.number}{NBSP}{NBSP}{point.setting}{'' if seen else ': no estimate'}")
    sheet.write((3 * NBSP + " ").join(lines))
    return sheet.finish()


def _point(number: int, setting: str, analysis: Analysis) -> Point:
    assert analysis.bias is not None
    numbers = {name: analysis.number(*of) for name, of in STATISTICS.items()}
    bias = progress_ratio(analysis.bias, analysis.bias.first)
    return Point(number, setting, {"bias": bias} | numbers)


def _plane(axes: Axes, plane: tuple[str, str], points: list[Point], size: np.ndarray) -> None:
    if not points:
        say(axes)
        return
    for which, name, width in zip("xy", plane, (float(size[0]), None), strict=True):
        shown = [value for point in points for value in point.numbers[name]]
        scale(axes, which, [*shown, _null(name)], log=name == "bias", width=width)
        style.null_line(axes, which, _null(name), style.THIN)
    role = style.ROLES[STUDENT]
    bars: dict[str, Any] = {"color": role.colour, "linewidth": style.MEDIUM, "alpha": 0.6}
    for point in points:
        (x, left, right), (y, low, high) = (point.numbers[name] for name in plane)
        name = f"{'/'.join(plane)}/{point.setting}"
        axes.plot([left, right], [y, y], gid=f"across/{name}", **bars)
        axes.plot([x, x], [low, high], gid=f"up/{name}", **bars)
        style.estimate(axes, x, y, role, f"point/{name}", filled=point.decided(plane))
    number_points(axes, points, plane, size)


def _label(name: str) -> str:
    """Return the label of an axis."""
    if name == "bias":
        return "progress ratio (log scale)"
    of, model = STATISTICS[name]
    return statistic_of(of).axis(style.ROLES[EFFECT].label if model == EFFECT else "")


def _null(name: str) -> float:
    """Return the value of no effect."""
    if name == "bias":
        return NO_CHANGE
    of, model = STATISTICS[name]
    return statistic_of(of).null_of(model)


def number_points(
    axes: Axes,
    points: list[Point],
    plane: tuple[str, str],
    size: np.ndarray,
    texts: Sequence[Box] = (),
) -> None:
    """Write each point's number where it meets no other text, no point and no interval.

    ``size`` is that of the axes and ``texts`` are in them already, in inches.
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
    """Return the nearest place for a box: clear of other numbers, then of points and bars."""
    turns = 2 * np.pi * (np.arange(ANGLES) / ANGLES + 1 / 8)
    around = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    places = [middle + radius * turn for radius in RADII for turn in around]
    inside = [p for p in places if (p - half >= 0).all() and (p + half <= size).all()]

    def overlaps(place: np.ndarray) -> tuple[float, float]:
        first, second = (_shared(place, half, boxes) for boxes in (written, avoided))
        return first, second

    return min(inside or places, key=overlaps)


def _shared(place: np.ndarray, half: np.ndarray, boxes: Sequence[Box]) -> float:
    """Return the area that a box shares with others."""
    shared = [half + other - np.abs(place - centre) for centre, other in boxes]
    return sum(float(np.prod(both)) for both in shared if (both > 0).all())
