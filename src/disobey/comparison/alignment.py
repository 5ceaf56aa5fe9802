"""Bring the rows of several models and of the labels into one order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from disobey.comparison.checks import ROWS, Place, checked_ids, checked_labels, checked_logits
from disobey.comparison.files import CLASS_NAME, CLEAN_LABEL, ID, LABEL, LOGITS, Columns
from disobey.comparison.top_classes import MISSING_MASS
from disobey.errors import UserError


@dataclass(frozen=True)
class Source:
    """What one file, or one argument, says of one split.

    Attributes
    ----------
    place : Place
        Where it lies, for messages.
    columns : mapping of str to ndarray
        See `disobey.comparison.files`.
    """

    place: Place
    columns: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Aligned:
    """Models over the same examples in the same order.

    Attributes
    ----------
    logits : list of ndarray, shape (example, class)
        In the order in which the models were given.
    label, clean_label : ndarray of int, shape (example,), or None
        The given label, and the one before noise; equal where only one is known.
    example_id : ndarray of int or text, shape (example,)
        Positions where nothing has ids.
    class_names : tuple of str
        In the order of the logits; numbers where nothing has names.
    note : str
        By what the rows were matched.
    missing_mass : ndarray, shape (example,), or None
        What the first model's file says is outside of its top classes, in the file's order; None
        where it holds logits of all classes.
    """

    logits: list[np.ndarray]
    label: np.ndarray | None
    clean_label: np.ndarray | None
    example_id: np.ndarray
    class_names: tuple[str, ...]
    note: str
    missing_mass: np.ndarray | None = None


def align(
    models: Sequence[Source], labels: Source | None = None, probabilities: bool = False
) -> Aligned:
    """Check every array and put all rows into one order.

    That is the order of the labels' ids, or else of the first model that has some. Rows of a file
    without ids are taken to be in that order already; so are all rows where no file has ids.

    Raises
    ------
    UserError
        For anything that `disobey.comparison.checks` refuses, and for models that differ in
        examples, ids, classes or labels, or that are the same model twice.
    """
    checked = [_checked(model, probabilities) for model in models]
    _check_shapes(models, checked)
    label_source = labels or Source(Place(""), {})
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
    if LOGITS not in model.columns:
        raise UserError(f"{model.place(LOGITS)}: there are none")
    logits = checked_logits(model.columns[LOGITS], model.place, probabilities)
    return {LOGITS: logits} | _checked_columns(model, *logits.shape)


def _checked_columns(source: Source, examples: int, classes: int) -> Columns:
    """Check all columns but the logits."""
    found: Columns = {}
    for column in (LABEL, CLEAN_LABEL):
        if column in source.columns:
            values = source.columns[column]
            found[column] = checked_labels(values, source.place, examples, classes, column)
    if ID in source.columns:
        found[ID] = checked_ids(source.columns[ID], source.place, examples)
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
    """Return all columns in the order of the first source with ids, and words on how."""
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
        source.place.file
        for source, columns in zip(sources, checked, strict=True)
        if columns and ID not in columns
    ]
    note = "rows are matched by example_id"
    if without:
        note += (
            f"; {', '.join(dict.fromkeys(without))}: without ids, taken to be in the order of "
            f"{sources[first].place.file}"
        )
    return ordered, note


def _order(first: Source, wanted: np.ndarray, source: Source, ids: np.ndarray) -> np.ndarray:
    """Return where in ``ids`` each of ``wanted`` stands."""
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
    """Return the labels that the sources have; refuse two that differ."""
    found: tuple[Source, np.ndarray] | None = None
    for source, columns in zip(sources, ordered, strict=True):
        if column not in columns:
            continue
        if found is None:
            found = source, columns[column]
            continue
        differ = np.flatnonzero(columns[column] != found[1])
        if differ.size:
            row = differ[0]
            raise UserError(
                f"{source.place(column)}: {columns[column][row]} where {found[0].place(column)} "
                f"has {found[1][row]} (row {row} of the aligned examples, {differ.size} of "
                f"{len(found[1])} differ); all models must be over the same data and label noise"
            )
    return None if found is None else found[1]


def _refuse_twice(models: Sequence[Source], ordered: Sequence[Columns]) -> None:
    """Refuse one model in two places: it would be its own replicate, and share its own noise."""
    for k, model in enumerate(models):
        for before, other in enumerate(models[:k]):
            if np.array_equal(ordered[k][LOGITS], ordered[before][LOGITS]):
                raise UserError(
                    f"{model.place(LOGITS)}: is the same as {other.place(LOGITS)}; teacher, "
                    f"student, reference and every replicate are models of their own"
                )
