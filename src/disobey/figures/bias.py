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
from disobey.figures.panels import RIGHT, ROOM, columns_of, grid, say, scale, ticks_at
from disobey.figures.ratios import (
    NO_CHANGE,
    Numbers,
    Unit,
    bias_seeds,
    printed_ratio,
    ratio,
    units,
)
from disobey.figures.series import MOST_BARS, Series, draw_line
from disobey.figures.sheet import Sheet
from disobey.numbers import NBSP

PATHS = (REFERENCE, STUDENT)
MOST_PATHS, MOST_RATIOS = 5, 4
# Inches. Ratios share their vertical scale, which only the first panel of a row labels.
LEFT, BELOW, HEIGHT = 0.4, 0.26, 1.2
SHARED_LEFT, INDENT = 0.12, 0.28
# Any: matplotlib's options are of all types.
THEOREM_STYLE: dict[str, Any] = {
    "color": style.INK,
    "linewidth": style.MEDIUM,
    "linestyle": (0, (1, 1)),
}
# Models at one rank spread over this share of the way to the next rank.
SPREAD = 0.6


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
        Two columns wide.

    Raises
    ------
    ValueError
        When no setting has a bias analysis.
    """
    chosen = units(analyses)
    if not chosen:
        raise ValueError("the figure bias needs a setting with a bias analysis, got none")
    sheet = Sheet(style.TWO_COLUMNS)
    sheet.title("Progress along eigendirections of the input")
    reference, others = style.handle(REFERENCE), ratio_handles(chosen)
    sheet.legend([reference, *others])
    _paths(sheet, chosen)
    _ratios(sheet, chosen)
    return sheet.finish()


def ratio_handles(chosen: list[Unit]) -> list[Line2D]:
    """Return the legend of the ratios: the models that any panel shows, and the theorem."""
    found = {STUDENT: None} | {p: None for bias, layer in chosen for p in bias.placebos(layer)}
    theorem = Line2D([], [], label="linear theory", **THEOREM_STYLE)
    return [*(style.handle(model) for model in found), theorem]


def _paths(sheet: Sheet, chosen: list[Unit]) -> None:
    """Draw one panel for the linear model and one per setting and layer."""
    datasets = [bias.layers[layer] for bias, layer in chosen]
    heads = ["linear model, closed form", *(_name(unit) for unit in chosen)]
    columns = max(columns_of(len(heads), MOST_PATHS), 3)
    made = grid(sheet, heads, columns, height=HEIGHT, left=LEFT, below=BELOW)
    width = sheet.width / columns - LEFT - RIGHT
    _linear(made[0], datasets[0])
    for axes, (bias, layer), data in zip(made[1:], chosen, datasets, strict=True):
        for model in PATHS:
            progress = data.progress.sel(model=model).transpose("seed", "point", "direction")
            for seed in progress.values:
                _path(axes, seed, model, f"{model}/{bias.setting}/{layer}")
    for axes, data in zip(made, [datasets[0], *datasets], strict=True):
        last = int(data["rank"][-1])
        axes.set_xlabel("progress, rank 1", size=style.SMALL_SIZE)
        axes.set_ylabel(f"progress, rank {last}", size=style.SMALL_SIZE)
        _plane_scales(axes, width)


def _name(unit: Unit) -> str:
    bias, layer = unit
    return f"{bias.setting}, {layer}"


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
    """Draw one panel per setting and layer, on a common vertical scale."""
    columns = max(columns_of(len(chosen), MOST_RATIOS), 2)
    heads = [
        f"{_name(unit)}, n{NBSP}={NBSP}{bias_seeds(*unit)}\nall k{NBSP}>{NBSP}1: "
        + printed_ratio(*unit)
        for unit in chosen
    ]
    width = (sheet.width - INDENT) / columns - SHARED_LEFT - RIGHT
    made = grid(sheet, heads, columns, height=HEIGHT, left=SHARED_LEFT, below=BELOW, indent=INDENT)
    known = [value for unit in chosen for value in _shown(unit) if math.isfinite(value)]
    for place, (axes, unit) in enumerate(zip(made, chosen, strict=True)):
        draw_ratios(axes, unit, width)
        if axes.get_yticks().size:
            scale(axes, "y", [*known, NO_CHANGE], log=True)
        axes.tick_params(labelleft=place % columns == 0)
        if place % columns == 0:
            axes.set_ylabel("progress / reference's", size=style.SMALL_SIZE)


def _shown(unit: Unit) -> list[float]:
    bias, layer = unit
    data = bias.layers[layer]
    models = (STUDENT, *bias.placebos(layer))
    return [value for model in models for three in _by_rank(data, model) for value in three]


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
    shown = _shown(unit)
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
    if len(ranks) <= MOST_BARS:
        ticks_at(axes, "x", ranks, width)
    axes.plot(
        ranks,
        np.exp(data.theorem.values[1:]),
        gid=f"theorem/{bias.setting}/{layer}",
        zorder=2,
        **THEOREM_STYLE,
    )


def _by_rank(data: xr.Dataset, model: str) -> list[Numbers]:
    """Return the ratio with its interval for each direction but the leading one."""
    chosen = data.sel(compared=model).isel(direction=slice(1, None))
    ends = (chosen.estimate.values, chosen.low.values, chosen.high.values)
    return [ratio((estimate, low, high)) for estimate, low, high in zip(*ends, strict=True)]
