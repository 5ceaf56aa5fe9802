"""The student-teacher plot as numbers: counts in cells, and means within quantile bins."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from disobey.analysis.confidence import quantile_bin

CELLS = 60
QUANTILES = 20
BLOCK = 1 << 16  # points that are put into cells at a time
# Tails beyond this share of the points do not stretch the axes; they are counted instead.
TAIL = 0.001


def student_teacher_plot(
    compared: Sequence[str], teacher: np.ndarray, models: Sequence[np.ndarray]
) -> xr.Dataset:
    """Bin the points of a student-teacher plot.

    Parameters
    ----------
    compared : sequence of str
        Names of the models on the vertical axis.
    teacher : ndarray, shape (point,)
        Confidence logit of the teacher in its own prediction, all seeds one after another.
    models : sequence of ndarray, shape (point,)
        Confidence logit of each model in the same class.

    Returns
    -------
    xarray.Dataset
        ``density``, ``density_outside``, ``confidence_edge``, ``binned_teacher``, ``binned_model``.
    """
    edges = _edges(np.concatenate([teacher, *models]))
    counts = np.stack([_cells(teacher, model, edges) for model in models])
    inside = quantile_bin(teacher, np.ones(len(teacher), bool), QUANTILES)
    number = np.bincount(inside, minlength=QUANTILES)

    def binned(values: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.bincount(inside, values, minlength=QUANTILES) / number

    return xr.Dataset(
        {
            "density": (("compared", "teacher_bin", "model_bin"), counts.astype(np.int64)),
            "density_outside": ("compared", len(teacher) - counts.sum((1, 2)).astype(np.int64)),
            "confidence_edge": ("edge", edges),
            "binned_teacher": (("compared", "quantile"), np.stack([binned(teacher)] * len(models))),
            "binned_model": (("compared", "quantile"), np.stack([binned(m) for m in models])),
        },
        coords={"compared": list(compared)},
    )


def _edges(points: np.ndarray) -> np.ndarray:
    """Return the ends of the cells around all points but the tails; reorders ``points``."""
    low, high = np.quantile(points, [TAIL, 1 - TAIL], overwrite_input=True)
    margin = 0.02 * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, CELLS + 1)


def _cells(teacher: np.ndarray, model: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return how many points fall into each cell, (teacher_bin, model_bin)."""
    counts = np.zeros((CELLS, CELLS))
    for start in range(0, len(teacher), BLOCK):
        points = slice(start, start + BLOCK)
        counts += np.histogram2d(teacher[points], model[points], (edges, edges))[0]
    return counts
