"""Estimates with intervals against epoch, temperature, round or switch point.

A panel shows one statistic, with a line for each model; every interval is drawn.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from disobey.figures import style
from disobey.figures.panels import HEIGHT, LEFT, RIGHT, grid, say, scale, ticks_at
from disobey.figures.sheet import Sheet

# Between the intervals of two models at the same place, in inches.
DODGE = 0.03
# A line with more places has a band in place of bars and marks, which would run into each other.
MOST_BARS = 25


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes
    ----------
    name : str
        For example ``accuracy/student/mnist``; the artists' gid ends with it.
    role : disobey.figures.style.Role
    places : tuple of float
        In ascending order.
    numbers : tuple of (float, float, float)
        Estimate, low and high at each place; NaN where there is none.
    linestyle : str
        Of the line through the estimates.
    hollow : bool
        Whether its marks are hollow, as those of a control.
    """

    name: str
    role: style.Role
    places: tuple[float, ...]
    numbers: tuple[tuple[float, float, float], ...]
    linestyle: str = "-"
    hollow: bool = False


@dataclass(frozen=True)
class Across:
    """The horizontal axis: its label with unit, and whether its scale is logarithmic."""

    label: str
    log: bool = False


@dataclass(frozen=True)
class SeriesPanel:
    """One panel.

    Attributes
    ----------
    head : str
        The label of the vertical axis, with its unit; written above.
    series : tuple of Series
        In the order of the legend.
    across : Across
    null : float, optional
        The value without a deviation; marked by a line.
    ratio : bool
        Whether the vertical scale is logarithmic.
    """

    head: str
    series: tuple[Series, ...]
    across: Across
    null: float | None = None
    ratio: bool = False


def draw_series(
    sheet: Sheet, panels: Sequence[SeriesPanel], columns: int = 2, height: float = HEIGHT
) -> list[Axes]:
    """Add panels to a sheet, row by row, and return their axes."""
    made = grid(sheet, [panel.head for panel in panels], columns, height=height)
    width = sheet.width / columns - LEFT - RIGHT
    for axes, panel in zip(made, panels, strict=True):
        draw_panel(axes, panel, width)
    return made


def draw_panel(axes: Axes, panel: SeriesPanel, width: float) -> None:
    """Draw one panel; ``width`` is that of the axes in inches."""
    axes.set_xlabel(panel.across.label)
    shown = [value for line in panel.series for numbers in line.numbers for value in numbers]
    if not any(math.isfinite(value) for value in shown):
        say(axes)
        return
    if panel.null is not None:
        shown.append(panel.null)
        style.null_line(axes, "y", panel.null)
    for index, line in enumerate(panel.series):
        draw_line(axes, line, (index - (len(panel.series) - 1) / 2) * DODGE)
    places = sorted({place for line in panel.series for place in line.places})
    scale(axes, "x", places, log=panel.across.log)
    scale(axes, "y", shown, log=panel.ratio)
    ticks_at(axes, "x", places, width)


def draw_line(axes: Axes, line: Series, aside: float = 0.0) -> None:
    """Draw estimates, intervals and the line through the estimates, ``aside`` inches to the right.

    The artists keep the numbers of the store; only where they are drawn is shifted.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    moved = axes.transData + ScaledTranslation(aside, 0, figure.dpi_scale_trans)
    estimate, low, high = np.array(line.numbers, dtype=float).reshape(-1, 3).T
    places, colour = np.array(line.places, dtype=float), line.role.colour
    if len(places) > MOST_BARS:
        style.band(axes, places, low, high, colour)
        look: dict[str, Any] = {"linewidth": style.MEDIUM, "transform": axes.transData}
    else:
        bars = axes.vlines(places, low, high, colour, linewidth=style.MEDIUM, transform=moved)
        bars.set_gid(f"interval/{line.name}")
        look = {"linewidth": style.THIN, "transform": moved}
    gid = f"estimate/{line.name}"
    axes.plot(places, estimate, line.linestyle, color=colour, gid=gid, **look)
    if len(places) > MOST_BARS:
        return
    decided = np.isfinite(low) & np.isfinite(high)
    fill_decided = style.HOLLOW if line.hollow else colour
    for chosen, fill in ((decided, fill_decided), (~decided, style.HOLLOW)):
        (marks,) = axes.plot(places[chosen], estimate[chosen], line.role.marker, transform=moved)
        marks.set(color=colour, markerfacecolor=fill, markersize=style.BINNED_SIZE, zorder=3)
        marks.set(markeredgewidth=style.THIN)
