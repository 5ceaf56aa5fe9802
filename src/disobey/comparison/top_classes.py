"""A teacher's top classes only, and the probability outside of them, made into logits of all.

An API, or a file that must stay small, gives the k largest of a teacher's log-probabilities.
Nothing says how the *missing mass* m, the probability of all other classes, is shared by these. It
is spread evenly [our choice]: of all completions this one has the largest entropy and invents no
ranking. So ln p is ln(p_i) for a given class i and ln(m / (K - k)) for each of the others.

At temperature 1 the probabilities of the given classes, and the teacher's confidence in its own
prediction, are exact. At a higher temperature the even tail grows, and a student would learn it
instead of its teacher: `spread_share` says how much.
"""

from collections.abc import Mapping

import numpy as np

from disobey.errors import UserError

TOP_CLASS, TOP_LOGIT, MISSING_MASS, CLASSES = "top_class", "top_logit", "missing_mass", "classes"
OF_TOP = (TOP_CLASS, TOP_LOGIT, MISSING_MASS)
# A student may be shown this share of spread probability, mean over examples [our choice].
LARGEST_SPREAD = 0.1
ONLY_TEACHERS = (
    "holds the top classes alone, and what was spread over the others would be compared as if it "
    "were the model's; give logits of all classes"
)
ROUNDING = 1e-3
ZERO = (
    "is not between 0 and 1; where it was rounded to 0, sum the other classes' probabilities "
    "themselves, or give fewer top classes"
)


def completed(where: str, columns: Mapping[str, np.ndarray], classes: int) -> np.ndarray:
    """Return logits of all classes, float64 (example, class): ln p, with even mass outside the top.

    Parameters
    ----------
    where : str
        The file and the split, for messages.
    columns : mapping of str to ndarray
        ``top_class`` (example, k) whole numbers; ``top_logit`` (example, k), logits or
        log-probabilities; ``missing_mass`` (example,), the probability outside of the top.
    classes : int
        K, more than k.

    Raises
    ------
    UserError
        With row, for arrays that are missing or do not fit, classes that do not exist or come
        twice, a missing mass that is not between 0 and 1, and one so large that each of the other
        classes would be more probable than the least of the top.
    """
    lacking = [name for name in OF_TOP if name not in columns]
    if lacking:
        raise UserError(
            f"{where}: has no {lacking[0]}; top classes are {TOP_CLASS} and {TOP_LOGIT} (example, "
            f"k) and {MISSING_MASS} (example,), 1 minus the sum of the top probabilities"
        )
    top, logit, missing = (np.asarray(columns[name]) for name in OF_TOP)
    if top.ndim != 2 or logit.shape != top.shape or missing.shape != top.shape[:1]:
        raise UserError(
            f"{where}: {TOP_CLASS} {top.shape}, {TOP_LOGIT} {logit.shape} and {MISSING_MASS} "
            f"{missing.shape} must be (example, k), (example, k) and (example,)"
        )
    if not 1 <= top.shape[1] < classes:
        raise UserError(
            f"{where}: {top.shape[1]} top classes of {classes}; give fewer, or logits of all"
        )
    _refuse(where, TOP_CLASS, _bad_classes(top, classes), "names a class twice or one that is not")
    _refuse(where, TOP_LOGIT, ~np.isfinite(logit).all(1), "is not finite")
    _refuse(where, MISSING_MASS, ~((missing > 0) & (missing < 1)), ZERO)
    given = np.asarray(logit, np.float64)
    given = given - given.max(1, keepdims=True)
    given += np.log((1 - missing) / np.exp(given).sum(1))[:, None]
    others = np.log(missing / (classes - top.shape[1]))
    above = others > given.min(1) + ROUNDING
    _refuse(where, MISSING_MASS, above, "gives each other class more than the least of the top")
    logits = np.repeat(others[:, None], classes, 1)
    np.put_along_axis(logits, top.astype(np.int64), given, 1)
    return logits


def _bad_classes(top: np.ndarray, classes: int) -> np.ndarray:
    """Return in which rows the top classes cannot be, shape (example,)."""
    if top.dtype.kind not in "iu":
        return np.ones(len(top), bool)
    ordered = np.sort(top, 1)
    outside = (ordered[:, 0] < 0) | (ordered[:, -1] >= classes)
    return np.asarray(outside | (np.diff(ordered, axis=1) == 0).any(1))


def _refuse(where: str, column: str, wrong: np.ndarray, what: str) -> None:
    rows = np.flatnonzero(wrong)
    if rows.size:
        raise UserError(
            f"{where} {column}, row {rows[0]}: {what} ({rows.size} of {len(wrong)} rows; rows are "
            f"counted from 0)"
        )


def spread_share(logits: np.ndarray, given: np.ndarray, temperature: float) -> float:
    """Return how much of the softened probability was spread, mean over examples.

    Parameters
    ----------
    logits : ndarray, shape (example, class)
        See `completed`.
    given : ndarray of int, shape (example, k)
        The top classes.
    temperature : float
    """
    scaled = logits / temperature
    softened = np.exp(scaled - scaled.max(1, keepdims=True))
    softened /= softened.sum(1, keepdims=True)
    return float(1 - np.take_along_axis(softened, given.astype(np.int64), 1).sum(1).mean())
