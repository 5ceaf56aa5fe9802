"""Read a store's logits a block of rows at a time, so that a store may be larger than the memory.

Apart from `disobey.stores.reader`, which training reads with: a change here retrains nothing.
"""

from pathlib import Path

import numpy as np

from disobey.stores.reader import read_arrays


class StoredRows:
    """A two-dimensional variable whose rows are read when a slice of them is asked for.

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

    def __enter__(self) -> "StoredRows":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def shape(self) -> tuple[int, ...]:
        """The variable's shape."""
        return tuple(self._variable.shape)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Read some rows, and only those."""
        values: np.ndarray = self._variable[rows]
        return values


def read_columns(path: Path, group: str) -> dict[str, np.ndarray]:
    """Return the one-dimensional variables of one group: what a store says of each example."""
    import netCDF4

    with netCDF4.Dataset(path, "r") as file:
        variables = file[group].variables.items()
        names = [name for name, variable in variables if variable.ndim == 1]
    return read_arrays(path, group, *names)
