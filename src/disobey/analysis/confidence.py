"""Exaggeration of confidence: what the paper plots, and estimators free of selection.

Words: t is a student's teacher, m the model compared with it (student or reference), r a
*replicate*: a teacher of another seed, same data and noise. phi is the confidence logit.
"""

import numpy as np

from disobey.analysis.names import DECILES, EXAGGERATION, GAPS, INHERITANCE, SIGNAL_SCALE
from disobey.analysis.resampling import Resamples

# Rows of logits turned into float64 at a time.
BLOCK = 1 << 16
QUARTER, TENTH = 0.25, 0.1
# A covariance below this share of E[xy] is rounding error.
ROUNDING = 1e-12


def confidence_logit(logits: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return phi(p_c) = ln(p_c / (1 - p_c)) from logits: z[c] - logsumexp of the others.

    In float64 and at temperature 1; never through the probability, which rounds to 1 in float32 at
    a gap of 17 already.

    Parameters
    ----------
    logits : ndarray, shape (example, class)
        Two classes at least.
    chosen : ndarray of int, shape (example,)
        The class c whose confidence is asked for: the teacher's prediction.

    Returns
    -------
    ndarray of float64, shape (example,)

    Raises
    ------
    ValueError
        For fewer than two classes or shapes that do not fit.
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
    resamples: Resamples,
    phi_model: np.ndarray,
    phi_teacher: np.ndarray,
    phi_replicate: np.ndarray,
    where: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return A and G(q), conditioned on a replicate.

    A = cov(phi_m, phi_r) / cov(phi_t, phi_r);  G(q) = mean(phi_m - phi_t) in decile q of phi_r.
    A model that behaves like one more teacher seed has A = 1 and G = 0.

    Parameters
    ----------
    resamples : Resamples
    phi_model, phi_teacher, phi_replicate : ndarray, shape (example,)
        Confidence logits of the class that the *replicate* predicts.
    where : ndarray of bool, shape (example,)
        The subset.

    Returns
    -------
    dict of str to ndarray, shape (1 + resample,)
    """
    m, t, r = (_centred(phi, where) for phi in (phi_model, phi_teacher, phi_replicate))
    means = resamples.means(np.column_stack([m, t, r, m * r, t * r]), where)
    with np.errstate(invalid="ignore", divide="ignore"):
        statistics = {
            EXAGGERATION: (means[:, 3] - means[:, 0] * means[:, 2])
            / _spread(means[:, 4], means[:, 1] * means[:, 2])
        }
    inside = quantile_bin(phi_replicate, where, DECILES)[:, None] == np.arange(DECILES)
    gap = (phi_model - phi_teacher)[:, None] * inside
    bins = resamples.means(np.hstack([inside, gap]), where)
    with np.errstate(invalid="ignore", divide="ignore"):
        gaps = bins[:, DECILES:] / bins[:, :DECILES]
    return statistics | dict(zip(GAPS, gaps.T, strict=True))


def inheritance(
    resamples: Resamples,
    model: np.ndarray,
    teacher: np.ndarray,
    replicate: np.ndarray,
    where: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return A_z = <m,r> / <t,r> and B = (<m,t> - <m,r>) / (<t,t> - <t,r>).

    A_z scales the signal that teachers share, B is how much of this teacher's own deviation from
    it the model copies; another teacher seed has A_z = 1 and B = 0.

    Parameters
    ----------
    resamples : Resamples
    model, teacher, replicate : ndarray, shape (example, class)
        Logits, centred by `centred_logits` over the same subset.
    where : ndarray of bool, shape (example,)
        The subset.

    Returns
    -------
    dict of str to ndarray, shape (1 + resample,)
    """
    pairs = ((model, replicate), (teacher, replicate), (model, teacher), (teacher, teacher))
    products = np.column_stack([np.einsum("nc,nc->n", a, b) for a, b in pairs])
    mr, tr, mt, tt = resamples.means(products, where).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return {SIGNAL_SCALE: mr / tr, INHERITANCE: (mt - mr) / (tt - tr)}


def centred_logits(logits: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Centre logits within each example and then each class over the subset; float64."""
    centred = logits.astype(np.float64)
    centred -= centred.mean(1, keepdims=True)
    if where.any():
        centred -= centred[where].mean(0)
    return centred


def plotted(
    resamples: Resamples, phi_model: np.ndarray, phi_teacher: np.ndarray, where: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what the paper's student-teacher plot shows, conditioned on the teacher.

    Choosing class and rank by the teacher selects on the teacher's own noise: any second model
    looks as if it underfitted what the teacher is unsure of. Descriptive only.

    Parameters
    ----------
    resamples : Resamples
    phi_model, phi_teacher : ndarray, shape (example,)
        Confidence logits of the class that the *teacher* predicts.
    where : ndarray of bool, shape (example,)
        The subset.

    Returns
    -------
    dict of str to ndarray, shape (1 + resample,)
    """
    m, t = _centred(phi_model, where), _centred(phi_teacher, where)
    shift_m, shift_t = _mean(phi_model, where), _mean(phi_teacher, where)
    quarter = where & (phi_teacher <= _quantile(phi_teacher, where, QUARTER))
    bottom = where & (phi_teacher <= _quantile(phi_teacher, where, TENTH))
    top = where & (phi_teacher >= _quantile(phi_teacher, where, 1 - TENTH))
    gap = phi_model - phi_teacher
    line = np.column_stack([m, t, m * t, t * t, m * m])
    with np.errstate(invalid="ignore", divide="ignore"):
        slope, mean_m, mean_t, var_m, var_t = _fit(resamples.means(line, where))
        low_slope = _fit(resamples.means(line, quarter))[0]
        return {
            "plot_slope": slope,
            "plot_intercept": (mean_m + shift_m) - slope * (mean_t + shift_t),
            "plot_slope_bottom_quartile": low_slope,
            "plot_gap_bottom_decile": resamples.means(gap[:, None], bottom)[:, 0],
            "plot_gap_top_decile": resamples.means(gap[:, None], top)[:, 0],
            "plot_share_below_diagonal": resamples.means((gap < 0)[:, None], quarter)[:, 0],
            "plot_sd_ratio": np.sqrt(var_m / var_t),
        }


def _fit(means: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return least-squares slope of m on t, both means and both variances."""
    mean_m, mean_t, mt, tt, mm = means.T
    var_m, var_t = mm - mean_m**2, _spread(tt, mean_t**2)
    return (mt - mean_m * mean_t) / var_t, mean_m, mean_t, var_m, var_t


def _spread(mean_product: np.ndarray, product_of_means: np.ndarray) -> np.ndarray:
    """Return E[xy] - E[x] E[y] to divide by: NaN where nothing but rounding error is left.

    So it is in a resample of a small subset that drew one example only: the ratio has no value.
    """
    spread = mean_product - product_of_means
    return np.where(np.abs(spread) > ROUNDING * np.abs(mean_product), spread, np.nan)


def quantile_bin(values: np.ndarray, where: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin of each value, 0 to bins - 1, by the quantiles of ``values[where]``."""
    if not where.any():
        return np.zeros(len(values), int)
    inner = np.quantile(values[where], np.arange(1, bins) / bins)
    return np.searchsorted(inner, values, side="right")


def _quantile(values: np.ndarray, where: np.ndarray, share: float) -> float:
    return float(np.quantile(values[where], share)) if where.any() else float("nan")


def _mean(values: np.ndarray, where: np.ndarray) -> float:
    return float(values[where].mean()) if where.any() else float("nan")


def _centred(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Subtract the subset's mean: covariances from moments then lose no digits."""
    return values - _mean(values, where) if where.any() else values
