"""Linear regression by gradient flow: paths in closed form, and a student at matched progress.

Gradient flow from zero on 1/2 ||X b - y||^2, with X = U S V' and eigenvalues lambda_k = s_k^2.
Along each eigendirection v_k the one-hot model, which is also the first teacher, learns

    b_k(t) = (u_k.y / s_k) (1 - e^(-lambda_k t)),

and a student of a teacher stopped at T multiplies this by the teacher's filter 1 - e^(-lambda_k T),
once per round of distillation. Times are in units of 1 / eigenvalue.

The paper's theorem for one round (wording ours): if 0 < T < infinity, lambda_1 > lambda_k, and
u_1.y and u_k.y are nonzero, then wherever student and one-hot path have made equal progress along
v_1, the student has made strictly less along v_k. Size and shape of the ratio are derived here.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

# A product of two filters below this threshold loses no precision.
EARLY = 0.5


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A least-squares problem in its eigenbasis.

    Attributes
    ----------
    eigenvalues : ndarray, shape (direction,)
        lambda_k = s_k^2 of X'X, largest first; only directions within the rank of X.
    limit : ndarray, shape (direction,)
        u_k.y / s_k, the limit of the one-hot path.
    directions : ndarray, shape (direction, feature)
        Unit vectors v_k: ``paths(...) @ directions`` are weights in the original coordinates.
    """

    eigenvalues: np.ndarray
    limit: np.ndarray
    directions: np.ndarray

    @classmethod
    def from_data(cls, inputs: ArrayLike, targets: ArrayLike) -> Self:
        """Decompose X = U S V' for X, (example, feature), and y, (example,).

        Divide X and y by sqrt(n) beforehand if the loss is the mean over examples.

        Raises
        ------
        ValueError
            If there are fewer than two examples, values are empty or non-finite, shapes do not
            match or X is all zeros.
        """
        x, y = _finite("inputs", inputs, 2), _finite("targets", targets, 1)
        if len(x) != len(y) or len(x) < 2:
            raise ValueError(
                f"inputs and targets need the same examples, two at least, got {x.shape} and "
                f"{y.shape}: write X as (example, feature) and y as (example,)"
            )
        u, s, directions = np.linalg.svd(x, full_matrices=False)
        kept = s > s[0] * max(x.shape) * np.finfo(float).eps
        if not kept.any():
            raise ValueError("inputs are all 0: there is no direction to learn")
        eigenvalues = s[kept] ** 2
        return cls(eigenvalues, (u.T[kept] @ y) / np.sqrt(eigenvalues), directions[kept])


def filters(eigenvalues: np.ndarray, times: ArrayLike) -> np.ndarray:
    """Return the learnt share of each direction, 1 - e^(-lambda t), shape times + (direction,).

    Eigenvalues are non-negative; times are positive and in units of 1 / eigenvalue, with ``np.inf``
    for the limit. The share is 0 for eigenvalue 0, and accurate even for very small lambda t.
    """
    when = np.asarray(times, np.float64)
    learnt = np.zeros((*when.shape, len(eigenvalues)))
    with np.errstate(over="ignore"):
        np.multiply(-when[..., None], eigenvalues, out=learnt, where=eigenvalues > 0)
    return -np.expm1(learnt)


def paths(spectrum: Spectrum, times: ArrayLike, teacher_stops: ArrayLike = ()) -> np.ndarray:
    """Return b_k(t) = (u_k.y / s_k) (1 - e^(-lambda_k t)) prod_j (1 - e^(-lambda_k T_j)).

    Parameters
    ----------
    spectrum : Spectrum
    times : array_like, any shape
        Positive, in units of 1 / eigenvalue; ``np.inf`` is the limit.
    teacher_stops : array_like, shape (round,)
        Time at which the teacher of each round of distillation was stopped; empty for the one-hot
        path. ``np.inf`` is a teacher trained to the limit, which has no effect.

    Returns
    -------
    ndarray of float64, shape of times + (direction,)

    Raises
    ------
    ValueError
        If times are empty, NaN, 0 or negative.
    """
    stops = np.atleast_1d(np.asarray(teacher_stops, np.float64))
    if stops.size:
        _check_times("teacher_stops", stops)
    limit = spectrum.limit * filters(spectrum.eigenvalues, stops).prod(0)
    return filters(spectrum.eigenvalues, _check_times("times", times)) * limit


def log_ratio_at(times: np.ndarray, eigenvalues: np.ndarray, teacher_stop: float) -> np.ndarray:
    """Return ln R for one round, where R is b_k of the student over b_k of the one-hot path.

    R compares both at equal b_1. With p = 1 - e^(-lambda_1 t), q = 1 - e^(-lambda_1 T),
    r = lambda_k / lambda_1 and the filter f(a) = 1 - (1 - a)^r, R = f(p) f(q) / f(p q). It rises
    with t from f(q) / q to 1.

    ``times`` are the student's, ``eigenvalues`` (direction,) begin with the largest, and
    ``teacher_stop`` is T. The result has shape times + (direction,) and is accurate to about 1e-15.
    It is NaN along directions of eigenvalue 0, where neither model moves.
    """
    leading = eigenvalues[0]
    student, stop = leading * times[..., None], np.float64(leading * teacher_stop)
    meeting, relative = _meeting(student, stop), eigenvalues / leading
    with np.errstate(invalid="ignore", divide="ignore"):
        own, of_teacher, both = (-np.expm1(-relative * t) for t in (student, stop, meeting))
        found = np.log(own / both * of_teacher)
    found[..., 0] = 0  # equal by construction up to rounding
    return np.where(eigenvalues > 0, found, np.nan)


def _meeting(one: np.ndarray, other: np.float64) -> np.ndarray:
    """Return z with 1 - e^-z = (1 - e^-x) (1 - e^-y), by e^-z = e^-x + e^-y - e^-(x + y)."""
    earlier, later = np.minimum(one, other), np.maximum(one, other)
    both = np.expm1(-one) * np.expm1(-other)
    early = both < EARLY
    with np.errstate(invalid="ignore"):  # two infinite times
        late = earlier - np.log1p(np.exp(earlier - later) * -np.expm1(-earlier))
    return np.where(
        early, -np.log1p(-np.where(early, both, 0)), np.where(earlier < np.inf, late, earlier)
    )


def _finite(name: str, values: ArrayLike, axes: int) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != axes or not array.size:
        raise ValueError(f"{name} must have {axes} axes and not be empty, got shape {array.shape}")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite, got {array[where]} at {where}: leave it out")
    return array


def _check_times(name: str, values: ArrayLike) -> np.ndarray:
    times = np.asarray(values, np.float64)
    if not times.size:
        raise ValueError(f"{name} must not be empty")
    if not (times > 0).all():
        raise ValueError(
            f"{name} must be positive, got {times[~(times > 0)].ravel()[0]:g}: write times in "
            f"units of 1 / eigenvalue, np.inf for the limit"
        )
    return times
