"""Labels of tables: which classes there are, and which one a row's value means.

A value has a name: a word is its own without blanks around it, a whole number is its digits (1,
1.0, "1" and "01" are one). Where a table names its classes a number is the position of one of those
names; so it is where the user names them and no name is itself a number.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from disobey.data.table import Table
from disobey.errors import UserError

LONGEST_NUMBER = 18  # digits; of far longer ones Python makes no number
# Of a few rows nearly all may differ; of more than these, twice as many rows as classes are needed.
CLASSES_OF_FEW_ROWS = 10
NO_LABELS = "; has this split no labels? name another one"


def class_names(spec: Mapping[str, Any], train: Table, test: Table) -> list[str]:
    """Return the names of the classes, in the order of their numbers.

    Parameters
    ----------
    spec : mapping
        ``columns``, and ``classes`` where the user names them.
    train, test : Table

    Raises
    ------
    UserError
        When the splits say different names, the user's names fit neither, or there are fewer than
        two classes.
    """
    names = _class_names(spec, train, test)
    if len(names) < 2:
        raise UserError(
            f"{train.where}: column {spec['columns']['label']}: two classes are needed at least, "
            f"found {shortened(names) or 'none'}"
        )
    return names


def _class_names(spec: Mapping[str, Any], train: Table, test: Table) -> list[str]:
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
    """Tell whether the user's names replace the table's, one by one."""
    known = [list(names) for names in said if names is not None]
    same = all(names == known[0] for names in known)
    return same and len(given) == len(known[0]) and not set(known[0]) & set(given)


def _names_found(column: str, table: Table) -> list[str]:
    """Return the names of a label column's values: numbers in their order, words in theirs."""
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
        Of all classes.
    column : str
    table : Table
    given : bool
        Whether the user names the classes.
    """

    def __init__(self, names: Sequence[str], column: str, table: Table, *, given: bool) -> None:
        self.column, self.where, self.names = column, table.where, names
        said = table.class_names(column)
        by_name = {name.strip(): position for position, name in enumerate(names)}
        if said is not None:
            # By what the table calls them; by position where the user renames them.
            of_table = [
                by_name.get(str(name).strip(), position) for position, name in enumerate(said)
            ]
            by_name |= {str(position): place for position, place in enumerate(of_table)}
        self._positions = said is not None or (given and not any(map(_is_number, by_name)))
        if said is None and self._positions:
            by_name |= {str(position): position for position in range(len(names))}
        self._known = by_name

    def __call__(self, values: Sequence[Any], first_row: int) -> np.ndarray:
        """Return int64 of shape (row,).

        Raises
        ------
        UserError
            For a value that is no class, with its row.
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


def _named(value: Any, where: str) -> str:  # noqa: ANN401 - whatever the table holds
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    if missing or (isinstance(value, str) and not value.strip()):
        raise UserError(f"{where}: is empty{NO_LABELS}")
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return str(int(value)) if _is_number(value.strip()) else value.strip()
    raise UserError(
        f"{where}: {value!r} is no label; labels are whole numbers or words, one for each row"
    )


def _is_number(text: str) -> bool:
    return len(text) <= LONGEST_NUMBER and text.removeprefix("-").isdecimal()


def shortened(names: Sequence[str], most: int = 5) -> str:
    """Return the first of some names as one text."""
    shown = ", ".join(str(name) for name in names[:most])
    return shown + (", ..." if len(names) > most else "")
