"""Signs of gradients under two targets, for a linear model of data with true class directions.

The model is f_k(x) = w_k . x_k, with a channel x_k for each class, and mu_k the true direction of
class k (C.5 of the paper's first version). A step of gradient descent on the cross-entropy with a
target q moves w_k by a positive multiple of (q_k - p_k) x_k, where p are the model's own
probabilities. The move has the right sign if (q_k - p_k) (x_k . mu_k) >= 0. Pairs (x, k) are
counted in two ways:

- *as in the paper*: right where q_k is "non-zero" if and only if x_k . mu_k > 0. A softmax is never
  exactly 0, so a teacher's q_k counts as non-zero if it exceeds those of classes whose channel is
  empty in x [our reading; it reproduces the paper's shares]. A one-hot target is non-zero only for
  the label;
- *first gradients*: those of a model with weights 0, whose p is 1 / K. They are the exact gradients
  of the first training step. For one-hot targets both counts are equal, at any weights.

An empty channel has no gradient, which counts as right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from disobey.analysis.intervals import Beside, names_along, with_intervals
from disobey.analysis.names import STUDENT, TEACHER
from disobey.analysis.quality import softened

ONE_HOT = "one_hot"
TARGETS = (ONE_HOT, TEACHER)
RIGHT_SIGNS, RIGHT_FIRST_GRADIENTS = SHARES = ("right_signs", "right_first_gradients")
COSINE, MEAN_COSINE = "cosine", "mean_cosine"
MEAN_COSINE_DIFFERENCE = "mean_cosine_difference"


def margins(channels: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return x_k . mu_k, shape (example, class), 0 where a channel is empty.

    ``channels`` has shape (example, class, dimension), ``direction`` has (class, dimension).
    """
    return np.asarray(np.einsum("ekd,kd->ek", channels, direction))


def right_signs(target: np.ndarray, margin: np.ndarray) -> float:
    """Return the share of pairs with the right sign, counted as in the paper.

    ``target`` contains probabilities or one-hot labels, ``margin`` is the result of `margins`; both
    have shape (example, class).
    """
    of_empty = np.where(margin == 0, target, 0).max(1, keepdims=True)
    return float(((target > of_empty) == (margin > 0)).mean())


def right_first_gradients(target: np.ndarray, margin: np.ndarray) -> float:
    """Return the share of pairs whose first gradient has the right sign; see `right_signs`."""
    update = (target - 1 / target.shape[1]) * margin
    return float((update >= 0).mean())


def cosines(weights: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return the cosine of each class's weights with its true direction, shape (..., class).

    ``weights`` has shape (..., class, dimension). NaN for classes whose weights are 0.
    """
    inner = (weights * direction).sum(-1)
    lengths = np.linalg.norm(weights, axis=-1) * np.linalg.norm(direction, axis=-1)
    return np.divide(inner, lengths, out=np.full(inner.shape, np.nan), where=lengths > 0)


@dataclass(frozen=True)
class Learnt:
    """Training data of a setting, and the weights that its models learnt.

    Attributes
    ----------
    channels : ndarray, shape (example, class, dimension)
        The training examples.
    label : ndarray of int, shape (example,)
        The given labels.
    direction : ndarray, shape (class, dimension)
        The true directions.
    teacher_logits : ndarray, shape (seed, example, class)
    temperature : float
        The temperature of the student's targets.
    weights : mapping of str to ndarray, shape (seed, class, dimension)
        By model: student, reference and optionally others.
    """

    channels: np.ndarray
    label: np.ndarray
    direction: np.ndarray
    teacher_logits: np.ndarray
    temperature: float
    weights: Mapping[str, np.ndarray]


def analyse(learnt: Learnt, seeds: Sequence[int]) -> xr.Dataset:
    """Count the signs of both targets, and compare weights with the directions; see `Gradients`."""
    found = _signs(learnt, seeds).merge(_cosines(learnt, seeds))
    return with_intervals(found, lambda name: (0.0 if name in SHARES else -1.0, 1.0))


def _signs(learnt: Learnt, seeds: Sequence[int]) -> xr.Dataset:
    margin = margins(learnt.channels, learnt.direction)
    one_hot = np.eye(len(learnt.direction))[learnt.label]
    taught = [softened(logits, learnt.temperature) for logits in learnt.teacher_logits]
    found: dict[str, xr.DataArray] = {}
    for name, count in (
        (RIGHT_SIGNS, right_signs),
        (RIGHT_FIRST_GRADIENTS, right_first_gradients),
    ):
        of_labels = [count(one_hot, margin)] * len(seeds)
        of_teacher = [count(target, margin) for target in taught]
        shares = xr.DataArray([of_labels, of_teacher], dims=("target", "seed"))
        found |= {name: shares, f"{name}_difference": shares[1] - shares[0]}
    return xr.Dataset(found, coords={"target": list(TARGETS), "seed": list(seeds)})


def _cosines(learnt: Learnt, seeds: Sequence[int]) -> xr.Dataset:
    found = [cosines(weights, learnt.direction) for weights in learnt.weights.values()]
    cosine = xr.DataArray(
        np.stack(found),
        coords={"model": list(learnt.weights), "seed": list(seeds)},
        dims=("model", "seed", "class"),
    )
    others = [name for name in learnt.weights if name not in (TEACHER, STUDENT)]
    student = cosine.sel(model=STUDENT, drop=True)
    difference = student - cosine.sel(model=others).rename(model="control")
    return xr.Dataset(
        {
            "cosine": cosine,
            "mean_cosine": cosine.mean("class"),
            "cosine_difference": difference,
            "mean_cosine_difference": difference.mean("class"),
        }
    )


# --- the store -------------------------------------------------------------------------------


class Gradients(Beside):
    """The gradients of one setting.

    Notes
    -----
    Dimensions: ``target`` (one_hot, teacher), ``model`` (teacher, reference, student, controls),
    ``control`` (reference and controls), ``seed``, ``class``.

    - ``right_signs(target, seed)``: share of pairs (training example, class) whose gradient has the
      right sign, counted as in the paper; ``right_first_gradients(target, seed)``: the same for
      gradients at weights 0; both are explained in ``disobey.analysis.gradients``. The teacher's
      target is softened as for the student;
    - ``right_signs_difference(seed)``, ``right_first_gradients_difference(seed)``: teacher minus
      one-hot;
    - ``cosine(model, seed, class)``: cosine of a class's weights with its true direction, and
      ``mean_cosine(model, seed)``: its mean over classes;
    - ``cosine_difference(control, seed, class)``, ``mean_cosine_difference(control, seed)``: the
      student's value minus a control's.

    Each variable also has ``_estimate``, ``_low``, ``_high``: its mean over seeds with the 95 %
    interval. The interval is over trainings: all seeds share one draw of the data. With one seed
    both ends are NaN.
    """

    @property
    def controls(self) -> tuple[str, ...]:
        """Reference and controls, in the order of the store."""
        return names_along(self.data, "control")
