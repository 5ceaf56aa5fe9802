"""Accuracies along training, and whether a student is better where it fits its labels equally well.

Two runs are compared at equal *train* accuracy, as in Fig. 25 of the paper: at each of `LEVELS` the
test accuracy of a run is that when its train accuracy first reaches the level, on a straight line
between two recorded points. Only levels count that both runs reach; their mean difference is
``equal_accuracy``. How fast a run trains plays no part in it: that is ``log_steps_ratio``, the mean
over the same levels of ln(steps of one / steps of the other).

Levels and mean are our choice [C]: the paper shows the curves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from disobey.analysis.bias import first_passage
from disobey.analysis.intervals import over_seeds
from disobey.analysis.names import REFERENCE, STUDENT, TEACHER

# Train accuracies at which runs are compared.
LEVELS = np.linspace(0.2, 0.95, 16)
# With fewer in common, two runs have not been compared along their training.
LEAST_LEVELS = 3
SHARES = (
    "train_accuracy", "test_accuracy", "final_train_accuracy", "final_test_accuracy",
    "test_at_level",
)  # fmt: skip


@dataclass(frozen=True)
class Recorded:
    """Accuracies of one model at recorded steps, the same ones in every seed.

    Attributes
    ----------
    step : ndarray of int, shape (point,)
    train_accuracy, test_accuracy : ndarray, shape (seed, point)
        Shares of given labels.
    """

    step: np.ndarray
    train_accuracy: np.ndarray
    test_accuracy: np.ndarray

    def at_levels(self, values: np.ndarray) -> np.ndarray:
        """Return `at_levels` of each seed, shape (seed, level); values of (point,) are shared."""
        shared = np.broadcast_to(values, self.train_accuracy.shape)
        return np.array(list(map(at_levels, self.train_accuracy, shared)))


def at_levels(
    train_accuracy: np.ndarray, values: np.ndarray, levels: np.ndarray = LEVELS
) -> np.ndarray:
    """Return recorded values where train accuracy first reaches some levels.

    Parameters
    ----------
    train_accuracy, values : ndarray, shape (point,)
        Of one run.
    levels : ndarray, shape (level,)

    Returns
    -------
    ndarray, shape (level,)
        NaN at levels that the run never reaches, or has passed at the first recorded point.
    """
    found = np.full(len(levels), np.nan)
    passed = (levels > train_accuracy[0]) & (levels <= train_accuracy.max())
    if passed.any():
        found[passed] = first_passage(train_accuracy, levels[passed]).of(values)
    return found


def analyse(models: Mapping[str, Recorded], seeds: Sequence[int]) -> xr.Dataset:
    """Compare student and placebos with the reference, and the student with each placebo.

    Parameters
    ----------
    models : mapping of str to Recorded
        Reference and student; a teacher and placebos where there are any.
    seeds : sequence of int

    Returns
    -------
    xarray.Dataset
        See `disobey.analysis.curves_store`.
    """
    found = _curves(models, seeds)
    reference = found.sel(model=REFERENCE, drop=True)
    compared = [name for name in models if name not in (TEACHER, REFERENCE)]
    found = found.merge(_at_equal_accuracy(_chosen(found, compared, "compared"), reference))
    placebos = compared[1:]
    if placebos:
        student = found.sel(model=STUDENT, drop=True)
        pairs = _at_equal_accuracy(student, _chosen(found, placebos, "placebo"))
        found = found.merge(pairs.rename({name: f"{name}_difference" for name in pairs}))
    numbers = [str(name) for name in found.data_vars if "seed" in found[name].dims]
    intervals = (over_seeds(found[name], f"{name}_", _within(name)) for name in numbers)
    return found.assign({name: number for of_one in intervals for name, number in of_one.items()})


def _within(name: str) -> tuple[float, float]:
    """Return between which values a statistic lies: a share, or a difference of two."""
    if name in SHARES:
        return 0.0, 1.0
    return (-1.0, 1.0) if name.startswith("equal_accuracy") else (-np.inf, np.inf)


def _chosen(found: xr.Dataset, models: list[str], dim: str) -> xr.Dataset:
    """Return what some models do at each level, along a dimension of their own."""
    return found[["test_at_level", "steps_at_level"]].sel(model=models).rename(model=dim)


def _at_equal_accuracy(one: xr.Dataset, other: xr.Dataset) -> xr.Dataset:
    """Return means over the levels that both reach; NaN where these are too few."""
    ratio = np.log(one.steps_at_level / other.steps_at_level)
    differences = {
        "equal_accuracy": one.test_at_level - other.test_at_level,
        "log_steps_ratio": ratio,
    }
    number = ratio.notnull().sum("level")
    enough = number >= LEAST_LEVELS
    means = {
        name: (of_levels.sum("level") / number.where(enough)).transpose(..., "seed")
        for name, of_levels in differences.items()
    }
    return xr.Dataset(means)


def _curves(models: Mapping[str, Recorded], seeds: Sequence[int]) -> xr.Dataset:
    """Return what was recorded, shorter curves filled up with NaN, and what it is at each level."""
    points = max(len(one.step) for one in models.values())

    def filled(values: np.ndarray) -> np.ndarray:
        missing = [(0, 0)] * (values.ndim - 1) + [(0, points - values.shape[-1])]
        return np.pad(values.astype(np.float64), missing, constant_values=np.nan)

    def of_each(values: Callable[[Recorded], np.ndarray]) -> np.ndarray:
        return np.stack([values(one) for one in models.values()])

    curve, run, level = ("model", "seed", "point"), ("model", "seed"), ("model", "seed", "level")
    return xr.Dataset(
        {
            "step": (("model", "point"), of_each(lambda one: filled(one.step))),
            "train_accuracy": (curve, of_each(lambda one: filled(one.train_accuracy))),
            "test_accuracy": (curve, of_each(lambda one: filled(one.test_accuracy))),
            "final_train_accuracy": (run, of_each(lambda one: one.train_accuracy[:, -1])),
            "final_test_accuracy": (run, of_each(lambda one: one.test_accuracy[:, -1])),
            "test_at_level": (level, of_each(lambda one: one.at_levels(one.test_accuracy))),
            "steps_at_level": (level, of_each(lambda one: one.at_levels(one.step))),
        },
        coords={"model": list(models), "seed": list(seeds), "level": LEVELS},
    )
