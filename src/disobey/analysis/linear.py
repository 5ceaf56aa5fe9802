"""Exaggerated implicit bias in linear regression: closed-form paths and their matched progress.

Gradient descent from zero on 1/2 ||X b - y||^2, X = U S V', eigenvalues lambda_k = s_k^2. Along
each eigendirection v_k the one-hot model (which is also the first teacher) learns

    b_k(t) = (u_k.y / s_k) (1 - e^(-lambda_k t)),

and a student of a teacher stopped at T multiplies by the teacher's filter 1 - e^(-lambda_k T), once
per round of distillation. Time is in units of 1 / eigenvalue throughout; for descent with a step
size eta it is eta times the number of steps, and lambda becomes -ln(1 - eta lambda) / eta.

Words: *leading* is direction 1 of the theorem; *progress* along a direction is the share of the
model's own limit that it has reached; a *relative rate* is r = lambda_k / lambda_1; *filter* f is
what is learnt along k when the share a is learnt along 1, f(a) = 1 - (1 - a)^r.

Which statement is whose. [P], the paper's theorem (wording ours), one round of gradient flow: with
0 < T < infinity, lambda_1 > lambda_k and neither u_1.y nor u_k.y 0, wherever student and one-hot
path have made equal progress along 1, the student has made strictly less along k. [D], derived
here: the size and shape of that ratio, its limits, descent, more rounds, the treatment of rounding.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

# Times lambda_1 t outside of this range are at a limit: their filters are 0 or 1 to the last bit,
# also for eigenvalues 1e100 times larger or smaller, and products of two stay inside of float64.
EARLIEST, LATEST = 1e-150, 1e150
# Closer to 1 than this, ratios are had from their distance to 1: their logarithm would lose digits.
NEAR_ONE = 0.5
# Below this time a power series replaces a difference of logarithms; its error is below 1e-15.
SERIES = 0.1


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A least-squares problem as gradient descent sees it.

    Attributes
    ----------
    eigenvalues : ndarray, shape (direction,)
        lambda_k = s_k^2 of X'X, 0 or larger, in any order.
    projections : ndarray, shape (direction,)
        u_k.y, the labels seen from direction k.
    directions : ndarray, shape (direction, feature), optional
        Unit vectors v_k: ``paths(...) @ directions`` are weights in the original coordinates.

    Raises
    ------
    ValueError
        For empty or non-finite values, negative eigenvalues or shapes that do not fit.
    """

    eigenvalues: np.ndarray
    projections: np.ndarray
    directions: np.ndarray | None = None

    def __post_init__(self) -> None:
        eigenvalues = _checked_eigenvalues(self.eigenvalues)
        projections = _finite("projections", self.projections, 1)
        if projections.shape != eigenvalues.shape:
            raise ValueError(
                f"projections need one u_k.y per eigenvalue: there are {len(projections)} for "
                f"{len(eigenvalues)} eigenvalues"
            )
        if self.directions is not None:
            directions = _finite("directions", self.directions, 2)
            if len(directions) != len(eigenvalues):
                raise ValueError(
                    f"directions need one row v_k per eigenvalue: there are {len(directions)} for "
                    f"{len(eigenvalues)} eigenvalues"
                )
            object.__setattr__(self, "directions", directions)
        object.__setattr__(self, "eigenvalues", eigenvalues)
        object.__setattr__(self, "projections", projections)

    @classmethod
    def from_data(cls, inputs: ArrayLike, targets: ArrayLike) -> Self:
        """Decompose X = U S V' and keep the directions that X really has, largest first.

        Divide X and y by sqrt(n) beforehand if the loss is the mean over examples.

        Parameters
        ----------
        inputs : array_like, shape (example, feature)
            X, of any rank but 0.
        targets : array_like, shape (example,)
            y.

        Raises
        ------
        ValueError
            For fewer than two examples, empty or non-finite values, shapes that do not fit or an X
            of zeros.
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
        return cls(s[kept] ** 2, u.T[kept] @ y, directions[kept])

    def select(self, ranks: ArrayLike) -> Self:
        """Return the directions of these ranks (0 is the first), refusing those beyond the rank."""
        chosen = np.atleast_1d(np.asarray(ranks))
        rank = len(self.eigenvalues)
        if not np.issubdtype(chosen.dtype, np.integer) or np.any((chosen < 0) | (chosen >= rank)):
            raise ValueError(
                f"direction {chosen.tolist()} is beyond the rank: there are {rank} "
                f"directions, write numbers 0 to {rank - 1}"
            )
        rows = None if self.directions is None else self.directions[chosen]
        return type(self)(self.eigenvalues[chosen], self.projections[chosen], rows)

    @property
    def limit(self) -> np.ndarray:
        """u_k.y / s_k, where the one-hot path ends; 0 along directions of eigenvalue 0."""
        s = np.sqrt(self.eigenvalues)
        return np.divide(self.projections, s, out=np.zeros_like(s), where=s > 0)


def descent_rates(eigenvalues: ArrayLike, step_size: float | None) -> np.ndarray:
    """Return lambda' = -ln(1 - eta lambda) / eta, the flow that descent's steps lie on [D].

    Parameters
    ----------
    eigenvalues : array_like, shape (direction,)
    step_size : float or None
        eta, below 1 / max(eigenvalues); None is gradient flow, whose rates are the eigenvalues.

    Raises
    ------
    ValueError
        For eigenvalues that are empty, negative or not finite; for eta not in (0, 1 / max).
    """
    checked = _checked_eigenvalues(eigenvalues)
    if step_size is None:
        return checked
    highest = checked.max()
    if not 0 < step_size < np.inf or step_size * highest >= 1:
        bound = f"below 1 / largest eigenvalue = {1 / highest:g}" if highest else "finite"
        raise ValueError(f"step_size must be positive and {bound}, got {step_size:g}")
    return -np.log1p(-step_size * checked) / step_size


def filters(eigenvalues: ArrayLike, times: ArrayLike, step_size: float | None = None) -> np.ndarray:
    """Return the share learnt of each direction: 1 - e^(-lambda t) or 1 - (1 - eta lambda)^(t/eta).

    Parameters
    ----------
    eigenvalues : array_like, shape (direction,)
    times : array_like, any shape
        Positive, in units of 1 / eigenvalue; for descent eta x steps. ``np.inf`` is the limit.
    step_size : float, optional
        eta of gradient descent; gradient flow without it.

    Returns
    -------
    ndarray of float64, shape of times + (direction,)
        0 along directions of eigenvalue 0; exact to rounding however small lambda t is.

    Raises
    ------
    ValueError
        See `descent_rates`; for times that are empty, NaN, 0 or negative.
    """
    rates, when = descent_rates(eigenvalues, step_size), _checked_times("times", times)
    learnt = np.zeros((*when.shape, len(rates)))
    with np.errstate(over="ignore"):
        np.multiply(-when[..., None], rates, out=learnt, where=rates > 0)
    np.expm1(learnt, out=learnt)
    return np.negative(learnt, out=learnt)


def paths(
    spectrum: Spectrum,
    times: ArrayLike,
    teacher_stops: ArrayLike = (),
    step_size: float | None = None,
) -> np.ndarray:
    """Return b_k(t) = (u_k.y / s_k) (1 - e^(-lambda_k t)) prod_j (1 - e^(-lambda_k T_j)).

    One-hot and one-round paths are the paper's setting [P]; more rounds, and descent, which puts
    lambda' of `descent_rates` for lambda, are derived [D].

    Parameters
    ----------
    spectrum : Spectrum
    times : array_like, any shape
        Positive, in units of 1 / eigenvalue; for descent eta x steps. ``np.inf`` is the limit.
    teacher_stops : array_like, shape (round,)
        When the teacher of each round of distillation was stopped, same unit; none: one-hot.
        ``np.inf`` is a teacher trained to the end, which changes nothing.
    step_size : float, optional
        eta of gradient descent, the same in all rounds; gradient flow without it.

    Returns
    -------
    ndarray of float64, shape of times + (direction,)

    Raises
    ------
    ValueError
        See `filters`.
    """
    path = filters(spectrum.eigenvalues, times, step_size)
    path *= _student_limit(spectrum, _checked_stops(teacher_stops), step_size)
    return path


def student_limit(
    spectrum: Spectrum, teacher_stops: ArrayLike = (), step_size: float | None = None
) -> np.ndarray:
    """Return where the student's path ends, shape (direction,): at its last teacher [D].

    Arguments and errors as in `paths`.
    """
    return _student_limit(spectrum, _checked_stops(teacher_stops), step_size)


def progress_along(
    leading_progress: ArrayLike,
    eigenvalues: ArrayLike,
    step_size: float | None = None,
    leading: int = 0,
) -> np.ndarray:
    """Return f(a) = 1 - (1 - a)^r: the one-hot path's progress along k at progress a along 1.

    Parameters
    ----------
    leading_progress : array_like, any shape
        a, in (0, 1).
    eigenvalues : array_like, shape (direction,)
        r is eigenvalues / eigenvalues[leading].
    step_size : float, optional
        eta of gradient descent; gradient flow without it.
    leading : int
        Which direction is direction 1.

    Returns
    -------
    ndarray, shape of leading_progress + (direction,)

    Raises
    ------
    ValueError
        For progress outside of (0, 1), a leading direction that does not exist or has eigenvalue 0;
        see also `descent_rates`.
    """
    relative, _, _ = _relative_rates(eigenvalues, step_size, leading)
    return _filter(relative, -np.log1p(-_checked_progress(leading_progress))[..., None])


def matched_times(
    progress: ArrayLike,
    eigenvalues: ArrayLike,
    teacher_stops: ArrayLike,
    step_size: float | None = None,
    leading: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Invert the progress curves: return when student and one-hot path are equally far along 1.

    The student at progress p along 1 is at p prod_j q_j of the one-hot path's limit, with
    q_j = 1 - e^(-lambda_1 T_j); the one-hot path is there earlier than any teacher's stop.

    Arguments and errors as in `matched_log_ratio`.

    Returns
    -------
    student_times, one_hot_times : ndarray, shape of progress
        In units of 1 / eigenvalue; for descent eta x steps (seldom whole steps).
    """
    _, _, rate = _relative_rates(eigenvalues, step_size, leading)
    student = -np.log1p(-_checked_progress(progress))
    one_hot = student
    for one_hot_before, stop in _rounds(student, rate * _checked_stops(teacher_stops, least=1)):
        one_hot = _meeting(one_hot_before, stop)[0]
    return student / rate, one_hot / rate


def matched_log_ratio(
    progress: ArrayLike,
    eigenvalues: ArrayLike,
    teacher_stops: ArrayLike,
    step_size: float | None = None,
    leading: int = 0,
) -> np.ndarray:
    """Return ln R, R the student's b_k over the one-hot path's b_k at equal b_1.

    R(p) = f(p) prod_j f(q_j) / f(p prod_j q_j). R < 1 for r < 1 and one round is the paper's
    theorem [P]. R rises with p from prod_j f(q_j) / q_j, for one round up to 1; it is 1 for r = 1,
    above 1 and falling for r > 1 [D]. See `log_ratio_limits`.

    Parameters
    ----------
    progress : array_like, any shape
        p, in (0, 1): how much of its own limit the student has learnt along 1.
    eigenvalues : array_like, shape (direction,)
    teacher_stops : array_like, shape (round,)
        As in `paths`, one at least.
    step_size : float, optional
        eta of gradient descent; gradient flow without it.
    leading : int
        Which direction is direction 1; the others may have larger eigenvalues.

    Returns
    -------
    ndarray of float64, shape of progress + (direction,)
        Exact to rounding, relative to ln R itself: its sign holds where R rounds to 1. NaN along
        directions of eigenvalue 0, where neither model moves.

    Raises
    ------
    ValueError
        See `progress_along` and `paths`; for no teacher stop.
    """
    student = -np.log1p(-_checked_progress(progress))
    return _log_ratio(student, eigenvalues, teacher_stops, step_size, leading)


def matched_ratio(
    progress: ArrayLike,
    eigenvalues: ArrayLike,
    teacher_stops: ArrayLike,
    step_size: float | None = None,
    leading: int = 0,
) -> np.ndarray:
    """Return R = exp(ln R) of `matched_log_ratio`, for the same arguments."""
    return np.exp(matched_log_ratio(progress, eigenvalues, teacher_stops, step_size, leading))


def log_ratio_at(
    student_times: ArrayLike,
    eigenvalues: ArrayLike,
    teacher_stops: ArrayLike,
    step_size: float | None = None,
    leading: int = 0,
) -> np.ndarray:
    """Return `matched_log_ratio` by the student's training time instead of its progress.

    Progress rounds to 1 at lambda_1 t = 37; times show what happens after, until ``np.inf``. For
    r = 1e-12 that is nearly all of the ratio's rise.

    Parameters
    ----------
    student_times : array_like, any shape
        Positive, in units of 1 / eigenvalue; for descent eta x steps.
    eigenvalues, teacher_stops, step_size, leading
        As in `matched_log_ratio`.

    Returns
    -------
    ndarray of float64, shape of student_times + (direction,)

    Raises
    ------
    ValueError
        See `matched_log_ratio` and `filters`.
    """
    _, _, rate = _relative_rates(eigenvalues, step_size, leading)
    student = rate * _checked_times("student_times", student_times)
    return _log_ratio(student, eigenvalues, teacher_stops, step_size, leading)


def log_ratio_limits(
    eigenvalues: ArrayLike,
    teacher_stops: ArrayLike,
    step_size: float | None = None,
    leading: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return ln R of `matched_log_ratio` at the start and at the end of training [D].

    Start: prod_j f(q_j) / q_j. End: prod_j f(q_j) / f(prod_j q_j), which is 1 for one round (at
    the end both paths stand where the teacher stood) and for r < 1 less for more rounds.

    Arguments and errors as in `matched_log_ratio`.

    Returns
    -------
    start, end : ndarray, shape (direction,)
    """
    relative, lag, rate = _relative_rates(eigenvalues, step_size, leading)
    stops = np.clip(rate * _checked_stops(teacher_stops, least=1), EARLIEST, LATEST)
    start = _log_relative_filter(relative, lag, stops[:, None]).sum(0)
    end = _log_ratio(np.asarray(np.inf), eigenvalues, teacher_stops, step_size, leading)
    return np.where(relative > 0, start, np.nan), end


def _student_limit(spectrum: Spectrum, stops: np.ndarray, step_size: float | None) -> np.ndarray:
    if not stops.size:
        return spectrum.limit
    return spectrum.limit * filters(spectrum.eigenvalues, stops, step_size).prod(0)


def _log_ratio(
    student: np.ndarray,
    eigenvalues: ArrayLike,
    teacher_stops: ArrayLike,
    step_size: float | None,
    leading: int,
) -> np.ndarray:
    """Return ln R for student times lambda_1 s, as a sum over rounds.

    f(p) f(q_1) f(q_2) / f(p q_1 q_2) = [f(p) f(q_1) / f(p q_1)] [f(p q_1) f(q_2) / f(p q_1 q_2)].
    """
    relative, lag, rate = _relative_rates(eigenvalues, step_size, leading)
    total = np.zeros((*student.shape, len(relative)))
    for before, stop in _rounds(student, rate * _checked_stops(teacher_stops, least=1)):
        total += _round_log_ratio(before, stop, relative, lag)
    total[..., relative == 0] = np.nan
    return total


def _rounds(student: np.ndarray, stops: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, per round, the time at which p prod of the rounds before is reached, and the stop."""
    for stop in np.clip(stops, EARLIEST, LATEST):
        before = np.clip(student, EARLIEST, LATEST)
        yield before, stop
        student = _meeting(before, stop)[0]


def _meeting(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return z with 1 - e^-z = (1 - e^-x) (1 - e^-y), and min(x, y) - z; no digits lost in either.

    min(x, y) - z = ln(1 + e^-|x - y| (1 - e^-min)), from e^-z = e^-x + e^-y - e^-(x + y).
    """
    earlier, gap = np.minimum(one, other), np.abs(one - other)
    drop = np.log1p(np.exp(-gap) * -np.expm1(-earlier))
    both = np.expm1(-one) * np.expm1(-other)
    early = both < NEAR_ONE
    return np.where(early, -np.log1p(-np.where(early, both, 0)), earlier - drop), drop


def _round_log_ratio(
    student: np.ndarray, stop: np.ndarray, relative: np.ndarray, lag: np.ndarray
) -> np.ndarray:
    """Return ln [f(p) f(q) / f(p q)] for p = 1 - e^-student, q = 1 - e^-stop; lag is 1 - r.

    Far from 1 by logarithms. Near it by the deficit 1 - R, a product of factors of one sign: with
    x <= y the two times, z their meeting, F(t) = 1 - e^(-r t), psi(t) = ln[F(t) / (1 - e^-t)] and
    G = psi(x) - psi(x - z) + (1 - r) (y - z), all of whose terms have the sign of 1 - r,

        f(pq) - f(p) f(q) = e^(-r y) F(x) (1 - e^-G) = -e^(-r z) F(x - z) (1 - e^G).
    """
    meeting, drop = (part[..., None] for part in _meeting(student, stop))
    x, y = np.minimum(student, stop)[..., None], np.maximum(student, stop)[..., None]
    learnt = _filter(relative, meeting)
    with np.errstate(invalid="ignore", divide="ignore"):
        by_logarithm = np.log(_filter(relative, x) / learnt * _filter(relative, y))
        gain = _log_relative_filter_gain(relative, lag, x, drop) + lag * (y - x + drop)
        slower = lag >= 0
        deficit = np.exp(-relative * np.where(slower, y, meeting))
        deficit *= _filter(relative, np.where(slower, x, drop)) / learnt
        deficit *= -np.sign(lag) * np.expm1(-np.abs(gain))
        near = np.abs(by_logarithm) < NEAR_ONE
        return np.where(near, np.log1p(-np.where(near, deficit, 0)), by_logarithm)


def _log_relative_filter(relative: np.ndarray, lag: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return psi(t) = ln[(1 - e^(-r t)) / (1 - e^-t)], exact also where it is small.

    (1 - e^(-r t)) / (1 - e^-t) = 1 - e^-t (e^((1 - r) t) - 1) / (1 - e^-t), without overflow.
    """
    time = np.maximum(time, EARLIEST)
    base = -np.expm1(-time)
    less = -np.expm1(-np.abs(lag) * time) / base
    less *= np.sign(lag) * np.exp(-np.minimum(relative, 1) * time)
    small = less < NEAR_ONE
    with np.errstate(divide="ignore"):
        by_logarithm = np.log(_filter(relative, time) / base)
    return np.where(small, np.log1p(-np.where(small, less, 0)), by_logarithm)


def _log_relative_filter_gain(
    relative: np.ndarray, lag: np.ndarray, time: np.ndarray, drop: np.ndarray
) -> np.ndarray:
    """Return psi(x) - psi(x - z), by power series where x is small.

    psi(t) = ln r + (1 - r) t / 2 - S(t) + S(r t), S(t) = t^2 / 24 - t^4 / 2880 + t^6 / 181440 - ...
    """
    gain = _log_relative_filter(relative, lag, time) - _log_relative_filter(relative, lag, drop)
    rows = time[..., 0] < SERIES
    if not rows.any():
        return gain
    x, d = time[rows], np.minimum(drop, SERIES)[rows]
    r2 = np.minimum(relative, LATEST**0.25) ** 2  # larger ones never take the series
    even = (x**2 - d**2) / 24 - (1 + r2) * (x**4 - d**4) / 2880
    even += (1 + r2 + r2**2) * (x**6 - d**6) / 181440
    series = lag * ((x - d) / 2 - (1 + relative) * even)
    gain[rows] = np.where(np.maximum(relative, 1) * x < SERIES, series, gain[rows])
    return gain


def _filter(relative: np.ndarray, time: np.ndarray) -> np.ndarray:
    return -np.expm1(-relative * time)


def _relative_rates(
    eigenvalues: ArrayLike, step_size: float | None, leading: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return r, 1 - r (not by way of r, which rounds) and the leading direction's rate."""
    rates, checked = descent_rates(eigenvalues, step_size), _checked_eigenvalues(eigenvalues)
    if not 0 <= leading < len(rates) or rates[leading] == 0:
        raise ValueError(
            f"leading direction {leading} is beyond the rank: of {len(rates)} eigenvalues those of "
            f"directions {np.flatnonzero(rates).tolist()[:8]} are positive, write one of these"
        )
    first = checked[leading]
    lag = first - checked
    if step_size is not None:
        lag = np.log1p(step_size * lag / (1 - step_size * first)) / step_size
    return rates / rates[leading], lag / rates[leading], float(rates[leading])


def _finite(name: str, values: ArrayLike, axes: int) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != axes or not array.size:
        raise ValueError(f"{name} must have {axes} axes and not be empty, got shape {array.shape}")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite, got {array[where]} at {where}: leave it out")
    return array


def _checked_eigenvalues(values: ArrayLike) -> np.ndarray:
    eigenvalues = _finite("eigenvalues", values, 1)
    if eigenvalues.min() < 0:
        raise ValueError(
            f"eigenvalues must be 0 or larger, got {eigenvalues.min():g}: those of X'X are, set "
            f"what rounding made negative to 0"
        )
    return eigenvalues


def _checked_times(name: str, values: ArrayLike) -> np.ndarray:
    times = np.asarray(values, np.float64)
    if not times.size:
        raise ValueError(f"{name} must not be empty")
    if not (times > 0).all():
        raise ValueError(
            f"{name} must be positive, got {times[~(times > 0)].ravel()[0]:g}: write times in "
            f"units of 1 / eigenvalue, np.inf for the limit"
        )
    return times


def _checked_stops(values: ArrayLike, least: int = 0) -> np.ndarray:
    stops = np.atleast_1d(np.asarray(values, np.float64))
    if stops.ndim != 1 or len(stops) < least:
        raise ValueError(
            f"teacher_stops must list one stopping time per round of distillation, {least} at "
            f"least, got shape {stops.shape}"
        )
    return _checked_times("teacher_stops", stops) if stops.size else stops


def _checked_progress(values: ArrayLike) -> np.ndarray:
    progress = np.asarray(values, np.float64)
    if not progress.size:
        raise ValueError("progress must not be empty")
    outside = ~((progress > 0) & (progress < 1))
    if outside.any():
        raise ValueError(
            f"progress must lie between 0 and 1, both excluded, got {progress[outside][0]:g}: for "
            f"the ends see log_ratio_limits"
        )
    return progress
