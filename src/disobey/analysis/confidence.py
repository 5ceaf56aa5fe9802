"""Exaggeration of confidence: the paper's plotted statistics, and estimators without selection.

Notation: t is a student's teacher, m the model compared with it (student or reference), r a
*replicate*: a teacher of another seed, same data and noise. phi is the confidence logit.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from disobey.analysis.names import (
    DECILES,
    EXAGGERATION,
    GAPS,
    INHERITANCE,
    LOGITS,
    RATIO,
    SHARE,
    SIGNAL_SCALE,
    Statistic,
)
from disobey.analysis.resampling import Averages

Key = TypeVar("Key", bound=Hashable)

# Rows of logits turned into float64 at a time.
BLOCK = 1 << 16
QUARTER, TENTH = 0.25, 0.1
# A covariance below this share of E[xy] is rounding error.
ROUNDING = 1e-12

# Conditioned on a replicate: the primary estimators.
PRIMARY = (
    Statistic(
        EXAGGERATION, "A = cov(phi_m, phi_r) / cov(phi_t, phi_r), of r's class", RATIO, 1, "A"
    ),
    *(
        Statistic(
            name, f"G: mean of phi_m - phi_t in decile {i} of {DECILES} of phi_r", LOGITS, 0, "G",
            f"G in decile {i} of {DECILES}",
            {1: "G, bottom decile", DECILES: "G, top decile"}.get(i, ""),
        )
        for i, name in enumerate(GAPS, 1)
    ),
    Statistic(SIGNAL_SCALE, "A_z = <m, r> / <t, r> of centred logits", RATIO, 1, "A_z"),
    Statistic(
        INHERITANCE,
        "B = (<m, t> - <m, r'>) / (<t, t> - <t, r'>) of centred logits, r' = r |t| / |r|",
        RATIO, 0, "B",
    ),
)  # fmt: skip
# Conditioned on the teacher, as the paper plots them: biased by the teacher's own noise.
PLOTTED = (
    Statistic("plot_slope", "least-squares slope of phi_m on phi_t, of t's class", RATIO,
              label="slope", equal=1),
    Statistic("plot_intercept", "its intercept", LOGITS),
    Statistic("plot_slope_bottom_quartile", "the slope in the lowest quarter of phi_t", RATIO),
    Statistic("plot_gap_bottom_decile", "mean of phi_m - phi_t in the lowest tenth of phi_t",
              LOGITS, label="gap in the bottom decile", short="gap, bottom decile", equal=0),
    Statistic("plot_gap_top_decile", "the same in the highest tenth", LOGITS,
              label="gap in the top decile", short="gap, top decile", equal=0),
    Statistic("plot_share_below_diagonal",
              "how many of the lowest quarter of phi_t have phi_m < phi_t", SHARE),
    Statistic("plot_sd_ratio", "standard deviation of phi_m over that of phi_t", RATIO),
)  # fmt: skip


class Rows(Protocol):
    """An array-like object of shape (example, class) whose slices of rows are arrays."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of examples and classes."""

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        """Return the rows of a slice."""


def confidence_logit(logits: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return phi(p_c) = ln(p_c / (1 - p_c)) from logits: z[c] - logsumexp of the others.

    Computed in float64 at temperature 1, and never from the probability, which in float32 already
    rounds to 1 at a gap of 17. ``chosen``, (example,), is the class c, e.g. the teacher's
    prediction.

    Raises
    ------
    ValueError
        If there are fewer than two classes or the shapes do not match.
    """
    if logits.ndim != 2 or logits.shape[1] < 2 or chosen.shape != logits.shape[:1]:
        raise ValueError(
            f"logits must be (example, class) with two classes at least and chosen (example,), "
            f"got {logits.shape} and {chosen.shape}"
        )
    phi = np.empty(len(logits))
    for start in range(0, len(logits), BLOCK):
        block = logits[start : start + BLOCK].astype(np.float64)
        rows = np.arange(len(block)), chosen[start : start + BLOCK]
        own = block[rows]
        block[rows] = -np.inf
        highest = block.max(1)
        others = highest + np.log(np.exp(block - highest[:, None]).sum(1))
        phi[start : start + BLOCK] = own - others
    return phi


def primary(
    phi_model: np.ndarray, phi_teacher: np.ndarray, phi_replicate: np.ndarray, where: np.ndarray
) -> Averages:
    """Return A and G(q), conditioned on a replicate: every phi is of the class that it predicts.

    A = cov(phi_m, phi_r) / cov(phi_t, phi_r);  G(q) = mean(phi_m - phi_t) in decile q of phi_r. A
    model that behaves like another teacher seed has A = 1 and G = 0. All arrays have shape
    (example,); ``where`` is the subset.
    """
    edges = quantile_edges(phi_replicate, where, DECILES)

    def gaps(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        decile = np.searchsorted(edges, phi_replicate[rows], side="right")
        inside = where[rows, None] & (decile[:, None] == np.arange(DECILES))
        return (phi_model[rows] - phi_teacher[rows])[:, None], inside

    def finish(moments: np.ndarray, gaps: np.ndarray) -> dict[str, np.ndarray]:
        by_decile = zip(GAPS, gaps[..., 0].T, strict=True)
        return {EXAGGERATION: slope_of(moments), **dict(by_decile)}

    return Averages(finish, moments_of(phi_model, phi_teacher, phi_replicate, where), gaps)


def moments_of(
    phi_model: np.ndarray, phi_teacher: np.ndarray, phi_order: np.ndarray, where: np.ndarray
) -> Callable[[slice], tuple[np.ndarray, np.ndarray]]:
    """Return the part of `Averages` that `slope_of` needs; all arrays have shape (example,)."""
    phi = phi_model, phi_teacher, phi_order
    centre = [centre_of(one, where) for one in phi]

    def moments(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        m, t, o = (one[rows] - by for one, by in zip(phi, centre, strict=True))
        return np.column_stack([m, t, o, m * o, t * o]), where[rows, None]

    return moments


def slope_of(moments: np.ndarray) -> np.ndarray:
    """Return cov(phi_m, phi_o) / cov(phi_t, phi_o), shape (1 + resample,); see `moments_of`."""
    m, t, o, mo, to = moments[:, 0].T
    return np.asarray((mo - m * o) / spread(to, t * o))


class CentredLogits:
    """Logits of one model, centred within each example, in float64, a block at a time."""

    def __init__(self, logits: Rows) -> None:
        self._logits = logits
        self._rows: slice | None = None
        self._block = np.empty((0, 0))

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return a block of rows; the most recent block is cached."""
        if rows != self._rows:
            block = self._logits[rows].astype(np.float64)
            block -= block.mean(1, keepdims=True)
            self._rows, self._block = rows, block
        return self._block


def inheritance(
    logits: Mapping[Key, CentredLogits],
    class_mean: Mapping[Key, np.ndarray],
    trios: Sequence[tuple[Key, Key, Key]],
    where: np.ndarray,
) -> Averages:
    """Return A_z = <m,r> / <t,r> and B = (<m,t> - <m,r'>) / (<t,t> - <t,r'>) of many models.

    Logits are centred within each example, and then for each class over the subset; r' is r
    scaled to the norm of t. A_z is the scale of the signal that teachers share; B is the share of
    this teacher's own deviation from it that the model copies. Another teacher seed has A_z = 1 and
    B = 0. Neither depends on the scale of r. B's denominator, <t,t> (1 - cos(t,r)), is positive
    unless both teachers are the same; without the scaling it could cross zero where their norms
    differ.

    Parameters
    ----------
    logits : mapping to CentredLogits
    class_mean : mapping to ndarray of float64, shape (class,)
        Mean over the subset of the centred logits of each model.
    trios : sequence of (model, teacher, replicate)
        Keys of the two mappings. A model, or pair of models, in several trios is processed once.
    where : ndarray of bool, shape (example,)
        The subset.

    Returns
    -------
    Averages
        Its statistics are a mapping by trio.
    """
    pairs = dict.fromkeys(frozenset(pair) for trio in trios for pair in _pairs(*trio))
    column = {pair: place for place, pair in enumerate(pairs)}
    keys = dict.fromkeys(key for trio in trios for key in trio)

    def products(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        inside = np.flatnonzero(where[rows])
        centred = {key: logits[key][rows][inside] - class_mean[key] for key in keys}
        found = np.zeros((len(where[rows]), len(column)))
        for pair, place in column.items():
            one, *other = pair  # a single key where a model is multiplied with itself
            first, second = centred[one], centred[other[0] if other else one]
            found[inside, place] = np.einsum("nc,nc->n", first, second)
        return found, where[rows, None]

    def finish(means: np.ndarray) -> dict[tuple[Key, Key, Key], dict[str, np.ndarray]]:
        return {
            trio: of(*(means[:, 0, column[frozenset(p)]] for p in _pairs(*trio))) for trio in trios
        }

    def of(mr: Any, tr: Any, mt: Any, tt: Any, rr: Any) -> dict[str, np.ndarray]:
        scale = np.sqrt(tt / rr)
        copied = (mt - scale * mr) / spread(tt, scale * tr)
        return {SIGNAL_SCALE: mr / tr, INHERITANCE: copied}

    return Averages(finish, products)


def _pairs(model: Key, teacher: Key, replicate: Key) -> tuple[tuple[Key, Key], ...]:
    """Return the pairs of models whose inner products determine the statistics of a trio."""
    models = (model, replicate), (teacher, replicate), (model, teacher)
    return *models, (teacher, teacher), (replicate, replicate)


def plotted(phi_model: np.ndarray, phi_teacher: np.ndarray, where: np.ndarray) -> Averages:
    """Return the statistics of the paper's student-teacher plot, conditioned on the teacher.

    The confidence logits, (example,), are of the class that the *teacher* predicts. Choosing class
    and rank by the teacher selects on the teacher's own noise: any second model appears to underfit
    examples of which the teacher is unsure. Descriptive only.
    """
    centre_m, centre_t = (centre_of(phi, where) for phi in (phi_model, phi_teacher))
    quarter, bottom, top = (
        quantile_of(phi_teacher, where, share) for share in (QUARTER, TENTH, 1 - TENTH)
    )

    def moments(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        phi_m, phi_t = phi_model[rows], phi_teacher[rows]
        m, t, gap = phi_m - centre_m, phi_t - centre_t, phi_m - phi_t
        parts = (True, phi_t <= quarter, phi_t <= bottom, phi_t >= top)
        inside = np.column_stack([where[rows] & part for part in parts])
        return np.column_stack([m, t, m * t, t * t, m * m, gap, gap < 0]), inside

    def finish(means: np.ndarray) -> dict[str, np.ndarray]:
        whole, in_quarter, in_bottom, in_top = np.moveaxis(means, 1, 0)
        line, gap, below = slice(5), 5, 6
        slope, mean_m, mean_t, var_m, var_t = _fit(whole[:, line])
        return {
            "plot_slope": slope,
            "plot_intercept": (mean_m + centre_m) - slope * (mean_t + centre_t),
            "plot_slope_bottom_quartile": _fit(in_quarter[:, line])[0],
            "plot_gap_bottom_decile": in_bottom[:, gap],
            "plot_gap_top_decile": in_top[:, gap],
            "plot_share_below_diagonal": in_quarter[:, below],
            "plot_sd_ratio": np.sqrt(var_m / var_t),
        }

    return Averages(finish, moments)


def _fit(means: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return least-squares slope of m on t, both means and both variances."""
    mean_m, mean_t, mt, tt, mm = means.T
    var_m, var_t = mm - mean_m**2, spread(tt, mean_t**2)
    return (mt - mean_m * mean_t) / var_t, mean_m, mean_t, var_m, var_t


def spread(mean_product: np.ndarray, product_of_means: np.ndarray) -> np.ndarray:
    """Return E[xy] - E[x] E[y] for use as a denominator: NaN where it is only rounding error.

    This happens if a resample contains only one example of a small subset; the ratio is undefined.
    """
    found = mean_product - product_of_means
    return np.where(np.abs(found) > ROUNDING * np.abs(mean_product), found, np.nan)


def quantile_bin(values: np.ndarray, where: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin of each value, 0 to bins - 1, by the quantiles of ``values[where]``."""
    return np.searchsorted(quantile_edges(values, where, bins), values, side="right")


def quantile_edges(values: np.ndarray, where: np.ndarray, bins: int) -> np.ndarray:
    """Return the inner edges of quantile bins of ``values[where]``; empty without values."""
    if not where.any():
        return np.empty(0)
    return np.quantile(values[where], np.arange(1, bins) / bins, overwrite_input=True)


def quantile_of(values: np.ndarray, where: np.ndarray, share: float) -> float:
    """Return a quantile of ``values[where]``; NaN if there are no values."""
    if not where.any():
        return float("nan")
    return float(np.quantile(values[where], share, overwrite_input=True))


def centre_of(values: np.ndarray, where: np.ndarray) -> float:
    """Return the subset's mean, 0 if empty; subtracting it avoids cancellation in moments."""
    return float(values[where].mean()) if where.any() else 0.0
