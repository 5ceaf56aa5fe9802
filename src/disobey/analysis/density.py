"""Plots of a model against its teacher as numbers: counts in cells, and means within bins."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from disobey.analysis.confidence import quantile_bin

CELLS = 60
QUANTILES = 20
# Tails beyond this share of the points do not stretch the axes; they are counted instead.
TAIL = 0.001


class Points:
    """The points of a plot: a quantity of each model against the same of its teacher.

    Parameters
    ----------
    teacher : ndarray, shape (point,)
        Of all seeds, one after another.
    models : sequence of ndarray, shape (point,)
        Of each model that is compared with the teacher.
    edges : ndarray, shape (CELLS + 1,), optional
        Ends of the cells on both axes; without them, such that they enclose all points but the
        tails.
    """

    def __init__(
        self,
        teacher: np.ndarray,
        models: Sequence[np.ndarray],
        edges: np.ndarray | None = None,
    ) -> None:
        self.teacher, self.models = teacher, models
        self.edges = _edges(np.concatenate([teacher, *models])) if edges is None else edges
        row = _side(teacher, self.edges)
        # Cells are numbered from 0 to CELLS^2 - 1; what lies outside all of them has number -1.
        self._cell = [_numbered(row, _side(model, self.edges)) for model in models]

    def density(self, groups: Sequence[np.ndarray] | None = None, number: int = 1) -> np.ndarray:
        """Return how many points fall into each cell.

        Parameters
        ----------
        groups : sequence of ndarray of int, shape (point,), optional
            For each model the group of each point, 0 to ``number`` - 1.
        number : int
            How many groups there are.

        Returns
        -------
        ndarray of int32, shape (compared, group, teacher_bin, model_bin)
        """
        found = []
        for k, cell in enumerate(self._cell):
            inside = cell >= 0
            place = cell[inside].astype(np.int64)
            if groups is not None:
                place += groups[k][inside].astype(np.int64) * CELLS**2
            counts = np.bincount(place, minlength=number * CELLS**2)
            found.append(counts.reshape(number, CELLS, CELLS))
        return np.array(found, np.int32)

    def binned(self, where: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return means within quantile bins of the teacher's quantity.

        Parameters
        ----------
        where : ndarray of bool, shape (point,), optional
            Which points are binned, by their own quantiles; all without it.

        Returns
        -------
        of_teacher, of_model : ndarray, shape (compared, quantile)
        """
        chosen = slice(None) if where is None else where
        teacher, models = self.teacher[chosen], [model[chosen] for model in self.models]
        of_teacher, *of_models = binned_means(teacher, [teacher, *models])
        return np.array([of_teacher] * len(models)), np.array(of_models)


def binned_means(
    order: np.ndarray, values: Sequence[np.ndarray], bins: int = QUANTILES
) -> np.ndarray:
    """Return the mean of each of ``values`` within quantile bins of ``order``.

    Parameters
    ----------
    order : ndarray, shape (point,)
    values : sequence of ndarray, shape (point,)
    bins : int

    Returns
    -------
    ndarray, shape (value, bin)
        NaN in a bin without a point.
    """
    inside = quantile_bin(order, np.ones(len(order), bool), bins)
    number = np.bincount(inside, minlength=bins)
    with np.errstate(invalid="ignore"):
        return np.array([np.bincount(inside, each, minlength=bins) / number for each in values])


def student_teacher_plot(compared: Sequence[str], points: Points) -> xr.Dataset:
    """Return the student-teacher plot.

    Parameters
    ----------
    compared : sequence of str
        Names of the models on the vertical axis.
    points : Points
        Confidence logits of all models in one class per example, such as the teacher's prediction.

    Returns
    -------
    xarray.Dataset
        ``density``, ``density_outside``, ``confidence_edge``, ``binned_teacher``, ``binned_model``.
    """
    counts = points.density()[:, 0]
    of_teacher, of_model = points.binned()
    return xr.Dataset(
        {
            "density": (("compared", "teacher_bin", "model_bin"), counts),
            "density_outside": ("compared", len(points.teacher) - counts.sum((1, 2))),
            "confidence_edge": ("edge", points.edges),
            "binned_teacher": (("compared", "quantile"), of_teacher),
            "binned_model": (("compared", "quantile"), of_model),
        },
        coords={"compared": list(compared)},
    )


def _edges(points: np.ndarray) -> np.ndarray:
    """Return the ends of the cells around all points but the tails; reorders ``points``."""
    low, high = np.quantile(points, [TAIL, 1 - TAIL], overwrite_input=True)
    margin = 0.02 * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, CELLS + 1)


def _side(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return between which edges each value lies, -1 outside; the last edge belongs to its cell."""
    side = (np.searchsorted(edges, values, side="right") - 1).astype(np.int16)
    side[values == edges[-1]] = CELLS - 1
    side[side >= CELLS] = -1
    return side


def _numbered(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return the number of each point's cell, -1 where it is outside on either axis."""
    return np.where((row >= 0) & (column >= 0), row * np.int16(CELLS) + column, np.int16(-1))
