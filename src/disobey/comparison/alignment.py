"""Check the arrays of several models and of the labels, and bring their rows into one order.

A failed check raises a `disobey.errors.UserError` that names the file, the array and the row.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from disobey.comparison.files import (
    CLASS_NAME,
    CLEAN_LABEL,
    ID,
    LABEL,
    LOGITS,
    MISSING_MASS,
    ROWS,
    Columns,
    check_has_logits,
    check_numbers,
    refuse_rows,
)
from disobey.errors import UserError

# With fewer examples, deciles would be empty or single points.
FEWEST = 20
# Largest deviation from 1 of a sum of probabilities: float16 sums of many classes deviate as much.
TOLERANCE, LARGEST_TOLERANCE = 1e-3, 0.05


@dataclass(frozen=True)
class Source:
    """The columns of one split in one file or argument; ``split`` is empty if it has no name."""

    file: str
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    split: str = ""

    def place(self, column: str) -> str:
        """Return the location of a column for messages, such as ``teacher.npz, test logits``."""
        return f"{self.file}, {self.split} {column}" if self.split else f"{self.file}, {column}"


@dataclass(frozen=True)
class Aligned:
    """Models over the same examples in the same order.

    Attributes
    ----------
    logits : list of ndarray, shape (example, class)
        In the order in which the models were given.
    label, clean_label : ndarray of int, shape (example,), or None
        The given label, and the label before noise; equal if only one is known.
    example_id : ndarray of int or text, shape (example,)
        Positions if no source has ids.
    class_names : tuple of str
        In the order of the logits; numbers if no source has names.
    note : str
        How the rows were matched.
    missing_mass : ndarray, shape (example,), or None
        The probability outside the top classes of the first model's file, in the file's order; None
        if the file has logits of all classes.
    """

    logits: list[np.ndarray]
    label: np.ndarray | None
    clean_label: np.ndarray | None
    example_id: np.ndarray
    class_names: tuple[str, ...]
    note: str
    missing_mass: np.ndarray | None = None


def align(models: Sequence[Source], labels: Source | None, probabilities: bool) -> Aligned:
    """Check every array and put all rows into one order.

    It is the order of the labels' ids, or else of the ids of the first model that has any. Rows
    without ids are assumed to be in this order already.

    Raises
    ------
    UserError
        If an array fails a check of this module, if models differ in examples, ids, classes or
        labels, or if the same model is given twice.
    """
    checked = [_checked(model, probabilities) for model in models]
    _check_shapes(models, checked)
    label_source = labels or Source("")
    examples, classes = checked[0][LOGITS].shape
    labelled = label_source.columns[LABEL].shape if LABEL in label_source.columns else ()
    if len(labelled) == 1 and labelled[0] != examples:
        raise UserError(
            f"{models[0].place(LOGITS)}: {examples:,} examples, but {label_source.place(LABEL)} "
            f"has {labelled[0]:,}; both must be over the same examples"
        )
    of_labels = _checked_columns(label_source, examples, classes)
    named = [source for source in (label_source, *models) if CLASS_NAME in source.columns]
    _check_class_names(named, classes)
    everything = [label_source, *models]
    ordered, note = _in_one_order(everything, [of_labels, *checked])
    _refuse_twice(models, ordered[1:])
    given = _agreed(LABEL, everything, ordered)
    clean = _agreed(CLEAN_LABEL, everything, ordered)
    ids = _agreed(ID, everything, ordered)
    names = named[0].columns[CLASS_NAME] if named else range(classes)
    return Aligned(
        [columns[LOGITS] for columns in ordered[1:]],
        clean if given is None else given,
        given if clean is None else clean,
        np.arange(examples) if ids is None else ids,
        tuple(map(str, names)),
        note,
        models[0].columns.get(MISSING_MASS),
    )


def _checked(model: Source, probabilities: bool) -> Columns:
    check_has_logits(model.columns, model.place(LOGITS), model.split)
    logits = checked_logits(model.columns[LOGITS], model.place(LOGITS), probabilities)
    return {LOGITS: logits} | _checked_columns(model, *logits.shape)


def _checked_columns(source: Source, examples: int, classes: int) -> Columns:
    """Check all columns except the logits."""
    found: Columns = {}
    for column in (LABEL, CLEAN_LABEL):
        if column in source.columns:
            values, where = source.columns[column], source.place(column)
            found[column] = checked_labels(values, where, examples, classes)
    if ID in source.columns:
        found[ID] = checked_ids(source.columns[ID], source.place(ID), examples)
    return found


def _check_shapes(models: Sequence[Source], checked: Sequence[Columns]) -> None:
    first, shape = models[0], checked[0][LOGITS].shape
    for model, columns in zip(models[1:], checked[1:], strict=True):
        other = columns[LOGITS].shape
        for what, expected, found in zip(("examples", "classes"), shape, other, strict=True):
            if expected != found:
                raise UserError(
                    f"{model.place(LOGITS)}: {found:,} {what}, but {first.place(LOGITS)} has "
                    f"{expected:,}; both must be over the same {what}, in the same order"
                )


def _check_class_names(named: Sequence[Source], classes: int) -> None:
    for model in named:
        names, expected = (list(map(str, m.columns[CLASS_NAME])) for m in (model, named[0]))
        if len(names) != classes:
            raise UserError(
                f"{model.place(CLASS_NAME)}: {len(names)} names for {classes} classes; give one "
                f"for each, in the order of the logits"
            )
        if names != expected:
            differ = [one != other for one, other in zip(names, expected, strict=True)]
            k = differ.index(True)
            raise UserError(
                f"{model.place(LOGITS)}: class {k} is {names[k]!r}, but in "
                f"{named[0].place(LOGITS)} it is {expected[k]!r}; classes must be the same and in "
                f"the same order"
            )


# --- rows ------------------------------------------------------------------------------------


def _in_one_order(
    sources: Sequence[Source], checked: Sequence[Columns]
) -> tuple[list[Columns], str]:
    """Return all columns in the order of the first source with ids, and a note on the matching."""
    with_ids = [k for k, columns in enumerate(checked) if ID in columns]
    if not with_ids:
        return list(checked), "rows are matched by position: no file has ids (example_id)"
    first = with_ids[0]
    ordered = []
    for source, columns in zip(sources, checked, strict=True):
        order: slice | np.ndarray = slice(None)
        if ID in columns and columns is not checked[first]:
            order = _order(sources[first], checked[first][ID], source, columns[ID])
        ordered.append({name: values[order] for name, values in columns.items()})
    without = [
        source.file
        for source, columns in zip(sources, checked, strict=True)
        if columns and ID not in columns
    ]
    note = "rows are matched by example_id"
    if without:
        note += (
            f"; {', '.join(dict.fromkeys(without))}: without ids, taken to be in the order of "
            f"{sources[first].file}"
        )
    return ordered, note


def _order(first: Source, wanted: np.ndarray, source: Source, ids: np.ndarray) -> np.ndarray:
    """Return the positions of ``wanted`` in ``ids``."""
    if (wanted.dtype.kind in "iu") != (ids.dtype.kind in "iu"):
        raise UserError(
            f"{source.place(ID)}: holds {ids.dtype}, but {first.place(ID)} holds {wanted.dtype}; "
            f"write both as numbers or both as text"
        )
    by_id = np.argsort(ids)
    place = np.minimum(np.searchsorted(ids, wanted, sorter=by_id), len(ids) - 1)
    order: np.ndarray = by_id[place]
    missing = np.flatnonzero(ids[order] != wanted)
    if missing.size:
        raise UserError(
            f"{source.place(ID)}: has no {wanted[missing[0]]}, which is row {missing[0]} of "
            f"{first.place(ID)}; {missing.size} of {len(wanted)} ids differ: both must be over the "
            f"same examples ({ROWS})"
        )
    return order


def _agreed(
    column: str, sources: Sequence[Source], ordered: Sequence[Columns]
) -> np.ndarray | None:
    """Return the labels of the sources; refuse sources whose labels differ."""
    pairs = zip(sources, ordered, strict=True)
    having = [(source, columns[column]) for source, columns in pairs if column in columns]
    for source, values in having[1:]:
        first, expected = having[0]
        differ = np.flatnonzero(values != expected)
        if differ.size:
            row = differ[0]
            raise UserError(
                f"{source.place(column)}: {values[row]} where {first.place(column)} has "
                f"{expected[row]} (row {row} of the aligned examples, {differ.size} of "
                f"{len(expected)} differ); all models must be over the same data and label noise"
            )
    return having[0][1] if having else None


def _refuse_twice(models: Sequence[Source], ordered: Sequence[Columns]) -> None:
    """Refuse a model that is given twice: it would be its own replicate and share its own noise."""
    pairs = itertools.combinations(zip(models, ordered, strict=True), 2)
    for (other, columns), (model, same) in pairs:
        if np.array_equal(columns[LOGITS], same[LOGITS]):
            raise UserError(
                f"{model.place(LOGITS)}: is the same as {other.place(LOGITS)}; teacher, student, "
                f"reference and every replicate are models of their own"
            )


# --- checks ------------------------------------------------------------------------------------


def checked_logits(values: np.ndarray, where: str, probabilities: bool) -> np.ndarray:
    """Return logits, shape (example, class), that can be analysed.

    Parameters
    ----------
    values : ndarray, shape (example, class)
    where : str
        The file and the array, for messages.
    probabilities : bool
        True if the user declares the values to be probabilities p. The logits are then ln p, up to
        a constant per example, on which no statistic here depends.

    Raises
    ------
    UserError
        For another shape, numbers that are not floating-point or not finite, and undeclared
        probabilities. For declared ones, also for rows that are not probabilities or contain a
        zero: its logit is lost to rounding, and any floor would invent confidence, A, A_z and B.
    """
    check_numbers(values, where)
    if len(values) < FEWEST:
        raise UserError(f"{where}: has {len(values)} examples; {FEWEST} are needed at least")
    if probabilities:
        return _log_probabilities(values, where)
    if not _not_probabilities(values).any():
        raise UserError(
            f"{where}: these are probabilities, every row is non-negative and sums to 1; save the "
            f"scores before softmax, or say --probabilities (in Python: probabilities=True)"
        )
    return values


def _not_probabilities(values: np.ndarray) -> np.ndarray:
    """Return a mask of the rows that are not probabilities, shape (example,)."""
    rounding = values.shape[1] * float(np.finfo(values.dtype).eps)
    tolerance = min(max(TOLERANCE, rounding), LARGEST_TOLERANCE)
    total = values.sum(1, dtype=np.float64)
    return (values < 0).any(1) | (np.abs(total - 1) > tolerance)


def _log_probabilities(values: np.ndarray, where: str) -> np.ndarray:
    wrong = np.flatnonzero(_not_probabilities(values))
    if wrong.size:
        row = values[wrong[0]]
        raise UserError(
            f"{where}, row {wrong[0]}: is not a row of probabilities (smallest value "
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


def checked_labels(values: np.ndarray, where: str, examples: int, classes: int) -> np.ndarray:
    """Return labels as int64, shape (example,).

    Raises
    ------
    UserError
        For another shape or length, and labels that are not whole numbers from 0 to classes - 1.
    """
    _check_column(values, where, examples, "class number")
    if values.dtype.kind not in "iuf":
        raise UserError(f"{where}: holds {values.dtype}, where class numbers are needed")
    whole = np.isfinite(values) & (values == np.floor(values))
    refuse_rows(where, ~whole, "is not a whole number", values)
    what = f"is not one of the {classes} classes, 0 to {classes - 1}"
    refuse_rows(where, (values < 0) | (values >= classes), what, values)
    return values.astype(np.int64)


def _check_column(values: np.ndarray, where: str, examples: int, what: str) -> None:
    if values.ndim != 1 or len(values) != examples:
        raise UserError(
            f"{where}: has shape {values.shape}, where one {what} for each of the {examples:,} "
            f"rows of logits is needed"
        )


def checked_ids(values: np.ndarray, where: str, examples: int) -> np.ndarray:
    """Return ids, int64 or text, shape (example,).

    Raises
    ------
    UserError
        For another shape or length, numbers that are not whole or too large for 64 bits, missing
        ids, bytes that are not UTF-8, and repeated ids.
    """
    _check_column(values, where, examples, "id")
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
        refuse_rows(where, fractional, "is not a whole number", values)
        rounded = np.abs(values) > 2 / np.finfo(values.dtype).eps
        what = f"is rounded: {values.dtype} tells no such numbers apart; save ids as int64 or text"
        refuse_rows(where, rounded, what, values)
    too_large = values > np.iinfo(np.int64).max
    refuse_rows(where, too_large, "is not an id below 2^63; save ids as text", values)
    return values.astype(np.int64)


def _words(values: np.ndarray, where: str) -> np.ndarray:
    """Return ids as text; bytes are read as UTF-8."""
    words = values.astype(object)
    missing = np.array([word is None or word != word for word in words.tolist()], bool)
    refuse_rows(where, missing, "is not an id", values)
    for row, word in enumerate(words):
        if isinstance(word, bytes):
            try:
                words[row] = word.decode()
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{where}, row {row}: {word!r}: {error}; save ids as text ({ROWS})"
                ) from None
    return words.astype(str)
