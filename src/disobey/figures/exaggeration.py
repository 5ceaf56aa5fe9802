"""The paper's plot: the student's confidence against its teacher's, in one setting."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from disobey.analysis.names import ALL, STUDENT
from disobey.analysis.store import SPLITS, Analysis
from disobey.figures import style
from disobey.figures.message import EXAGGERATES, headline, size
from disobey.figures.sheet import GAP, MARGIN, Sheet
from disobey.numbers import interval

LEFT = 0.34
BETWEEN = 0.12
BELOW = 0.28
BAR_HEIGHT = 0.06
BAR_BELOW = 0.3
ROOM = 0.04
MAX_TICKS = 5
FALLBACK = (-1.0, 1.0)
# The slope of a student that is as confident as its teacher, whatever the example.
DIAGONAL_SLOPE = 1.0


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw the student's confidence logit against its teacher's, on train and on test.

    Parameters
    ----------
    analyses : dict of str to Analysis
        One setting; somebody else's logits may be of one split, or without a reference.

    Returns
    -------
    matplotlib.figure.Figure
        One column wide.

    Raises
    ------
    ValueError
        When there is not exactly one setting.
    """
    if len(analyses) != 1:
        raise ValueError(
            f"the figure exaggeration shows one setting, got {len(analyses)}; draw one figure each"
        )
    (analysis,) = analyses.values()
    sheet = Sheet()
    splits = [split for split in SPLITS if split in analysis.splits]
    # Verdicts are on test; who has no test split sees the training split's number.
    claim = replace(EXAGGERATES, split=splits[-1])
    sheet.title(headline(analyses, claim))
    equal = style.handle(STUDENT, color=style.INK, marker="", linestyle=(0, (3, 2)))
    equal.set(label="equal confidence", linewidth=style.MEDIUM)
    models = compared_in(analysis.splits[splits[0]])
    sheet.legend([*(style.handle(model) for model in models), equal])
    side = (sheet.width - LEFT - BETWEEN * (len(splits) - 1)) / len(splits)
    _panels(sheet, analysis, splits, side)
    sheet.write(_note(claim.number(analysis)[0], splits[-1]) + _beyond(analysis))
    return sheet.finish()


def compared_in(data: xr.Dataset) -> list[str]:
    """Return the models that a split's plot shows: those that were compared with the teacher."""
    return [str(model) for model in data.compared.values]


def _note(exaggeration: float, split: str) -> str:
    """Say what is drawn; and of A only where there is one."""
    note = (
        "n: seeds × examples. Points: means of quantile bins of the teacher's confidence; lines: "
        "least squares, with 95 % intervals of the slope. They are conditioned on the teacher, as "
        "in the paper, and biased by its noise"
    )
    known = not math.isnan(exaggeration)
    return note + (f"; A is conditioned on another seed ({split})." if known else ".")


def _panels(sheet: Sheet, analysis: Analysis, splits: Sequence[str], side: float) -> None:
    """Draw one square per split, and the colour scale that they share."""
    models = compared_in(analysis.splits[splits[0]])
    above = style.line_height(style.SMALL_SIZE, 1 + len(models)) + GAP
    limits = plot_limits(list(analysis.splits.values()))
    most = max(float(data.density.sel(compared=STUDENT).max()) for data in analysis.splits.values())
    norm = LogNorm(1, max(most, 2.0))
    for column, split in enumerate(splits):
        left = MARGIN + LEFT + column * (side + BETWEEN)
        axes = sheet.axes(left, side, side, down=above)
        mesh = draw_plot(axes, analysis.splits[split], norm)
        _head(axes, analysis, split, side)
        axes.set(xlim=limits, ylim=limits)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(MAX_TICKS, integer=True))
        axes.set_xlabel("teacher (confidence logit)")
        axes.tick_params(labelleft=column == 0)
        if column == 0:
            axes.set_ylabel("model (confidence logit)")
    sheet.top += above + side + BELOW + GAP
    bar = sheet.axes(MARGIN + LEFT, sheet.width - LEFT, BAR_HEIGHT)
    sheet.figure.colorbar(mesh, cax=bar, orientation="horizontal", format="{x:,.0f}")
    bar.set_xlabel("distilled student: examples per cell, all seeds")
    bar.minorticks_off()
    sheet.top += BAR_HEIGHT + BAR_BELOW + GAP


def draw_plot(axes: Axes, data: xr.Dataset, norm: LogNorm) -> QuadMesh:
    """Draw the paper's plot of one split: density of the student, binned means, fitted lines.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    data : xarray.Dataset
        One split of an analysis.
    norm : matplotlib.colors.LogNorm
        From examples per cell to shades.

    Returns
    -------
    matplotlib.collections.QuadMesh
        The density, for a colour bar.
    """
    edges = data.confidence_edge.values
    cells = data.density.sel(compared=STUDENT).transpose("model_bin", "teacher_bin").values
    mesh = axes.pcolormesh(
        edges,
        edges,
        np.ma.masked_less_equal(cells, 0),
        norm=norm,
        cmap=style.DENSITY,
        rasterized=True,
    )
    style.diagonal(axes)
    for model in compared_in(data):
        _model(axes, data, model)
    return mesh


def _model(axes: Axes, data: xr.Dataset, model: str) -> None:
    """Draw binned means, and the fitted line over the range that they span."""
    role = style.ROLES[model]
    binned = data.sel(compared=model)
    teacher = binned.binned_teacher.values
    axes.plot(
        teacher,
        binned.binned_model.values,
        role.marker,
        color=role.colour,
        markersize=style.BINNED_SIZE,
        markeredgecolor=style.HOLLOW,
        markeredgewidth=style.THIN / 2,
        zorder=4,
        gid=f"binned/{model}",
    )
    known = teacher[np.isfinite(teacher)]
    if known.size:
        mean = data.estimate.sel(model=model, subset=ALL)
        slope, intercept = (
            float(mean.sel(statistic=name)) for name in ("plot_slope", "plot_intercept")
        )
        ends = np.array([known.min(), known.max()])
        axes.plot(ends, intercept + slope * ends, color=role.colour, zorder=3, gid=f"fit/{model}")


def _head(axes: Axes, analysis: Analysis, split: str, side: float) -> None:
    """Write split, size and slopes above a panel, where they hide no data."""
    lines = [(f"{split}, n = {size(analysis, split)}", style.INK)]
    for model in compared_in(analysis.splits[split]):
        slope = interval(*analysis.number("plot_slope", model, split), DIAGONAL_SLOPE)
        lines.append((f"{style.ROLES[model].glyph} slope {slope}", style.ROLES[model].colour))
    step = style.line_height(style.SMALL_SIZE) / side
    for index, (text, colour) in enumerate(reversed(lines)):
        axes.text(
            0,
            1 + GAP / side + index * step,
            text,
            transform=axes.transAxes,
            size=style.SMALL_SIZE,
            color=colour,
        )


def plot_limits(splits: Sequence[xr.Dataset]) -> tuple[float, float]:
    """Return the part of the scale that holds any example, the same for both axes and splits."""
    ends: list[float] = []
    for data in splits:
        edges = data.confidence_edge.values
        filled = data.density.values > 0
        for axis in ("teacher_bin", "model_bin"):
            others = tuple(i for i, dim in enumerate(data.density.dims) if dim != axis)
            (cells,) = np.nonzero(filled.any(axis=others))
            ends += [float(edges[cell + side]) for cell in cells for side in (0, 1)]
    low, high = (min(ends), max(ends)) if ends else FALLBACK
    room = ROOM * (high - low)
    return low - room, high + room


def _beyond(analysis: Analysis) -> str:
    """Say how many examples the colours leave out."""
    outside = {
        split: int(data.density_outside.sel(compared=STUDENT))
        for split, data in analysis.splits.items()
    }
    if not any(outside.values()):
        return ""
    counts = ", ".join(f"{count:,} ({split})" for split, count in outside.items())
    return f" Beyond the scale: {counts}."
