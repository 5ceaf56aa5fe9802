"""Whether a stronger bias goes with exaggerated confidence, and this with a gain in accuracy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disobey.analysis.names import EFFECT, EXAGGERATION, STUDENT
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.panels import LEFT, RIGHT, grid, say, scale
from disobey.figures.ratios import NO_CHANGE, Numbers, first_layer, progress_ratio
from disobey.figures.sheet import Sheet
from disobey.numbers import NBSP

NAMES = {
    "bias": "progress ratio (log scale)",
    "confidence": "exaggeration A",
    "gain": "gain in accuracy\n(student − reference, share)",
}
NULLS = {"bias": NO_CHANGE, "confidence": 1.0, "gain": 0.0}
# Across, up.
PLANES = (("bias", "confidence"), ("confidence", "gain"), ("bias", "gain"))
# Up to so many settings the planes stand side by side.
FEW = 4
HEIGHTS = {True: 1.0, False: 1.6}
# Where a point's number may stand: in inches from the point, the nearest first.
RADII, ANGLES = (0.085, 0.12, 0.16, 0.2, 0.25, 0.3, 0.36, 0.43), 16
# From here on a line leads to the point.
FAR = 0.14
# Half the size of a marker, and half the width of an interval's bar; also kept around numbers.
MARKER, BAR = 0.03, 0.006
# The share of a line that its number covers.
STOP_SHORT = 0.25
# Centre and half sizes, in inches.
Box = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Point:
    """A setting: its number in the figure and where it stands in each dimension."""

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

    Parameters
    ----------
    analyses : dict of str to Analysis
        By setting, in the order of the study; those without a bias analysis are left out.

    Returns
    -------
    matplotlib.figure.Figure
        One column wide.

    Raises
    ------
    ValueError
        When no setting has a bias analysis.
    """
    chosen = {name: analysis for name, analysis in analyses.items() if analysis.bias is not None}
    if not chosen:
        raise ValueError("the figure link needs a setting with a bias analysis, got none")
    points = [_point(number, *item) for number, item in enumerate(chosen.items(), start=1)]
    sheet = Sheet()
    sheet.title("Implicit bias, confidence and accuracy")
    _planes(sheet, points)
    _key(sheet, points)
    return sheet.finish()


def _point(number: int, setting: str, analysis: Analysis) -> Point:
    assert analysis.bias is not None
    numbers = {
        "bias": progress_ratio(analysis.bias, first_layer(analysis.bias)),
        "confidence": analysis.number(EXAGGERATION, STUDENT),
        "gain": analysis.number("accuracy", EFFECT),
    }
    return Point(number, setting, numbers)


def _planes(sheet: Sheet, points: list[Point]) -> None:
    few = len(points) <= FEW
    columns = 2 if few else 1
    planes = PLANES[:2] if few else PLANES
    made = grid(sheet, [f"↑ {NAMES[up]}" for _, up in planes], columns, height=HEIGHTS[few])
    size = np.array([sheet.width / columns - LEFT - RIGHT, HEIGHTS[few]])
    for axes, plane in zip(made, planes, strict=True):
        axes.set_xlabel(f"{NAMES[plane[0]]} →", size=style.SMALL_SIZE)
        _plane(axes, plane, [point for point in points if point.known(plane)], size)


def _plane(axes: Axes, plane: tuple[str, str], points: list[Point], size: np.ndarray) -> None:
    if not points:
        say(axes)
        return
    for which, name, width in zip("xy", plane, (float(size[0]), None), strict=True):
        shown = [value for point in points for value in point.numbers[name]]
        scale(axes, which, [*shown, NULLS[name]], log=name == "bias", width=width)
    lines: dict[str, Any] = {"color": style.INK, "linewidth": style.THIN, "dashes": (3, 2)}
    axes.axvline(NULLS[plane[0]], **lines)
    axes.axhline(NULLS[plane[1]], **lines)
    for point in points:
        _draw_point(axes, point, plane)
    number_points(axes, points, plane, size)


def _draw_point(axes: Axes, point: Point, plane: tuple[str, str]) -> None:
    role = style.ROLES[STUDENT]
    (x, left, right), (y, low, high) = (point.numbers[name] for name in plane)
    name = f"{'/'.join(plane)}/{point.setting}"
    bars: dict[str, Any] = {"color": role.colour, "linewidth": style.MEDIUM, "alpha": 0.6}
    axes.plot([left, right], [y, y], gid=f"across/{name}", **bars)
    axes.plot([x, x], [low, high], gid=f"up/{name}", **bars)
    axes.plot(
        [x],
        [y],
        role.marker,
        color=role.colour,
        markersize=style.MARKER_SIZE,
        markerfacecolor=role.colour if point.decided(plane) else style.HOLLOW,
        markeredgewidth=style.MEDIUM,
        gid=f"point/{name}",
    )


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
    at = _inches(axes, points, plane, (0, 0), size)
    avoided = [(middle, np.full(2, MARKER)) for middle in at]
    for ends in (((1, 0), (2, 0)), ((0, 1), (0, 2))):
        low, high = (_inches(axes, points, plane, end, size) for end in ends)
        avoided += [((a + b) / 2, (b - a) / 2 + BAR) for a, b in zip(low, high, strict=True)]
    written = list(texts)
    for point, middle in zip(points, at, strict=True):
        text = str(point.number)
        width = style.text_width(text, style.SMALL_SIZE)
        half = np.array([width, style.line_height(style.SMALL_SIZE)]) / 2 + BAR
        free = _free_place(middle, half, written, avoided, size)
        written.append((free, half))
        _number(axes, text, middle, free, size)


def _inches(
    axes: Axes,
    points: list[Point],
    plane: tuple[str, str],
    ends: tuple[int, int],
    size: np.ndarray,
) -> list[np.ndarray]:
    """Return where points stand, or an end of their intervals, in inches from the corner."""
    place = axes.transScale + axes.transLimits
    return [
        place.transform([point.numbers[name][end] for name, end in zip(plane, ends, strict=True)])
        * size
        for point in points
    ]


def _number(axes: Axes, text: str, point: np.ndarray, free: np.ndarray, size: np.ndarray) -> None:
    """Write a number, with a line to its point if that is far."""
    share = free / size
    axes.text(
        share[0],
        share[1],
        text,
        transform=axes.transAxes,
        size=style.SMALL_SIZE,
        ha="center",
        va="center",
        zorder=4,
    )
    if np.hypot(*(free - point)) > FAR:
        line = np.stack([point, free - (free - point) * STOP_SHORT]) / size
        axes.plot(
            *line.T,
            transform=axes.transAxes,
            color=style.FAINT,
            linewidth=style.THIN,
            zorder=1,
        )


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


def _key(sheet: Sheet, points: list[Point]) -> None:
    """Name the settings by their numbers, and say which ones are nowhere to be seen."""
    lines = []
    for point in points:
        seen = any(point.known(plane) for plane in PLANES)
        lines.append(f"{point.number}{NBSP}{NBSP}{point.setting}{'' if seen else ': no estimate'}")
    sheet.write((3 * NBSP + " ").join(lines))
