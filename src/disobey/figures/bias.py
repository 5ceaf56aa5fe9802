"""Progress along eigendirections of the input: paths of student and reference, and their ratio."""

import math
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from disobey.analysis.names import REFERENCE, STUDENT
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.panels import LEFT, RIGHT, ROOM, grid, say, scale, ticks_at
from disobey.figures.ratios import (
    Numbers,
    Unit,
    bias_seeds,
    printed_ratio,
    ratio,
    units,
)
from disobey.figures.series import Series, draw_line
from disobey.figures.sheet import Sheet
from disobey.numbers import NBSP

PATHS = (REFERENCE, STUDENT)
PATH_COLUMNS, PATH_LEFT, PATH_HEIGHT = 3, 0.32, 0.72
RATIO_HEIGHT = 1.0
# Above this many panels of ratios, two stand side by side.
ONE_COLUMN = 3
# Any: matplotlib's options are of all types.
THEOREM_STYLE: dict[str, Any] = {
    "color": style.INK,
    "linewidth": style.MEDIUM,
    "linestyle": (0, (1, 1)),
}
# Models at one rank spread over this share of the way to the next rank.
SPREAD = 0.6
# Inches below the numbers for what theory says where its line has left the panel.
STRIP = 0.13
ABOVE_PATHS = (
    "Paths of all seeds, from the origin to the marker: progress along the leading eigendirection "
    "of the layer's input (across) and along the one of rank k (up)."
)
ABOVE_RATIOS = (
    "Progress along k over that of the one-hot reference, at equal progress along the leading "
    "direction. In the headings: all k{nbsp}>{nbsp}1 together, n{nbsp}seeds."
)
NOTE = (
    "Ratios are geometric means over {range} of the progress along the leading direction that "
    "model and reference reach. Bars: 95 % "
    "intervals over seeds, each by itself. Hollow: no interval."
)


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw paths in the plane of two eigendirections, and the ratio of progress by rank.

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
    chosen = units(analyses)
    if not chosen:
        raise ValueError("the figure bias needs a setting with a bias analysis, got none")
    sheet = Sheet()
    sheet.title("Progress along eigendirections of the input")
    sheet.write(ABOVE_PATHS, colour=style.INK)
    sheet.legend([style.handle(model) for model in PATHS])
    _paths(sheet, chosen)
    sheet.write(ABOVE_RATIOS.format(nbsp=NBSP), colour=style.INK)
    sheet.legend(ratio_handles(chosen))
    _ratios(sheet, chosen)
    sheet.write(NOTE.format(range=matched_range(chosen[0])))
    return sheet.finish()


def matched_range(unit: Unit) -> str:
    """Return the range over which ratios are averaged, such as "20 to 70 %"."""
    bias, layer = unit
    low, high = (100 * share for share in bias.layers[layer].attrs["range"])
    return f"{low:.0f}{NBSP}to{NBSP}{high:.0f}{NBSP}%"


def ratio_handles(chosen: list[Unit]) -> list[Line2D]:
    """Return the legend of the ratios: the models that any panel shows, and the theorem."""
    found = {STUDENT: None} | {p: None for bias, layer in chosen for p in bias.placebos(layer)}
    theorem = Line2D([], [], label="linear theory", **THEOREM_STYLE)
    return [*(style.handle(model) for model in found), theorem]


def _paths(sheet: Sheet, chosen: list[Unit]) -> None:
    """Draw one panel for the linear model and one per setting and layer."""
    datasets = [bias.layers[layer] for bias, layer in chosen]
    heads = [f"linear model, closed form{_plane(datasets[0])}"]
    heads += [
        f"{bias.setting}, {layer}{_plane(data)}"
        for (bias, layer), data in zip(chosen, datasets, strict=True)
    ]
    made = grid(sheet, heads, PATH_COLUMNS, height=PATH_HEIGHT, left=PATH_LEFT)
    width = sheet.width / PATH_COLUMNS - PATH_LEFT - RIGHT
    _linear(made[0], datasets[0])
    for axes, (bias, layer), data in zip(made[1:], chosen, datasets, strict=True):
        for model in PATHS:
            progress = data.progress.sel(model=model).transpose("seed", "point", "direction")
            for seed in progress.values:
                _path(axes, seed, model, f"{model}/{bias.setting}/{layer}")
    for axes in made:
        axes.set_xlabel(f"progress, k{NBSP}={NBSP}1 →", size=style.SMALL_SIZE)
        _plane_scales(axes, width)


def _plane(data: xr.Dataset) -> str:
    """Return the label of the vertical axis, which stands above it to leave room for its ticks."""
    return f"\n↑ progress, k{NBSP}={NBSP}{int(data['rank'][-1])}"


def _linear(axes: Axes, data: xr.Dataset) -> None:
    """Draw the linear model's paths as far as the student gets along the leading direction."""
    paths = {
        model: data.linear.sel(linear_model=model).transpose("linear_point", "direction").values
        for model in PATHS
    }
    reached = paths[STUDENT][:, 0].max()
    for model, path in paths.items():
        _path(axes, path[path[:, 0] <= reached], model, f"{model}/linear")


def _path(axes: Axes, path: np.ndarray, model: str, name: str) -> None:
    """Draw a path (point, direction) in the plane of the leading and the last direction."""
    role = style.ROLES[model]
    # Paths begin where no step was taken, which the histories do not repeat.
    leading, last = (np.concatenate([[0.0], path[:, index]]) for index in (0, -1))
    axes.plot(
        leading,
        last,
        color=role.colour,
        linewidth=style.MEDIUM,
        marker=role.marker,
        markevery=[-1],
        markersize=style.BINNED_SIZE,
        gid=f"path/{name}",
    )


def _plane_scales(axes: Axes, width: float) -> None:
    drawn = np.concatenate([line.get_xydata() for line in axes.lines])
    if not np.isfinite(drawn).any():
        say(axes)
        return
    scale(axes, "x", drawn[:, 0], width=width)
    scale(axes, "y", drawn[:, 1])


def _ratios(sheet: Sheet, chosen: list[Unit]) -> None:
    columns = 1 if len(chosen) <= ONE_COLUMN else 2
    heads = [
        f"{bias.setting}, {layer}: {printed_ratio(bias, layer)}, "
        f"n{NBSP}={NBSP}{bias_seeds(bias, layer)}"
        for bias, layer in chosen
    ]
    width = sheet.width / columns - LEFT - RIGHT
    made = grid(sheet, heads, columns, height=RATIO_HEIGHT)
    for axes, unit in zip(made, chosen, strict=True):
        draw_ratios(axes, unit, width)


def draw_ratios(axes: Axes, unit: Unit, width: float) -> None:
    """Draw the ratio of progress of student and placebos by rank, and what theory says of it.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    unit : (Bias, str)
        A setting's bias analysis and a layer.
    width : float
        Of the axes, in inches.
    """
    bias, layer = unit
    data = bias.layers[layer]
    ranks = [int(rank) for rank in data["rank"].values[1:]]
    axes.set_xlabel("rank k of the eigendirection", size=style.SMALL_SIZE)
    models = (STUDENT, *bias.placebos(layer))
    numbers = {model: _by_rank(data, model) for model in models}
    shown = [value for several in numbers.values() for three in several for value in three]
    if not any(math.isfinite(value) for value in shown):
        say(axes)
        return
    axes.axhline(1, color=style.INK, linewidth=style.MEDIUM, linestyle=(0, (3, 2)), zorder=1)
    # Beside the first and the last rank there is only the scale's own room.
    spread = min(SPREAD / max(len(ranks), 2), 2 * ROOM / (1 + 2 * ROOM))
    step = spread * width / len(models)
    for index, model in reversed(list(enumerate(models))):
        line = Series(
            f"ratio/{model}/{bias.setting}/{layer}",
            style.role_of(model),
            tuple(ranks),
            tuple(numbers[model]),
        )
        draw_line(axes, line, (index - (len(models) - 1) / 2) * step)
    scale(axes, "x", ranks, log=True)
    scale(axes, "y", [*shown, 1.0], log=True)
    ticks_at(axes, "x", ranks, width)
    draw_theorem(axes, np.array(ranks), data.theorem.values[1:], f"{bias.setting}/{layer}")


def _by_rank(data: xr.Dataset, model: str) -> list[Numbers]:
    """Return the ratio with its interval for each direction but the leading one."""
    chosen = data.sel(compared=model).isel(direction=slice(1, None))
    ends = (chosen.estimate.values, chosen.low.values, chosen.high.values)
    return [ratio((estimate, low, high)) for estimate, low, high in zip(*ends, strict=True)]


def draw_theorem(
    axes: Axes, across: np.ndarray, log_ratio: np.ndarray, name: str, unit: str = ""
) -> None:
    """Draw the linear model's ratio; where it leaves the panel, say how far down it goes.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Its vertical scale is set already, by what networks do.
    across, log_ratio : ndarray, shape (place,)
        Where, and the logarithm of the ratio.
    name : str
        The line's gid ends with it.
    unit : str
        Written after a place, such as ``%``.
    """
    ratios = np.exp(log_ratio)
    low, high = axes.get_ylim()
    axes.plot(across, ratios, gid=f"theorem/{name}", zorder=2, **THEOREM_STYLE)
    if not (ratios < low).any():
        return
    lowest = int(np.nanargmin(ratios))
    axes.set_ylim(low * (low / high) ** (STRIP / RATIO_HEIGHT), high)
    axes.annotate(
        f"↓ theory: {float(f'{ratios[lowest]:.2g}'):g} at {across[lowest]:g}{unit}",
        xy=(0, 0),
        xycoords="axes fraction",
        xytext=(2, 2.5),
        textcoords="offset points",
        size=style.SMALL_SIZE,
        bbox={"facecolor": style.HOLLOW, "linewidth": 0, "pad": 0.5},
    )
