"""Intervals for few seeds crossed with many test examples, and decisions based on them.

Quantiles are computed here because scipy would make up two fifths of the installed size.
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
SMALLEST_P = 1e-16  # smaller p-values are not distinguished
# 12.7 is the t quantile with one degree of freedom.
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
        S; with fewer than two the interval is undefined.
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
    """Return estimate, low and high, each of shape (...), from ``rows``, (seed, 1 + resample, ...).

    Row 0 is the full sample, the others are resamples of the test examples; a training set, whose
    examples are not resampled, has a single row. With fewer than two seeds both ends are NaN.
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
    """Return ``<prefix>estimate``, ``<prefix>low`` and ``<prefix>high`` over ``seed``, by name.

    Examples are not resampled. With one seed both ends are NaN. The ends are clipped to ``within``,
    the smallest and the largest value that the statistic can have.
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
    """Return a dataset with intervals added for its variables along ``seed``; see `over_seeds`.

    ``within`` returns the smallest and the largest possible value of a variable, given its name.
    ``names`` are the variables that get intervals, by default all of them.
    """
    for name in names or [str(name) for name in found.data_vars if "seed" in found[name].dims]:
        found = found.assign(over_seeds(found[name], f"{name}_", within(name)))
    return found


def interval_in(data: xr.Dataset, name: str) -> Interval:
    """Return estimate, low and high of a variable that is a scalar in ``data``."""
    estimate, low, high = (float(data[f"{name}_{end}"]) for end in ENDS)
    return estimate, low, high


def names_along(data: xr.Dataset, dimension: str) -> tuple[str, ...]:
    """Return the names along a dimension, in order; empty if there is no such dimension."""
    return tuple(map(str, data[dimension].values)) if dimension in data.coords else ()


@dataclass(frozen=True)
class Beside:
    """A stored analysis of a setting that accompanies its confidence analysis.

    ``about`` is as in `disobey.analysis.store.Analysis`.
    """

    setting: str
    about: dict[str, Any]
    data: xr.Dataset

    def number(self, statistic: str, **of: str) -> Interval:
        """Return estimate, low and high at the labels ``of``, such as ``model="student"``."""
        return interval_in(self.data.sel(of), statistic)


def example_variance(rows: np.ndarray) -> np.ndarray:
    """Return v, the variance over resamples of the mean over seeds; see `half_width`."""
    resampled = rows[:, 1:].mean(0)
    if len(resampled) < 2:
        return np.zeros(resampled.shape[1:])
    # Leave out resamples without a value, which contain no example of a small subset.
    counted = np.isfinite(resampled)
    number = counted.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(counted, resampled, 0).sum(0) / number
        squares = np.where(counted, (resampled - mean) ** 2, 0).sum(0)
        return np.where(number > 1, squares / np.maximum(number - 1, 1), np.nan)


def verdict(low: float, high: float, null: float) -> str:
    """Return ``holds`` for an interval above ``null``, ``contrary`` below, else ``undecided``."""
    if low > null:
        return HOLDS
    return CONTRARY if high < null else UNDECIDED


def holm(p_values: Sequence[float]) -> list[bool]:
    """Apply Holm's step-down procedure at a family-wise level of 5 %; True means rejected.

    A p-value of NaN, from a claim without a test, is never rejected and does not count as a test.
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
    """Return the p-value of "the statistic is not above ``null``", by inverting the interval.

    For an estimate above ``null`` it is half of 1 - level at the level whose two-sided interval
    just reaches ``null``, found by bisection since the interval mixes t and normal quantiles. NaN
    with fewer than two seeds.
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
    """Return the z with P(|Z| > z) = 1 - ``level`` for a standard normal Z."""
    return NormalDist().inv_cdf((1 + level) / 2)


@functools.cache
def t_quantile(level: float, dof: int) -> float:
    """Return the t with P(|T| > t) = 1 - ``level`` for a Student's t variable T."""
    return _least(lambda t: t_tail(t, dof) <= 1 - level)


def t_tail(t: float, dof: int) -> float:
    """Return the probability that the absolute value of Student's t exceeds ``t``.

    I_x(dof/2, 1/2) at x = dof / (dof + t^2), the regularized incomplete beta function.
    """
    a, b, x = dof / 2, 0.5, dof / (dof + t * t)
    if x > (a + 1) / (a + b + 2):  # slow convergence: use I_x(a, b) = 1 - I_(1 - x)(b, a)
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
    """Return the smallest number above 0 for which the monotone ``reached`` is true."""
    low, high = 0.0, 1.0
    while not reached(high):
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
