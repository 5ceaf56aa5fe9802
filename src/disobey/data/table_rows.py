"""Tables of rows, read with the package `datasets` a block at a time: the hub's and the user's.

Both give the same thing to the same checks: columns by name, class names where the table says
them, and batches in a fixed order that can be read again.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from disobey.data.labels import Labels, class_names
from disobey.data.raw import Block, Inputs, RawData, RawSplit
from disobey.data.table import Batch, Table
from disobey.errors import UserError, nearest

# Rows of a table without ids are counted; those of the test split from here.
TEST_IDS_FROM = 1_000_000_000
SURROGATE = re.compile("[\ud800-\udfff]")


def raw_data(spec: Mapping[str, Any], train: Table, test: Table) -> RawData:
    """Return the data that two tables hold.

    Parameters
    ----------
    spec : mapping
        ``columns``, and ``classes`` where the user names them.
    train, test : Table

    Raises
    ------
    UserError
        For a column that is not there, or labels that differ between the splits.
    """
    columns = spec["columns"]
    for table in (train, test):
        _check_columns(columns, table)
    names = class_names(spec, train, test)
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
            if isinstance(value, float) and number != value:
                raise ValueError
            found[position] = number
        except (TypeError, ValueError, OverflowError):
            raise UserError(
                f"{where}: row {first_row + position}, column {column}: {value!r} is no whole "
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


def _bytes(value: Any, table: Table, column: str, row: int) -> bytes:  # noqa: ANN401
    """Return an image as its file holds it; `datasets` gives the bytes or names the file."""
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
    raise UserError(f"{place}: {'is empty' if value is None else _no_image(value)}")


def _no_image(value: object) -> str:
    return f"is no image but {type(value).__name__}"


def _texts(values: Sequence[Any], where: str, column: str, row: int) -> list[str]:
    """Return texts; a missing one as an empty one, which is refused where all are looked at."""
    for position, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            raise UserError(
                f"{where}: row {row + position}, column {column}: {value!r} is no text but "
                f"{type(value).__name__}; name another column, or put it in quotes"
            )
        if value and not value.isascii() and SURROGATE.search(value):
            raise UserError(
                f"{where}: row {row + position}, column {column}: {value!r} holds half a character "
                f"(a surrogate), which no UTF-8 file can; repair or leave out the row"
            )
    return [value or "" for value in values]
