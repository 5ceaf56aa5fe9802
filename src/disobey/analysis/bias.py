"""Exaggerated implicit bias in networks: two runs compared at equal leading progress.

c_k is a run's *progress* along direction k, ||(W(t) - W(0)) v_k||; the *leading* direction is the
first one, with the largest eigenvalue. The *clock* is the first passage of c_1, i.e. its running
maximum, so that neither the speed of a run nor its path while c_1 decreases matters. The *common
range* of two runs extends from 0, where both start, to the smaller of their largest c_1; a *share*
is a level of c_1 as a share of this range.

At one level of c_1, the log ratio of student to reference minus that of placebo to reference equals
that of student to placebo, which is computed over the common range of these two. Ratios change
during training: two of them, each averaged over its own range, would differ without any effect.

The paper does not specify how it summarises over a network's units: norm, clock, range and means
are our choice [C].
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from disobey.analysis import linear
from disobey.analysis.intervals import (
    Interval,
    interval_in,
    names_along,
    over_seeds,
    with_intervals,
)
from disobey.analysis.names import LOG_RATIO as LN_RATIO
from disobey.analysis.names import REFERENCE, STUDENT, TEACHER, Statistic

LOG_RATIO, OVERALL, TREND = "log_ratio", "overall", "trend"
OVERALL_DIFFERENCE = "overall_difference"
BAND_OVERALL, BAND_DIFFERENCE = "band_overall", "band_difference"
PAIRS_EXPECTED, PAIRS_DRAWN = "pairs_expected", "pairs_drawn"
PAIR_LOG_RATIO = "pair_log_ratio"
# Prefix of counts based on norms ||W v_k|| instead of progress.
OF_NORMS = "norm_"
# Statistics on which claims are decided.
STATISTICS = (
    Statistic(
        OVERALL_DIFFERENCE, "mean over directions of ln(student / placebo) at equal c_1", LN_RATIO,
        0, label="overall log ratio",
    ),
    Statistic(
        TREND, "overall log ratio at the end of the matched range minus at its beginning", LN_RATIO,
        0, label="change of the overall log ratio over the range",
    ),
)  # fmt: skip
# Shares at which the curve of the ratio is evaluated.
SHARES = np.linspace(0.02, 1, 50)
# Number of shares, uniform in c_1, in means over the matched range.
LEVELS = 101
# In the linear theory the teacher stops when it has learnt this share of the leading direction.
LINEAR_STOP = 0.9
# The time of this stop, in units of 1 / leading eigenvalue.
LINEAR_TEACHER = -np.log1p(-LINEAR_STOP)
LINEAR_POINTS = 200
# First and last rank of bands with separate means: a mean over all ranks hides where a student
# makes more progress and where it makes less. No band contains the leading direction.
BANDS = {"2 to 9": (2, 9), "10 to 60": (10, 60), "beyond 60": (61, np.inf)}
# A range with fewer recorded points shows the interpolation, not the training.
LEAST_POINTS = 2


def at_first_passage(values: np.ndarray, leading: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Interpolate recorded values, linearly in c_1, at the first passage of c_1 through each level.

    ``values`` has shape (point, ...); ``leading``, which is c_1, has shape (point,); ``levels`` has
    shape (level,). The result has shape (level, ...).

    Raises
    ------
    ValueError
        If a level is not reached, or is not above the start.
    """
    running = np.maximum.accumulate(leading)
    if levels.min() <= running[0] or levels.max() > running[-1]:
        raise ValueError(
            f"levels must be above the start, {running[0]:g}, and up to the largest leading "
            f"progress, {running[-1]:g}; got {levels.min():g} to {levels.max():g}"
        )
    point = np.searchsorted(running, levels)
    # The previous point need not be the running maximum: c_1 may have decreased in between.
    fraction = (levels - leading[point - 1]) / (leading[point] - leading[point - 1])
    before, after = values[point - 1], values[point]
    return np.asarray(before + fraction.reshape(-1, *[1] * (values.ndim - 1)) * (after - before))


def from_start(recorded: np.ndarray) -> np.ndarray:
    """Prepend the start of training, where step and progress are 0."""
    return np.concatenate([np.zeros((1, *recorded.shape[1:])), recorded])


def common_range(compared: np.ndarray, reference: np.ndarray) -> float:
    """Return the largest c_1 that both runs reach; arguments of shape (point, direction)."""
    return float(min(compared[:, 0].max(), reference[:, 0].max()))


def log_ratio_at(compared: np.ndarray, reference: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return ln(c_k of compared / c_k of reference) where both first reach the same c_1.

    Parameters
    ----------
    compared, reference : ndarray, shape (point, direction)
        Recorded progress, leading direction first, starting from the same W(0). The recorded steps
        may differ. Positive wherever c_1 is positive.
    shares : ndarray, shape (share,)
        Levels as shares of the common range of c_1, above 0 and up to 1.

    Returns
    -------
    ndarray, shape (share, direction)
    """
    levels = shares * common_range(compared, reference)
    logs = []
    for progress in map(from_start, (compared, reference)):
        logs.append(np.log(at_first_passage(progress, progress[:, 0], levels)))
    ratio = logs[0] - logs[1]
    ratio[:, 0] = 0  # equal by construction up to rounding
    return ratio


def steps_at(progress: np.ndarray, step: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the number of steps after which c_1 first reaches each level, shape (level,)."""
    return at_first_passage(from_start(step), from_start(progress[:, 0]), levels)


def points_inside(progress: np.ndarray, low: float, high: float) -> int:
    """Count the recorded points at which c_1 is a new maximum between ``low`` and ``high``."""
    leading = progress[:, 0]
    before = np.maximum.accumulate(from_start(leading))[:-1]
    return int(((leading > before) & (leading >= low) & (leading <= high)).sum())


def recorded(
    models: Sequence[str],
    seeds: Sequence[int],
    step: np.ndarray,
    progress: np.ndarray,
    norm: np.ndarray,
    norm_start: np.ndarray,
    rank: np.ndarray,
    eigenvalue: np.ndarray,
) -> xr.Dataset:
    """Return the recordings of one layer in all runs of a setting; see `Bias` for all shapes.

    ``models`` are, in order, the teacher (if tracked), reference, student and placebos.
    """
    return xr.Dataset(
        {
            "step": ("point", step),
            "rank": ("direction", rank),
            "eigenvalue": ("direction", eigenvalue),
            "progress": (("model", "seed", "point", "direction"), progress),
            "norm": (("model", "seed", "point", "direction"), norm),
            "norm_start": (("model", "seed", "direction"), norm_start),
        },
        coords={"model": list(models), "seed": list(seeds), "share": SHARES},
    )


def analyse(layer: xr.Dataset, matched: tuple[float, float]) -> xr.Dataset:
    """Compare student and placebos with the reference in each seed; see `Bias` for the dataset.

    ``layer`` is the result of `recorded`; ``matched`` is the beginning and the end of the matched
    range, as shares of the common range of c_1.

    Raises
    ------
    ValueError
        If the range is not within 0 to 1, the models do not begin with reference and student, or
        only the leading direction is given.
    """
    if not 0 < matched[0] < matched[1] <= 1:
        raise ValueError(f"range must be two shares, 0 < beginning < end <= 1, got {matched}")
    compared = layer.drop_sel(model=TEACHER, errors="ignore")  # it may start anywhere
    models, directions = names_along(compared, "model"), layer.sizes["direction"]
    if models[:2] != (REFERENCE, STUDENT) or directions < 2:
        raise ValueError(
            f"models must begin with reference and student and directions must be two at least, "
            f"got {models} and {directions}"
        )
    found = layer.merge(_compared(compared, matched))
    if len(models) > 2:
        found = found.merge(_against_placebos(compared, matched))
    return found.merge(theory(layer.eigenvalue.values, matched)).assign_attrs(range=list(matched))


def _compared(layer: xr.Dataset, matched: tuple[float, float]) -> xr.Dataset:
    """Return curves, their means over the range, trends, steps, and intervals over seeds."""
    reference, *others = layer.progress.values
    shares = np.linspace(*matched, LEVELS)
    inside = by_seed(lambda c, r: log_ratio_at(c, r, shares), others, reference)
    log_ratio, change = inside.mean(2), inside[:, :, -1] - inside[:, :, 0]
    curve = by_seed(lambda c, r: log_ratio_at(c, r, SHARES).T, others, reference)
    dataset = xr.Dataset(
        {
            "log_ratio_curve": (("compared", "seed", "direction", "share"), curve),
            "log_ratio": (("compared", "seed", "direction"), log_ratio),
            "overall": (("compared", "seed"), overall(log_ratio)),
            "band_overall": (
                ("compared", "seed", "band"),
                by_band(log_ratio, layer["rank"].values),
            ),
            "trend": (("compared", "seed"), overall(change)),
            "steps": (("compared", "seed", "side", "end"), _steps(layer, matched)),
        },
        coords={"compared": list(layer.model.values[1:]), "band": list(BANDS)},
    )
    dataset = dataset.assign(over_seeds(dataset.log_ratio))
    return with_intervals(dataset, names=(OVERALL, BAND_OVERALL, TREND))


def by_seed(
    of_pair: Callable[[np.ndarray, np.ndarray], Any],
    compared: Iterable[np.ndarray],
    against: np.ndarray,
) -> np.ndarray:
    """Apply ``of_pair`` to each model and ``against`` in each seed, shape (compared, seed, ...)."""
    pairs = [zip(model, against, strict=True) for model in compared]
    return np.array([[of_pair(*pair) for pair in of_model] for of_model in pairs])


def overall(log_ratio: np.ndarray) -> np.ndarray:
    """Average log ratios (..., direction) over all directions but the leading one."""
    return log_ratio[..., 1:].mean(-1)


def by_band(log_ratio: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Average log ratios (..., direction) within each of `BANDS`; NaN for an empty band."""
    bands = [(rank >= first) & (rank <= last) for first, last in BANDS.values()]
    nothing = np.full(log_ratio.shape[:-1], np.nan)
    means = [log_ratio[..., here].mean(-1) if here.any() else nothing for here in bands]
    return np.stack(means, axis=-1)


def _steps(layer: xr.Dataset, matched: tuple[float, float]) -> np.ndarray:
    """Return the steps at which both ends of the range are reached, (compared, seed, side, end)."""
    reference, *others = layer.progress.values

    def of_pair(*pair: np.ndarray) -> list[np.ndarray]:
        levels = np.array(matched) * common_range(*pair)
        return [steps_at(progress, layer.step.values, levels) for progress in pair]

    return by_seed(of_pair, others, reference)


def _against_placebos(layer: xr.Dataset, matched: tuple[float, float]) -> xr.Dataset:
    """Return the log ratio of student to each placebo, with means and intervals; see `Bias`."""
    _, student, *placebos = layer.progress.values
    shares = np.linspace(*matched, LEVELS)
    difference = by_seed(lambda p, s: log_ratio_at(s, p, shares), placebos, student).mean(2)
    dataset = xr.Dataset(
        {
            "difference": (("placebo", "seed", "direction"), difference),
            "overall_difference": (("placebo", "seed"), overall(difference)),
            "band_difference": (
                ("placebo", "seed", "band"),
                by_band(difference, layer["rank"].values),
            ),
        },
        coords={"placebo": list(layer.model.values[2:]), "band": list(BANDS)},
    )
    return with_intervals(dataset)


def theory(eigenvalue: np.ndarray, matched: tuple[float, float]) -> xr.Dataset:
    """Return the log ratios and paths of linear regression; see `disobey.analysis.linear`.

    There is one round of distillation. The teacher stops when it has learnt `LINEAR_STOP` of
    direction 1, which is also the end of the common range of b_1. ``eigenvalue``, (direction,),
    begins with the leading one; times are in units of 1 / leading eigenvalue.
    """
    # Rounding may leave an eigenvalue of a covariance a little below 0.
    spectrum = np.maximum(eigenvalue, 0) / eigenvalue[0]
    inside = _theorem(spectrum, np.linspace(*matched, LEVELS))
    return _linear_paths(spectrum).assign(
        {
            "theorem_log_ratio": (("direction", "share"), _theorem(spectrum, SHARES).T),
            "theorem": ("direction", inside.mean(0)),
            "theorem_overall": overall(inside.mean(0)),
            "theorem_trend": overall(inside[-1] - inside[0]),
        }
    )


def _theorem(spectrum: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the linear model's log ratio, (share, direction)."""
    with np.errstate(divide="ignore"):  # share 1 is reached only at infinite time
        times = -np.log1p(-shares)
    return linear.log_ratio_at(times, spectrum, LINEAR_TEACHER)


def _linear_paths(spectrum: np.ndarray) -> xr.Dataset:
    """Return the linear model's paths up to the time at which the slowest direction is learnt."""
    times = np.geomspace(1e-3, 10 / spectrum[spectrum > 0].min(), LINEAR_POINTS)
    one_hot = linear.filters(spectrum, times)
    shares = np.stack([one_hot, one_hot * linear.filters(spectrum, LINEAR_TEACHER)])
    return xr.Dataset(
        {
            "linear_time": ("linear_point", times),
            "linear": (("linear_model", "linear_point", "direction"), shares),
        },
        coords={"linear_model": [REFERENCE, STUDENT]},
    )


# --- the store -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bias:
    """The bias analysis of one setting.

    Attributes
    ----------
    setting : str
        Its name in the study.
    about : dict
        As in `disobey.analysis.store.Analysis`.
    layers : dict of str to xarray.Dataset
        One dataset per layer, in the order of the study; the first one decides claims.

    Notes
    -----
    The store has a group per layer. Dimensions: ``model`` (the teacher where it was tracked,
    reference, student, placebos), ``compared`` (student and placebos), ``placebo``, ``seed``,
    ``point`` (of the histories), ``direction`` (the leading one first), ``band`` (of ranks: 2
    to 9, 10 to 60, beyond 60), ``share`` (of the common range of c_1), ``side`` (0 the compared
    model, 1 the reference), ``end`` (0 the beginning of the matched range, 1 its end), ``pair``
    (of a top and a bottom direction).

    - ``step(point)``; ``rank(direction)``: the ranks tracked in every seed;
      ``eigenvalue(direction)`` and attribute ``total_variance``: means over seeds, each of which
      has its own basis where the layer reads a teacher's activations; attribute ``range``: the
      matched range, as shares of c_1's common range;
    - ``progress(model, seed, point, direction)``: c_k = ||(W(t) - W(0)) v_k||, as recorded;
      ``norm(model, seed, point, direction)``: ||W(t) v_k||, which the paper plots, and
      ``norm_start(model, seed, direction)``: ||W(0) v_k||;
    - ``log_ratio_curve(compared, seed, direction, share)``: ln of compared over reference, c_k at
      equal first-passage c_1; ``log_ratio(compared, seed, direction)``: its mean over the range,
      with ``estimate``, ``low``, ``high`` ``(compared, direction)`` over seeds;
    - ``difference(placebo, seed, direction)``: log ratio of the student minus that of the placebo
      at equal c_1, averaged over the matched part of their common range, with ``_estimate``,
      ``_low``, ``_high`` ``(placebo, direction)`` over seeds;
    - ``overall(compared, seed)``: mean of the log ratio over all directions but the leading one;
      ``overall_difference(placebo, seed)``: the same mean of the difference;
      ``band_overall(compared, seed, band)``, ``band_difference(placebo, seed, band)``: the same
      means within bands of ranks, NaN where no direction of the band was tracked;
      ``trend(compared, seed)``: overall log ratio at the range's end minus that at its beginning;
      each with ``_estimate``, ``_low``, ``_high`` over seeds;
    - ``steps(compared, seed, side, end)``: steps that each side had taken at the ends of the range;
    - ``pair_top(pair)``, ``pair_bottom(pair)``: ranks of the drawn pairs;
      ``pair_log_ratio(model, seed, pair)``: ln of model over teacher of c along the bottom
      direction at equal c along the top one, averaged over 10 to 90 % of the teacher's final
      progress along the top one; ``pairs_expected(model, seed)``: number of pairs out of 15 in
      which the model has made less progress along the bottom direction than the teacher, at equal
      progress along the top one, averaged over all possible draws; ``pairs_drawn(model, seed)``:
      the count in the drawn pairs; the counts with ``_estimate``, ``_low``, ``_high`` ``(model)``
      over seeds; NaN for the teacher. ``norm_pair_log_ratio``, ``norm_pairs_expected``,
      ``norm_pairs_drawn``: the same for norms, where all models start from the teacher's
      initialisation;
    - ``theorem_log_ratio(direction, share)``, its mean over the range ``theorem(direction)``, and
      ``theorem_overall``, ``theorem_trend``: linear regression with this spectrum, one round;
    - ``linear(linear_model, linear_point, direction)``: paths of the linear model's reference and
      student, as shares of the reference's limit.

    With one seed there is no interval: both ends are NaN. Variables along ``placebo`` are absent
    where a study has no placebos, and variables of pairs where it does not request them.
    """

    setting: str
    about: dict[str, Any]
    layers: dict[str, xr.Dataset]

    @property
    def first(self) -> str:
        """The layer that decides claims."""
        return next(iter(self.layers))

    def number(self, layer: str, statistic: str, **of: str) -> Interval:
        """Return estimate, low and high; ``of`` is ``model=``, ``compared=`` or ``placebo=``."""
        return interval_in(self.layers[layer].sel(of), statistic)

    def seeds(self, layer: str) -> int:
        """Return the number of seeds."""
        return int(self.layers[layer].sizes["seed"])

    def placebos(self, layer: str) -> tuple[str, ...]:
        """Return the placebos of a layer, in the order of the store; empty if there are none."""
        return names_along(self.layers[layer], "placebo")
