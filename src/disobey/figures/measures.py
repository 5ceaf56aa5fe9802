"""Probability, entropy and divergence in place of confidence logits."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disobey.analysis.names import CURVES, MEASURES
from disobey.analysis.store import SPLITS, Analysis
from disobey.figures import cells, style
from disobey.figures.panels import RIGHT, grid, say, scale
from disobey.figures.sheet import Sheet

LABELS = {
    "probability": ("probability", "teacher's (probability)"),
    "entropy": ("entropy (nats)", "teacher's (nats)"),
    "kl_by_confidence_logit": ("KL from teacher (nats)", "teacher's logit"),
    "kl_by_probability": ("KL from teacher (nats)", "teacher's probability"),
    "kl_by_entropy": ("KL from teacher (nats)", "teacher's entropy (nats)"),
}
LEFT, BELOW = 0.27, 0.27


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw probability and entropy against the teacher's, and KL against three of its measures.

    Parameters
    ----------
    analyses : dict of str to Analysis
        A row each: on train, or on test where there is no train split.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns wide.
    """
    sheet = Sheet(style.TWO_COLUMNS)
    sheet.title("Other measures of the same deviations")
    sheet.legend(cells.legend(analyses))
    side = sheet.width / len(CURVES) - LEFT - RIGHT
    for analysis in analyses.values():
        split = next(name for name in SPLITS if name in analysis.splits)
        sheet.write(f"{analysis.setting}: {cells.head(analysis, split)}")
        heads = [LABELS[curve][0] for curve in CURVES]
        made = grid(sheet, heads, len(CURVES), height=side, left=LEFT, below=BELOW)
        for axes, curve in zip(made, CURVES, strict=True):
            _draw_panel(axes, analysis.splits[split], curve)
            axes.set_xlabel(LABELS[curve][1], size=style.SMALL_SIZE)
    return sheet.finish()


def _draw_panel(axes: Axes, data: xr.Dataset, curve: str) -> None:
    models = cells.models_of(data)
    shown = data.sel(curve=curve)
    if not np.isfinite(shown.curve_estimate).any():
        say(axes)
        return
    if curve in MEASURES:
        here = data.sel(measure=curve)
        edges = here.measure_edge.values
        counts = here.measure_density.sel(compared=models[0]).values
        cells.draw_cells(axes, edges, counts, models[0])
        limits = cells.limits_of(edges, list(here.measure_density.values))
    across = shown.curve_teacher.mean("seed").values
    for model in reversed(models):
        _draw_curve(axes, across, shown.sel(compared=model), model, curve)
    if curve in MEASURES:
        cells.square_scale(axes, limits, left=True, below=True)
        return
    ends = [shown[name].values.ravel() for name in ("curve_low", "curve_high", "curve_estimate")]
    scale(axes, "x", across)
    scale(axes, "y", [0.0, *np.concatenate(ends).clip(0)])


def _draw_curve(axes: Axes, across: np.ndarray, shown: xr.Dataset, model: str, curve: str) -> None:
    """Draw the means over seeds, and their interval as a band."""
    cells.draw_means(axes, across, shown.curve_estimate.values, model, curve)
    low, high = shown.curve_low.values, shown.curve_high.values
    if np.isfinite(low).any():
        axes.fill_between(
            across,
            low,
            high,
            color=style.ROLES[model].colour,
            alpha=0.25,
            linewidth=0,
            zorder=2,
            gid=f"band/{curve}/{model}",
        )
