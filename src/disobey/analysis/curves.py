"""Accuracies along training, and test accuracy at equal train accuracy.

Two runs are compared at equal *train* accuracy, as in Fig. 25 of the paper: the test accuracy of a
run at each of `LEVELS` is taken where its train accuracy first reaches the level, with linear
interpolation between recorded points. Only levels that both runs reach count; the mean difference
over them is ``equal_accuracy``, which does not depend on the speed of a run. The speed is measured
by ``log_steps_ratio``, the mean over the same levels of ln(steps of one / steps of the other).

Levels and mean are our choice [C]: the paper shows the curves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from disobey.analysis.bias import at_first_passage
from disobey.analysis.intervals import Beside, names_along, with_intervals
from disobey.analysis.names import REFERENCE, STUDENT, TEACHER

EQUAL_ACCURACY, LOG_STEPS_RATIO = "equal_accuracy", "log_steps_ratio"
EQUAL_ACCURACY_DIFFERENCE = "equal_accuracy_difference"
FINAL_TRAIN, FINAL_TEST = "final_train_accuracy", "final_test_accuracy"
# Train accuracies at which runs are compared.
LEVELS = np.linspace(0.2, 0.95, 16)
# Two runs with fewer levels in common are not compared.
LEAST_LEVELS = 3
SHARES = ("train_accuracy", "test_accuracy", FINAL_TRAIN, FINAL_TEST, "test_at_level")


@dataclass(frozen=True)
class Recorded:
    """Accuracies of one model at recorded steps, which are the same in every seed.

    ``step`` has shape (point,); the accuracies, as shares of given labels, have (seed, point).
    """

    step: np.ndarray
    train_accuracy: np.ndarray
    test_accuracy: np.ndarray

    def at_levels(self, values: np.ndarray) -> np.ndarray:
        """Apply `at_levels` to each seed, shape (seed, level); ``values`` are broadcast."""
        shared = np.broadcast_to(values, self.train_accuracy.shape)
        return np.array(list(map(at_levels, self.train_accuracy, shared)))


def at_levels(
    train_accuracy: np.ndarray, values: np.ndarray, levels: np.ndarray = LEVELS
) -> np.ndarray:
    """Return values, (level,), interpolated where train accuracy first reaches each level.

    NaN at levels that the run never reaches, or has already passed at the first recorded point.
    """
    found = np.full(len(levels), np.nan)
    passed = (levels > train_accuracy[0]) & (levels <= train_accuracy.max())
    if passed.any():
        found[passed] = at_first_passage(values, train_accuracy, levels[passed])
    return found


def analyse(models: Mapping[str, Recorded], seeds: Sequence[int]) -> xr.Dataset:
    """Compare student and placebos with the reference, and the student with each placebo.

    ``models`` contains reference and student, and optionally a teacher and placebos. See `Curves`
    for the dataset.
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
    return with_intervals(found, _within)


def _within(name: str) -> tuple[float, float]:
    """Return the smallest and the largest possible value of a statistic."""
    if name in SHARES:
        return 0.0, 1.0
    return (-1.0, 1.0) if name.startswith("equal_accuracy") else (-np.inf, np.inf)


def _chosen(found: xr.Dataset, models: list[str], dim: str) -> xr.Dataset:
    """Return the values of ``models`` at each level, along the dimension ``dim``."""
    return found[["test_at_level", "steps_at_level"]].sel(model=models).rename(model=dim)


def _at_equal_accuracy(one: xr.Dataset, other: xr.Dataset) -> xr.Dataset:
    """Return means over the levels that both reach; NaN if there are too few."""
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
    """Return recorded values, with shorter curves padded by NaN, and values at each level."""
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


# --- the store -------------------------------------------------------------------------------


class Curves(Beside):
    """The curves of one setting.

    Notes
    -----
    Dimensions: ``model`` (teacher where it was recorded, reference, student, placebos),
    ``compared`` (the same without teacher and reference), ``placebo``, ``seed``, ``point`` (of
    the histories), ``level`` (of train accuracy, see ``disobey.analysis.curves``).

    - ``step(model, point)``, ``train_accuracy`` and ``test_accuracy`` ``(model, seed, point)``: as
      recorded, in shares of given labels; NaN beyond the last point of a shorter training;
    - ``final_train_accuracy``, ``final_test_accuracy`` ``(model, seed)``: after the last step;
    - ``test_at_level``, ``steps_at_level`` ``(model, seed, level)``: test accuracy, and steps
      taken, when train accuracy first reaches a level; NaN if it never does, or has passed it by
      the first point;
    - ``equal_accuracy(compared, seed)``: test accuracy minus that of the reference, averaged over
      the levels that both reach; ``equal_accuracy_difference(placebo, seed)``: the same for the
      student minus the placebo; NaN if there are too few such levels;
    - ``log_steps_ratio(compared, seed)``, ``log_steps_ratio_difference(placebo, seed)``: the same
      means of ln(steps of one / steps of the other).

    Each variable along ``seed`` also has ``_estimate``, ``_low``, ``_high``: its mean over seeds
    with the 95 % interval. The interval is over trainings: all models and seeds are evaluated on
    the same test examples, and the variation between test sets is not covered. With one seed both
    ends are NaN. Variables along ``placebo`` are absent where a study has no placebos.

    Attributes: ``train_examples``, ``test_examples``: the numbers of examples on which models were
    evaluated; and, if the student's loss changes during training, ``switch_steps``: the first step
    of the change and the first after it.
    """

    @property
    def test_examples(self) -> int:
        """The number of test examples of the evaluation."""
        return int(self.data.attrs["test_examples"])

    @property
    def placebos(self) -> tuple[str, ...]:
        """The placebos, in the order of the store; empty if there are none."""
        return names_along(self.data, "placebo")
