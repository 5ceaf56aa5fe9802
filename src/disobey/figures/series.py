"""Estimates with intervals against something that was varied: epoch, temperature, round, switch.

One panel per statistic, one line per model; every interval is drawn.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from disobey.figures import style
from disobey.figures.panels import HEIGHT, LEFT, RIGHT, grid, say, scale, ticks_at
from disobey.figures.sheet import Sheet

# Between two models at the same place, in inches: their intervals stand side by side.
DODGE = 0.03
# A line with more places has a band in place of bars and marks, which would run into each other.
MOST_BARS = 25


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes
    ----------
    name : str
        What it shows, such as ``accuracy/student/mnist``; the artists' gid ends with it.
    role : disobey.figures.style.Role
        How it is drawn.
    places : tuple of float
        Where, in ascending order.
    numbers : tuple of (float, float, float)
        Estimate, low and high at each place; NaN where there is none.
    linestyle : str
        Of the line through the estimates.
    """

    name: str
    role: style.Role
    places: tuple[float, ...]
    numbers: tuple[tuple[float, float, float], ...]
    linestyle: str = "-"


@dataclass(frozen=True)
class Across:
    """The horizontal axis.

    Attributes
    ----------
    label : str
        With its unit.
    log : bool
        Whether the scale is logarithmic; all places are then positive.
    names : tuple of (float, str)
        What is written at each place; without it, the place itself.
    """

    label: str
    log: bool = False
    names: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class SeriesPanel:
    """One panel.

    Attributes
    ----------
    head : str
        What the vertical axis shows, with its unit; written above.
    series : tuple of Series
        In the order of the legend.
    across : Across
        The horizontal axis.
    null : float, optional
        The value that means "no deviation"; marked by a line.
    ratio : bool
        Whether the vertical scale is logarithmic.
    dodge : float
        Between two series at the same place, in inches.
    """

    head: str
    series: tuple[Series, ...]
    across: Across
    null: float | None = None
    ratio: bool = False
    dodge: float = DODGE


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
    axes.set_xlabel(panel.across.label, size=style.SMALL_SIZE)
    shown = [value for line in panel.series for numbers in line.numbers for value in numbers]
    if not any(math.isfinite(value) for value in shown):
        say(axes)
        return
    if panel.null is not None:
        shown.append(panel.null)
        axes.axhline(panel.null, color=style.INK, linewidth=style.MEDIUM, dashes=(3, 2), zorder=1)
    for index, line in enumerate(panel.series):
        draw_line(axes, line, (index - (len(panel.series) - 1) / 2) * panel.dodge)
    places = sorted({place for line in panel.series for place in line.places})
    scale(axes, "x", places, log=panel.across.log)
    scale(axes, "y", shown, log=panel.ratio)
    names = dict(panel.across.names)
    ticks_at(axes, "x", places, width, [names[place] for place in places] if names else ())


def draw_line(axes: Axes, line: Series, aside: float = 0.0) -> None:
    """Draw estimates, intervals and the line through the estimates, ``aside`` inches to the right.

    The artists keep the numbers of the store; only where they are drawn is shifted.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    moved = axes.transData + ScaledTranslation(aside, 0, figure.dpi_scale_trans)
    estimate, low, high = np.array(line.numbers, dtype=float).reshape(-1, 3).T
    places, colour = np.array(line.places, dtype=float), line.role.colour
    crowded = len(places) > MOST_BARS
    if crowded:
        axes.fill_between(places, low, high, color=colour, alpha=style.SHADE, linewidth=0)
    else:
        bars = axes.vlines(places, low, high, colour, linewidth=style.MEDIUM, transform=moved)
        bars.set_gid(f"interval/{line.name}")
    axes.plot(
        places,
        estimate,
        line.linestyle,
        color=colour,
        linewidth=style.MEDIUM if crowded else style.THIN,
        transform=axes.transData if crowded else moved,
        gid=f"estimate/{line.name}",
    )
    if crowded:
        return
    decided = np.isfinite(low) & np.isfinite(high)
    for chosen, fill in ((decided, colour), (~decided, style.HOLLOW)):
        axes.plot(
            places[chosen],
            estimate[chosen],
            line.role.marker,
            color=colour,
            markersize=style.BINNED_SIZE,
            markerfacecolor=fill,
            markeredgewidth=style.THIN,
            transform=moved,
            zorder=3,
        )
