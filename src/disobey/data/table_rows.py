"""Rows of tables as raw data: columns, classes and ids; errors on wrong values name their row.

The name of a label is the word without surrounding blanks or, for a whole number, its digits (1,
1.0, "1" and "01" are the same). If a table names its classes, a number is a position in these
names. The same holds if the user names the classes and none of the names is a number.
"""

import math
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from disobey.data.raw import Block, Inputs, RawData, RawSplit
from disobey.data.tables import Batch, Table
from disobey.errors import UserError, nearest

# The ids of a table without ids are row numbers; those of the test split start here.
TEST_IDS_FROM = 1_000_000_000
# UTF-8 cannot hold half a character; netCDF cuts text at a NUL, which UTF-16 read as UTF-8 has.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
LONGEST_NUMBER = 18  # digits; Python refuses to convert far longer ones
# Up to this many classes may have any number of rows; more classes need twice as many rows.
CLASSES_OF_FEW_ROWS = 10
NO_LABELS = "; has this split no labels? name another one"


def raw_data(spec: Mapping[str, Any], train: Table, test: Table) -> RawData:
    """Return the data of two tables.

    Parameters
    ----------
    spec : mapping
        ``columns``, and ``classes`` if the user names them.
    train, test : Table

    Raises
    ------
    UserError
        If a column is missing, labels differ between the splits, or there are fewer than two
        classes.
    """
    columns = spec["columns"]
    for table in (train, test):
        _check_columns(columns, table)
    names = class_names(spec, train, test)
    if len(names) < 2:
        raise UserError(
            f"{train.where}: column {columns['label']}: two classes are needed at least, found "
            f"{shortened(names) or 'none'}"
        )
    splits = [
        _split(columns, Labels(names, columns["label"], table, given="classes" in spec), table, ids)
        for table, ids in ((train, 0), (test, TEST_IDS_FROM))
    ]
    return RawData(splits[0], splits[1], tuple(names))


def _check_columns(columns: Mapping[str, str], table: Table) -> None:
    for role, column in columns.items():
        if column not in table.columns:
            raise UserError(
                f"{table.where}: there is no column '{column}' for {role}; "
                f"{nearest(column, table.columns)} (columns: {', '.join(table.columns)})"
            )


# --- labels ------------------------------------------------------------------------------------


def class_names(spec: Mapping[str, Any], train: Table, test: Table) -> list[str]:
    """Return the names of the classes, in the order of their numbers.

    Parameters
    ----------
    spec : mapping
        ``columns``, and ``classes`` if the user names them.
    train, test : Table

    Raises
    ------
    UserError
        If the names differ between the splits, or the user's names fit neither split.
    """
    column, given = spec["columns"]["label"], spec.get("classes")
    said = [table.class_names(column) for table in (train, test)]
    if given is not None:
        for table, names in zip((train, test), said, strict=True):
            if names is not None and not set(names) <= set(given) and not _renames(given, said):
                raise UserError(
                    f"{table.where}: column {column}: its classes are {shortened(names)}, "
                    f"those given are {shortened(given)}; name all of them, in any order"
                )
        return list(given)
    if said[0] is None:
        return _names_found(column, train)
    if said[1] is not None and list(said[1]) != list(said[0]):
        raise UserError(
            f"{train.where} and {test.where}: column {column}: their classes differ "
            f"({shortened(said[0])} and {shortened(said[1])}); name them with classes: [...]"
        )
    return [str(name) for name in said[0]]


def _renames(given: Sequence[str], said: Sequence[Sequence[str] | None]) -> bool:
    """Return True if the user's names replace the tables' names, one by one."""
    known = [list(names) for names in said if names is not None]
    same = all(names == known[0] for names in known)
    return same and len(given) == len(known[0]) and not set(known[0]) & set(given)


def _names_found(column: str, table: Table) -> list[str]:
    """Return the distinct names of a label column: numbers in order, then words in order."""
    found: set[str] = set()
    row = 0
    for batch in table.batches([column]):
        for value in batch[column]:
            found.add(_named(value, f"{table.where}: row {row}, column {column}"))
            row += 1
    names = sorted(found, key=lambda name: (0, int(name), "") if _is_number(name) else (1, 0, name))
    if len(found) > max(row / 2, CLASSES_OF_FEW_ROWS):
        raise UserError(
            f"{table.where}: column {column}: {len(found):,} classes in {row:,} rows "
            f"({shortened(names)}); a label is a class that several rows share; name another column"
        )
    return names


class Labels:
    """Maps the values of a label column to positions in the class names.

    Parameters
    ----------
    names : sequence of str
        Names of all classes.
    column : str
    table : Table
    given : bool
        True if the user names the classes.
    """

    def __init__(self, names: Sequence[str], column: str, table: Table, *, given: bool) -> None:
        self.column, self.where, self.names = column, table.where, names
        said = table.class_names(column)
        plain = _key if said is None else str.strip
        by_name = {plain(name): position for position, name in enumerate(names)}
        if said is not None:
            # By the table's names, or by position if the user renames the classes.
            of_table = [
                by_name.get(str(name).strip(), position) for position, name in enumerate(said)
            ]
            by_name |= {str(position): place for position, place in enumerate(of_table)}
        self._positions = said is not None or (given and not any(map(_is_number, by_name)))
        if said is None and self._positions:
            by_name |= {str(position): position for position in range(len(names))}
        self._known = by_name

    def __call__(self, values: Sequence[Any], first_row: int) -> np.ndarray:
        """Return the classes of values, int64 of shape (row,).

        Raises
        ------
        UserError
            If a value is not a class; the message has its row.
        """
        found = np.empty(len(values), np.int64)
        for position, value in enumerate(values):
            where = f"{self.where}: row {first_row + position}, column {self.column}"
            name = _named(value, where)
            if name not in self._known:
                hint = NO_LABELS if name == "-1" else ""
                numbers = f"0 to {len(self.names) - 1} or " if self._positions else ""
                raise UserError(
                    f"{where}: {value!r} is not one of the {len(self.names)} classes, {numbers}"
                    f"{shortened(self.names)}{hint}"
                )
            found[position] = self._known[name]
        return found


def _named(value: Any, where: str) -> str:
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    if missing or (isinstance(value, str) and not value.strip()):
        raise UserError(f"{where}: is empty{NO_LABELS}")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int):  # includes True and False
        return str(value)
    if isinstance(value, str):
        _check_storable(value, where)
        return _key(value)
    raise UserError(
        f"{where}: {reprlib.repr(value)} is not a label; labels are whole numbers or words, one "
        f"for each row"
    )


def _check_storable(text: str, where: str) -> None:
    if UNSTORABLE.search(text):
        raise UserError(
            f"{where}: {text!r} holds half a character (a surrogate) or a NUL, which no store can; "
            f"repair or leave out the row"
        )


def _key(name: str) -> str:
    """Return a name without surrounding blanks; for a whole number such as 1.0, its digits."""
    plain = name.strip()
    whole, _, decimals = plain.partition(".")
    return str(int(whole)) if _is_number(whole) and not decimals.strip("0") else plain


def _is_number(text: str) -> bool:
    return len(text) <= LONGEST_NUMBER and text.removeprefix("-").isdecimal()


def shortened(names: Sequence[str], most: int = 5) -> str:
    """Return the first ``most`` names as one text."""
    shown = ", ".join(str(name) for name in names[:most])
    return shown + (", ..." if len(names) > most else "")


# --- rows ------------------------------------------------------------------------------------


def _split(columns: Mapping[str, str], labels: Labels, table: Table, ids_from: int) -> RawSplit:
    read = tuple(columns.values())

    def blocks() -> Iterator[Block]:
        row = 0
        for batch in table.batches(read):
            label = labels(batch[columns["label"]], row)
            if "id" in columns:
                example_id = _ids(batch[columns["id"]], table.where, columns["id"], row)
            else:
                example_id = np.arange(ids_from + row, ids_from + row + len(label))
            yield Block(_inputs(batch, columns, table, row), label, example_id)
            row += len(label)

    inputs = columns.get("image") or columns["text"]
    words = {"inputs": inputs, "label": columns["label"], "example_id": columns.get("id", "id")}
    return RawSplit(blocks, words | {"text_pair": columns.get("text_pair", "")}, table.files)


def _ids(values: Sequence[Any], where: str, column: str, first_row: int) -> np.ndarray:
    found = np.empty(len(values), np.int64)
    for position, value in enumerate(values):
        try:
            number = int(value)
            if "_" in str(value) or (isinstance(value, float) and number != value):
                raise ValueError
            found[position] = number
        except (TypeError, ValueError, OverflowError):
            raise UserError(
                f"{where}: row {first_row + position}, column {column}: {value!r} is not a whole "
                f"number; ids are whole numbers below 2^63, or leave id out of columns to count "
                f"rows"
            ) from None
    return found


def _inputs(batch: Batch, columns: Mapping[str, str], table: Table, row: int) -> Inputs:
    where = table.where
    if "image" in columns:
        values = batch[columns["image"]]
        if isinstance(values, np.ndarray):
            return values
        return [_bytes(value, table, columns["image"], row + i) for i, value in enumerate(values)]
    texts = _texts(batch[columns["text"]], where, columns["text"], row)
    if "text_pair" not in columns:
        return texts
    pairs = _texts(batch[columns["text_pair"]], where, columns["text_pair"], row)
    return list(zip(texts, pairs, strict=True))


def _bytes(value: Any, table: Table, column: str, row: int) -> bytes:
    """Return an encoded image; `datasets` returns its bytes or the path of its file."""
    place = f"{table.where}: row {row}, column {column}"
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping) and value.get("bytes") is not None:
        return bytes(value["bytes"])
    if isinstance(value, Mapping) and value.get("path") is not None:
        if not table.by_path:
            raise UserError(
                f"{place}: names the file {value['path']}; put the image's bytes into the table, "
                f"or give images as a folder with one folder for each class"
            )
        return Path(value["path"]).read_bytes()
    said = "is empty" if value is None else f"is not an image but {type(value).__name__}"
    raise UserError(f"{place}: {said}")


def _texts(values: Sequence[Any], where: str, column: str, row: int) -> list[str]:
    """Return texts; a missing text becomes an empty one, which later checks refuse."""
    for position, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            raise UserError(
                f"{where}: row {row + position}, column {column}: {reprlib.repr(value)} is not "
                f"text but {type(value).__name__}; name another column, or put it in quotes"
            )
        if value:
            _check_storable(value, f"{where}: row {row + position}, column {column}")
    return [value or "" for value in values]
