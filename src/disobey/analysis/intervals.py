"""Intervals for few seeds crossed with many test examples, and decisions based on them.

The quantiles are computed here, because scipy would be two fifths of the installed size.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import xarray as xr

# Estimate, low and high.
Interval = tuple[float, float, float]
ENDS = ("estimate", "low", "high")
LEVEL = 0.95
HOLDS, CONTRARY, UNDECIDED = "holds", "contrary", "undecided"
SMALLEST_P = 1e-16  # of a test; smaller ones are not told apart
# t of one degree of freedom.
TWO_SEEDS = "two seeds: an interval is 12.7 standard errors wide to either side; take five"


def half_width(
    seed_variance: np.ndarray, seeds: int, example_variance: np.ndarray, level: float = LEVEL
) -> np.ndarray:
    """Return the half width sqrt(t^2 s^2 / S + z^2 v) of an interval.

    Seeds and test examples are crossed, not nested: all seeds see the same examples, so their
    uncertainty does not shrink with the number of seeds.

    Parameters
    ----------
    seed_variance : ndarray
        s^2, the variance over seeds (S - 1 in the denominator).
    seeds : int
        S; with fewer than two there is no interval.
    example_variance : ndarray
        v, the variance of the seed mean when test examples are resampled once, identically for all
        seeds; 0 on the training set.
    level : float
        Coverage.

    Returns
    -------
    ndarray
        NaN with fewer than two seeds.
    """
    if seeds < 2:
        return np.full(np.shape(seed_variance), np.nan)
    t, z = t_quantile(level, seeds - 1), normal_quantile(level)
    return np.sqrt(t**2 * np.asarray(seed_variance) / seeds + z**2 * np.asarray(example_variance))


def crossed_interval(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return estimate, low and high, each of shape (...), of a statistic (seed, 1 + resample, ...).

    Row 0 is the full sample, the others are resamples of the test examples; a training set, whose
    examples are not resampled, has a single row.
    """
    seeds = len(rows)
    per_seed = rows[:, 0]
    estimate = per_seed.mean(0)
    if seeds < 2:
        return estimate, np.full_like(estimate, np.nan), np.full_like(estimate, np.nan)
    half = half_width(per_seed.var(0, ddof=1), seeds, example_variance(rows))
    return estimate, estimate - half, estimate + half


def over_seeds(
    values: xr.DataArray, prefix: str = "", within: tuple[float, float] = (-np.inf, np.inf)
) -> dict[str, xr.DataArray]:
    """Return ``<prefix>estimate``, ``low`` and ``high`` over the dimension ``seed``, by name.

    No resamples of examples enter. With one seed both ends are NaN; they are cut to ``within``, the
    smallest and the largest value that the statistic can have.
    """
    by_seed = values.transpose("seed", ...)
    estimate, low, high = crossed_interval(by_seed.values[:, None])
    numbers = (estimate, np.maximum(low, within[0]), np.minimum(high, within[1]))
    like = by_seed.isel(seed=0, drop=True)
    names = (f"{prefix}{end}" for end in ENDS)
    return {name: like.copy(data=number) for name, number in zip(names, numbers, strict=True)}


def with_intervals(
    found: xr.Dataset,
    within: Callable[[str], tuple[float, float]] = lambda name: (-np.inf, np.inf),
    names: Sequence[str] = (),
) -> xr.Dataset:
    """Return a dataset with the intervals of its variables along ``seed``, see `over_seeds`.

    ``within`` gives the smallest and the largest value of the variable of a name; without ``names``
    all have intervals.
    """
    for name in names or [str(name) for name in found.data_vars if "seed" in found[name].dims]:
        found = found.assign(over_seeds(found[name], f"{name}_", within(name)))
    return found


def interval_in(data: xr.Dataset, name: str) -> Interval:
    """Return estimate, low and high of a variable whose other dimensions are chosen."""
    estimate, low, high = (float(data[f"{name}_{end}"]) for end in ENDS)
    return estimate, low, high


def names_along(data: xr.Dataset, dimension: str) -> tuple[str, ...]:
    """Return the names along a dimension, in order; none where there is no such dimension."""
    return tuple(map(str, data[dimension].values)) if dimension in data.coords else ()


@dataclass(frozen=True)
class Beside:
    """An analysis of a setting beside that of its confidence, as its store holds it.

    ``about`` is as in `disobey.analysis.store.Analysis`.
    """

    setting: str
    about: dict[str, Any]
    data: xr.Dataset

    def number(self, statistic: str, **of: str) -> Interval:
        """Return estimate, low and high at a name along dimensions, such as ``model="student"``."""
        return interval_in(self.data.sel(of), statistic)


def example_variance(rows: np.ndarray) -> np.ndarray:
    """Return v, the variance over resamples of the mean over seeds; see `half_width`."""
    resampled = rows[:, 1:].mean(0)
    if len(resampled) < 2:
        return np.zeros(resampled.shape[1:])
    # A resample without a single example of a small subset has no value: leave it out.
    counted = np.isfinite(resampled)
    number = counted.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(counted, resampled, 0).sum(0) / number
        squares = np.where(counted, (resampled - mean) ** 2, 0).sum(0)
        return np.where(number > 1, squares / np.maximum(number - 1, 1), np.nan)


def verdict(low: float, high: float, null: float) -> str:
    """Return ``holds`` above ``null``, ``contrary`` below it, else ``undecided``."""
    if low > null:
        return HOLDS
    return CONTRARY if high < null else UNDECIDED


def holm(p_values: Sequence[float]) -> list[bool]:
    """Return which hypotheses Holm's step-down procedure rejects at family-wise 5 %.

    NaN, a claim without a test, is never rejected and does not count.
    """
    tested = sorted((p, i) for i, p in enumerate(p_values) if np.isfinite(p))
    rejected = [False] * len(p_values)
    for rank, (p, i) in enumerate(tested):
        if p > (1 - LEVEL) / (len(tested) - rank):
            break
        rejected[i] = True
    return rejected


def one_sided_p(
    estimate: float, null: float, seed_variance: float, seeds: int, example_variance: float
) -> float:
    """Return the p-value of "the statistic is not above ``null``": the interval, inverted.

    Half of the level at which the two-sided interval's lower end touches ``null``; found by
    bisection, since t and normal quantiles are mixed.
    """
    distance = estimate - null
    if seeds < 2 or not np.isfinite([distance, seed_variance, example_variance]).all():
        return float("nan")

    def p_of(t: float) -> float:
        return max(SMALLEST_P, t_tail(t, seeds - 1) / 2)

    def reached(t: float) -> bool:
        z = -NormalDist().inv_cdf(p_of(t))
        half = math.hypot(t * math.sqrt(seed_variance / seeds), z * math.sqrt(example_variance))
        return half >= abs(distance) or p_of(t) == SMALLEST_P

    p = p_of(_least(reached))
    return p if distance > 0 else 1 - p


# --- quantiles -------------------------------------------------------------------------------


def normal_quantile(level: float) -> float:
    """Return the z that the absolute value of a standard normal exceeds with 1 - ``level``."""
    return NormalDist().inv_cdf((1 + level) / 2)


@functools.cache
def t_quantile(level: float, dof: int) -> float:
    """Return the t that the absolute value of Student's t exceeds with 1 - ``level``."""
    return _least(lambda t: t_tail(t, dof) <= 1 - level)


def t_tail(t: float, dof: int) -> float:
    """Return the probability that the absolute value of Student's t exceeds ``t``.

    I_x(dof/2, 1/2) at x = dof / (dof + t^2), the regularized incomplete beta function.
    """
    a, b, x = dof / 2, 0.5, dof / (dof + t * t)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly: the symmetric one
        return 1 - _incomplete_beta(b, a, t * t / (dof + t * t), x)
    return _incomplete_beta(a, b, x, t * t / (dof + t * t))


def _incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """Return I_x(a, b), rest = 1 - x, by its continued fraction (DLMF 8.17.22, Lentz's method)."""
    if x == 0:
        return 0.0
    c, d, fraction, step = 1.0, 0.0, 1.0, 0.0
    m = 0
    while abs(step - 1) > 1e-15:
        for numerator in (
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
            (m + 1) * (b - m - 1) * x / ((a + 2 * m + 1) * (a + 2 * m + 2)),
        ):
            c, d = 1 + numerator / c, 1 / (1 + numerator * d)
            fraction *= (step := c * d)
        m += 1
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(logarithm + a * math.log(x) + b * math.log(rest)) / (a * fraction)


def _least(reached: Callable[[float], bool]) -> float:
    """Return the least number from 0 on where ``reached`` turns true."""
    low, high = 0.0, 1.0
    while not reached(high):
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
