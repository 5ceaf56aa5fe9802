"""Read arrays of a store without xarray, so that training jobs start faster.

netCDF has no type for numbers of 16 bits: they are stored as unsigned integers of the same bits.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from disobey.errors import UserError

os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

HALF = "float16"
BITS_OF = "bits_of"  # the attribute of a variable that holds such bits


@contextlib.contextmanager
def _opened(path: Path, group: str = "/") -> Iterator[Any]:
    """Open one group of a netCDF-4 file; ``/`` is the root."""
    import netCDF4

    with netCDF4.Dataset(path, "r") as file:
        place = file if group == "/" else file[group]
        place.set_auto_mask(False)
        yield place


def read_arrays(path: Path, group: str = "/", *names: str) -> dict[str, np.ndarray]:
    """Return variables of one group of a netCDF-4 file as arrays; all if none is named."""
    with _opened(path, group) as place:
        return {name: place[name][...] for name in names or place.variables}


def read_slab(path: Path, name: str, position: int) -> np.ndarray:
    """Return one slice, along its first dimension, of a variable of the root; read only that."""
    with _opened(path) as file:
        slab: np.ndarray = file[name][position]
        is_half = BITS_OF in file[name].ncattrs()
    return from_half_bits(slab) if is_half else slab


def read_attributes(path: Path, group: str = "/") -> dict[str, Any]:
    """Return the attributes of one group of a netCDF-4 file."""
    with _opened(path, group) as place:
        return {name: place.getncattr(name) for name in place.ncattrs()}


def read_groups(path: Path, group: str = "/") -> dict[str, list[str]]:
    """Return the groups inside ``group`` and the names of their variables.

    Empty if there is no such group.
    """
    with _opened(path) as file:
        if group != "/" and group not in file.groups:
            return {}
        groups = (file if group == "/" else file[group]).groups
        return {name: list(found.variables) for name, found in groups.items()}


def read_columns(path: Path, group: str) -> dict[str, np.ndarray]:
    """Return what a store says of each example of one group: its variables along ``example``."""
    with _opened(path, group) as place:
        found = place.variables.items()
        columns = {name: one for name, one in found if one.dimensions == ("example",)}
        return {name: variable[...] for name, variable in columns.items()}


class OpenFile:
    """Base of classes that hold an open netCDF-4 file until the end of a ``with``."""

    _file: Any

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class StoredRows(OpenFile):
    """A two-dimensional variable that is read in slices of rows: a store may exceed the memory.

    Parameters
    ----------
    path : Path
        A netCDF-4 file; it stays open until the end of a ``with``.
    group, name : str
        The variable and its group.
    """

    def __init__(self, path: Path, group: str, name: str) -> None:
        import netCDF4

        self._file = netCDF4.Dataset(path, "r")
        self._variable = self._file[group][name]
        self._variable.set_auto_maskandscale(False)

    @property
    def shape(self) -> tuple[int, ...]:
        """The variable's shape."""
        return tuple(self._variable.shape)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Read some rows, and only those."""
        values: np.ndarray = self._variable[rows]
        return values


class ChosenRows:
    """Some rows of stored logits, which are read in slices of these rows.

    Parameters
    ----------
    logits : StoredRows, or ndarray, shape (example, class)
    rows : ndarray of int, shape (chosen,)
        Rising.
    """

    def __init__(self, logits: StoredRows | np.ndarray, rows: np.ndarray) -> None:
        self._logits, self._rows = logits, rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of rows and of classes."""
        return len(self._rows), *self._logits.shape[1:]

    def __getitem__(self, part: slice) -> np.ndarray:
        """Return some of the rows."""
        rows = self._rows[part]
        first, last = int(rows[0]), int(rows[-1])
        found: np.ndarray = self._logits[first : last + 1][rows - first]
        return found


def half_bits(values: np.ndarray) -> np.ndarray:
    """Round to float16 and return the bits: uint16, of the same shape.

    Raises
    ------
    UserError
        For a value that float16 cannot hold, above 65,504.
    """
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise UserError(
            f"a logit of {np.abs(values).max():.3g} is too large for {HALF}; write in the study "
            f"file views: {{dtype: float32}}"
        )
    return rounded.view(np.uint16)


def from_half_bits(bits: np.ndarray) -> np.ndarray:
    """Return the numbers of `half_bits`: float32, exact."""
    return bits.view(np.float16).astype(np.float32)
