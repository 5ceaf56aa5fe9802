"""What arrays of logits, labels and ids must be, and refusals that name file, array and row."""

from dataclasses import dataclass

import numpy as np

from disobey.comparison.files import ID, LABEL, LOGITS
from disobey.errors import UserError

# Deciles of fewer examples would be empty or single points.
FEWEST = 20
# How far rows of probabilities may be from 1: float16 sums of many classes are this bad.
TOLERANCE, LARGEST_TOLERANCE = 1e-3, 0.05
ROWS = "rows are counted from 0"


@dataclass(frozen=True)
class Place:
    """Where an array lies, for messages.

    Attributes
    ----------
    file : str
    split : str
        Empty where the file has no splits.
    """

    file: str
    split: str = ""

    def __call__(self, column: str) -> str:
        """Return ``teacher.npz, test logits``."""
        return f"{self.file}, {self.split} {column}" if self.split else f"{self.file}, {column}"


def checked_logits(values: np.ndarray, place: Place, probabilities: bool) -> np.ndarray:
    """Return logits, shape (example, class), that can be analysed.

    Parameters
    ----------
    values : ndarray, shape (example, class)
    place : Place
    probabilities : bool
        Whether the user says that these are probabilities: ln p are then the logits, up to one
        number per example, on which no statistic here depends.

    Raises
    ------
    UserError
        For another shape, numbers that are not floating-point or not finite, probabilities that
        were not announced, and, where they were, rows that are none or that hold a zero. A zero has
        rounded its logit away: any floor would invent confidence, and A, A_z and B with it.
    """
    where = place(LOGITS)
    if values.ndim != 2 or values.shape[1] < 2:
        hint = "write a binary model's single logit z as the two columns (0, z)"
        raise UserError(
            f"{where}: has shape {values.shape}, where (example, class) with two classes at least "
            f"is needed; {hint}"
        )
    if values.dtype.kind != "f":
        raise UserError(
            f"{where}: holds {values.dtype}, where floating-point logits are needed (the scores "
            f"before softmax, not predicted classes)"
        )
    if len(values) < FEWEST:
        raise UserError(f"{where}: has {len(values)} examples; {FEWEST} are needed at least")
    _check_finite(values, where)
    if probabilities:
        return _log_probabilities(values, where)
    if not _not_probabilities(values).any():
        raise UserError(
            f"{where}: these are probabilities, every row is non-negative and sums to 1; save the "
            f"scores before softmax, or say --probabilities (in Python: probabilities=True)"
        )
    return values


def _check_finite(values: np.ndarray, where: str) -> None:
    rows, columns = np.nonzero(~np.isfinite(values))
    if rows.size:
        raise UserError(
            f"{where}, row {rows[0]}, class {columns[0]}: is {values[rows[0], columns[0]]}; "
            f"{len(np.unique(rows))} of {len(values)} rows are not finite ({ROWS})"
        )


def _not_probabilities(values: np.ndarray) -> np.ndarray:
    """Return which rows are no probabilities, shape (example,)."""
    rounding = values.shape[1] * float(np.finfo(values.dtype).eps)
    tolerance = min(max(TOLERANCE, rounding), LARGEST_TOLERANCE)
    total = values.sum(1, dtype=np.float64)
    return (values < 0).any(1) | (np.abs(total - 1) > tolerance)


def _log_probabilities(values: np.ndarray, where: str) -> np.ndarray:
    wrong = np.flatnonzero(_not_probabilities(values))
    if wrong.size:
        row = values[wrong[0]]
        raise UserError(
            f"{where}, row {wrong[0]}: is no row of probabilities (smallest value "
            f"{row.min():.4g}, sum {row.sum(dtype=np.float64):.4g}), although --probabilities says "
            f"so; leave it out for logits ({ROWS})"
        )
    rows, columns = np.nonzero(values == 0)
    if rows.size:
        raise UserError(
            f"{where}, row {rows[0]}, class {columns[0]}: a probability of 0, as in "
            f"{len(np.unique(rows))} of {len(values)} rows: {values.dtype} has rounded its logit "
            f"away, and any floor would invent a confidence; save logits or log-probabilities "
            f"({ROWS})"
        )
    return np.log(values.astype(np.float64))


def checked_labels(
    values: np.ndarray, place: Place, examples: int, classes: int, column: str = LABEL
) -> np.ndarray:
    """Return labels as int64, shape (example,).

    Raises
    ------
    UserError
        For another shape or number, and labels that are no whole numbers 0 to classes - 1.
    """
    where = place(column)
    if values.ndim != 1 or len(values) != examples:
        raise UserError(
            f"{where}: has shape {values.shape}, where one class number for each of the "
            f"{examples:,} rows of logits is needed"
        )
    if values.dtype.kind not in "iuf":
        raise UserError(f"{where}: holds {values.dtype}, where class numbers are needed")
    whole = np.isfinite(values) & (values == np.floor(values))
    _refuse_first(~whole, values, where, "is no whole number")
    outside = (values < 0) | (values >= classes)
    _refuse_first(
        outside, values, where, f"is not one of the {classes} classes, 0 to {classes - 1}"
    )
    return values.astype(np.int64)


def _refuse_first(wrong: np.ndarray, values: np.ndarray, where: str, what: str) -> None:
    rows = np.flatnonzero(wrong)
    if rows.size:
        raise UserError(
            f"{where}, row {rows[0]}: {values[rows[0]]} {what} ({rows.size} of {len(values)} rows; "
            f"{ROWS})"
        )


def checked_ids(values: np.ndarray, place: Place, examples: int) -> np.ndarray:
    """Return ids, int64 or text, shape (example,).

    Raises
    ------
    UserError
        For another shape or number, ids that are no whole numbers or too large for 64 bits, missing
        ones, bytes that are no UTF-8, and ids that are there twice.
    """
    where = place(ID)
    if values.ndim != 1 or len(values) != examples:
        raise UserError(
            f"{where}: has shape {values.shape}, where one id for each of the {examples:,} rows of "
            f"logits is needed"
        )
    ids = _numbers(values, where) if values.dtype.kind in "iuf" else _words(values, where)
    known, first, times = np.unique(ids, return_index=True, return_counts=True)
    if (times > 1).any():
        row = first[times > 1].min()
        twice = np.flatnonzero(ids == ids[row])
        raise UserError(
            f"{where}, rows {twice[0]} and {twice[1]}: the id {ids[row]} is there twice "
            f"({len(ids) - len(known)} repeated; {ROWS})"
        )
    return ids


def _numbers(values: np.ndarray, where: str) -> np.ndarray:
    if values.dtype.kind == "f":
        fractional = ~np.isfinite(values) | (values != np.floor(values))
        _refuse_first(fractional, values, where, "is no whole number")
        rounded = np.abs(values) > 2 / np.finfo(values.dtype).eps
        what = f"is rounded: {values.dtype} tells no such numbers apart; save ids as int64 or text"
        _refuse_first(rounded, values, where, what)
    too_large = values > np.iinfo(np.int64).max
    _refuse_first(too_large, values, where, "is no id below 2^63; save ids as text")
    return values.astype(np.int64)


def _words(values: np.ndarray, where: str) -> np.ndarray:
    """Return ids as text; bytes are read as UTF-8."""
    words = values.astype(object)
    missing = np.array([word is None or word != word for word in words.tolist()], bool)
    _refuse_first(missing, values, where, "is no id")
    for row, word in enumerate(words):
        if isinstance(word, bytes):
            try:
                words[row] = word.decode()
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{where}, row {row}: {word!r}: {error}; save ids as text ({ROWS})"
                ) from None
    return words.astype(str)
