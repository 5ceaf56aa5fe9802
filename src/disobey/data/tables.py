"""Tables of rows, read with the package `datasets` a block at a time: the hub's and the user's.

Both give the same thing to the same checks: columns by name, class names where the table says
them, and batches in a fixed order that can be read again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from disobey.data.raw import Block, Inputs, RawData, RawSplit
from disobey.errors import UserError, nearest

BATCH = 1000  # rows
# Rows of a table without ids are counted; those of the test split from here.
TEST_IDS_FROM = 1_000_000_000

Batch = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Table:
    """One split as a table.

    Attributes
    ----------
    where : str
        What it is called in messages.
    columns : tuple of str
    class_names : callable
        Given a column, returns the names of its classes, or None where the table says none.
    batches : callable
        Given the columns that are read, returns an iterator over batches of rows.
    """

    where: str
    columns: tuple[str, ...]
    class_names: Callable[[str], Sequence[str] | None]
    batches: Callable[[Sequence[str]], Iterable[Batch]]


def raw_data(spec: Mapping[str, Any], train: Table, test: Table, **about: str) -> RawData:
    """Return the data that two tables hold.

    Parameters
    ----------
    spec : mapping
        ``columns``, and ``classes`` where the user names them.
    train, test : Table
    **about : str
        What the store says of its origin.

    Raises
    ------
    UserError
        For a column that is not there, or labels that differ between the splits.
    """
    columns = spec["columns"]
    for table in (train, test):
        _check_columns(columns, table)
    names = _class_names(spec, train, test)
    splits = [_split(columns, names, train, 0), _split(columns, names, test, TEST_IDS_FROM)]
    return RawData(splits[0], splits[1], tuple(names), about)


def _check_columns(columns: Mapping[str, str], table: Table) -> None:
    for role, column in columns.items():
        if column not in table.columns:
            raise UserError(
                f"{table.where}: there is no column '{column}' for {role}; "
                f"{nearest(column, table.columns)} (columns: {', '.join(table.columns)})"
            )


# --- labels ----------------------------------------------------------------------------------


def _class_names(spec: Mapping[str, Any], train: Table, test: Table) -> list[str]:
    column = spec["columns"]["label"]
    if "classes" in spec:
        return list(spec["classes"])
    said = train.class_names(column)
    if said is not None:
        other = test.class_names(column)
        if other is not None and list(other) != list(said):
            raise UserError(
                f"{train.where} and {test.where}: column {column}: their classes differ "
                f"({_shortened(said)} and {_shortened(other)}); name them with classes: [...]"
            )
        return [str(name) for name in said]
    return _names_found(column, train)


def _names_found(column: str, table: Table) -> list[str]:
    """Return the values of a label column: numbers in their order, words in theirs."""
    found: set[str] = set()
    for batch in table.batches([column]):
        found.update(str(value) for value in batch[column] if value is not None)
    numbers = all(_is_number(value) for value in found)
    if len(found) < 2:
        raise UserError(
            f"{table.where}: column {column}: two classes are needed at least, found "
            f"{_shortened(sorted(found)) or 'none'}"
        )
    return sorted(found, key=int) if numbers else sorted(found)


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _shortened(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(str(name) for name in names[:most])
    return shown + (", ..." if len(names) > most else "")


class _Labels:
    """Maps the values of a label column to positions in the class names."""

    def __init__(self, names: Sequence[str], column: str, table: Table) -> None:
        self.column, self.where, self.names = column, table.where, names
        # Numbers are positions already where the table or the user names the classes.
        numbered = table.class_names(column) is not None
        self._known: dict[Any, int] = {name: position for position, name in enumerate(names)}
        self._numbered = numbered or not all(_is_number(name) for name in names)

    def __call__(self, values: Sequence[Any], first_row: int) -> np.ndarray:
        """Return int64 of shape (row,)."""
        found = np.empty(len(values), np.int64)
        for position, value in enumerate(values):
            found[position] = self._one(value, first_row + position)
        return found

    def _one(self, value: Any, row: int) -> int:  # noqa: ANN401 - whatever the table holds
        if isinstance(value, int) and self._numbered:
            if 0 <= value < len(self.names):
                return value
        elif value is not None and str(value) in self._known:
            return self._known[str(value)]
        elif self._is_written_number(value):
            return self._one(int(value), row)
        hint = "; has this split no labels? name another one" if value in (-1, "-1", None) else ""
        raise UserError(
            f"{self.where}: row {row}, column {self.column}: {value!r} is not one of the "
            f"{len(self.names)} classes, 0 to {len(self.names) - 1} or "
            f"{_shortened(self.names)}{hint}"
        )

    def _is_written_number(self, value: object) -> bool:
        if isinstance(value, str):
            return self._numbered and _is_number(value)
        return isinstance(value, float) and value.is_integer()


# --- rows ------------------------------------------------------------------------------------


def _split(
    columns: Mapping[str, str], names: Sequence[str], table: Table, ids_from: int
) -> RawSplit:
    labels = _Labels(names, columns["label"], table)
    read = tuple(columns.values())

    def blocks() -> Iterator[Block]:
        row = 0
        for batch in table.batches(read):
            label = labels(batch[columns["label"]], row)
            if "id" in columns:
                example_id = _ids(batch[columns["id"]], table.where, columns["id"], row)
            else:
                example_id = np.arange(ids_from + row, ids_from + row + len(label))
            yield Block(_inputs(batch, columns, table.where, row), label, example_id)
            row += len(label)

    inputs = columns.get("image") or columns["text"]
    words = {"inputs": inputs, "label": columns["label"], "example_id": columns.get("id", "id")}
    return RawSplit(blocks, words | {"text_pair": columns.get("text_pair", "")})


def _ids(values: Sequence[Any], where: str, column: str, first_row: int) -> np.ndarray:
    found = np.empty(len(values), np.int64)
    for position, value in enumerate(values):
        try:
            number = int(value)
            if isinstance(value, float) and number != value:
                raise ValueError
        except (TypeError, ValueError):
            raise UserError(
                f"{where}: row {first_row + position}, column {column}: {value!r} is no whole "
                f"number; ids are whole numbers, or leave id out of columns to count rows"
            ) from None
        found[position] = number
    return found


def _inputs(batch: Batch, columns: Mapping[str, str], where: str, row: int) -> Inputs:
    if "image" in columns:
        values = batch[columns["image"]]
        if isinstance(values, np.ndarray):
            return values
        return [_bytes(value, where, columns["image"], row + i) for i, value in enumerate(values)]
    texts = _texts(batch[columns["text"]], where, columns["text"], row)
    if "text_pair" not in columns:
        return texts
    pairs = _texts(batch[columns["text_pair"]], where, columns["text_pair"], row)
    return list(zip(texts, pairs, strict=True))


def _bytes(value: Any, where: str, column: str, row: int) -> bytes:  # noqa: ANN401
    """Return an image as its file holds it; `datasets` gives the bytes or names the file."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping):
        if value.get("bytes") is not None:
            return bytes(value["bytes"])
        if value.get("path") is not None:
            return Path(value["path"]).read_bytes()
    what = "is empty" if value is None else f"is no image but {type(value).__name__}"
    raise UserError(f"{where}: row {row}, column {column}: {what}")


def _texts(values: Sequence[Any], where: str, column: str, row: int) -> list[str]:
    """Return texts; a missing one as an empty one, which is refused where all are looked at."""
    for position, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            raise UserError(
                f"{where}: row {row + position}, column {column}: {value!r} is no text but "
                f"{type(value).__name__}; name another column, or put it in quotes"
            )
    return [value or "" for value in values]
