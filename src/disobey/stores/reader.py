"""Read arrays of a store without xarray, so that training jobs start faster.

netCDF has no 16-bit float type: such numbers are stored as unsigned integers of the same bits.
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
BITS_OF = "bits_of"  # the attribute that marks such variables


@contextlib.contextmanager
def _opened(path: Path, group: str = "/") -> Iterator[Any]:
    """Open one group of a netCDF-4 file; ``/`` is the root."""
    import netCDF4

    with netCDF4.Dataset(path, "r") as file:
        place = file if group == "/" else file[group]
        place.set_auto_mask(False)
        yield place


def read_arrays(path: Path, group: str = "/", *names: str) -> dict[str, np.ndarray]:
    """Return the named variables of one group of a netCDF-4 file as arrays; all by default."""
    with _opened(path, group) as place:
        return {name: place[name][...] for name in names or place.variables}


def read_slab(path: Path, name: str, position: int) -> np.ndarray:
    """Return one slice of a root variable along its first dimension, without reading the rest."""
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

    The mapping is empty if ``group`` does not exist.
    """
    with _opened(path) as file:
        if group != "/" and group not in file.groups:
            return {}
        groups = (file if group == "/" else file[group]).groups
        return {name: list(found.variables) for name, found in groups.items()}


def read_columns(path: Path, group: str) -> dict[str, np.ndarray]:
    """Return the variables of one group whose only dimension is ``example``."""
    with _opened(path, group) as place:
        found = place.variables.items()
        columns = {name: one for name, one in found if one.dimensions == ("example",)}
        return {name: variable[...] for name, variable in columns.items()}


class OpenFile:
    """Base class of context managers that keep a netCDF-4 file open."""

    _file: Any

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class StoredRows(OpenFile):
    """A two-dimensional variable, read in slices of rows since a store may exceed the memory.

    Parameters
    ----------
    path : Path
        A netCDF-4 file; it stays open until the end of a ``with``.
    group, name : str
        The group and the name of the variable.
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
        """Read a slice of rows, without reading the others."""
        values: np.ndarray = self._variable[rows]
        return values


class ChosenRows:
    """A selection of rows of stored logits, read in slices of the selection.

    Parameters
    ----------
    logits : StoredRows, or ndarray, shape (example, class)
    rows : ndarray of int, shape (chosen,)
        Positions of the selected rows, increasing.
    """

    def __init__(self, logits: StoredRows | np.ndarray, rows: np.ndarray) -> None:
        self._logits, self._rows = logits, rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of rows and of classes."""
        return len(self._rows), *self._logits.shape[1:]

    def __getitem__(self, part: slice) -> np.ndarray:
        """Return a slice of the selected rows."""
        rows = self._rows[part]
        first, last = int(rows[0]), int(rows[-1])
        found: np.ndarray = self._logits[first : last + 1][rows - first]
        return found


def half_bits(values: np.ndarray) -> np.ndarray:
    """Round to float16 and return the bits as uint16, of the same shape.

    Raises
    ------
    UserError
        If an absolute value is too large for float16, above 65,504.
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
    """Return the exact float32 numbers of bits from `half_bits`."""
    return bits.view(np.float16).astype(np.float32)
