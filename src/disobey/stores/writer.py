"""Write files so that a reader never meets half of one."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

# Before netCDF4 is imported anywhere: HDF5's own locks fail on many cluster file systems, and
# each file of ours has one writer.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; on success it is synced and renamed to ``path``.

    On failure the temporary file is removed and ``path`` is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class NetcdfWriter:
    """A new netCDF-4 file of fixed dimensions, contiguous and uncompressed.

    Parameters
    ----------
    path : Path
        The file to create; use inside `atomic`.
    attributes : mapping
        Global attributes.
    """

    def __init__(self, path: Path, attributes: Mapping[str, Any] | None = None) -> None:
        import netCDF4

        self._file = netCDF4.Dataset(path, "w", format="NETCDF4")
        self._file.setncatts(dict(attributes or {}))

    def __enter__(self) -> "NetcdfWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def declare(
        self,
        group: str,
        name: str,
        dims: Sequence[str],
        shape: Sequence[int],
        dtype: Any,  # noqa: ANN401 - whatever numpy takes as a dtype
        **attributes: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401 - netCDF4 is untyped
        """Create a variable to be filled by slices; returns netCDF4's variable."""
        place = self._file if group == "/" else self._file.createGroup(group)
        for dim, size in zip(dims, shape, strict=True):
            if dim not in place.dimensions:
                place.createDimension(dim, size)
            elif len(place.dimensions[dim]) != size:
                raise ValueError(
                    f"{group}/{name}: dimension {dim} is {len(place.dimensions[dim])}, not {size}"
                )
        variable = place.createVariable(name, dtype, tuple(dims), fill_value=False)
        variable.setncatts(attributes)
        return variable

    def write(
        self,
        group: str,
        name: str,
        dims: Sequence[str],
        values: Any,  # noqa: ANN401 - array_like
        **attributes: Any,  # noqa: ANN401
    ) -> None:
        """Create a variable and fill it; a list of ``str`` becomes a string variable."""
        array = np.asarray(values)
        dtype = str if array.dtype.kind in "UO" else array.dtype
        variable = self.declare(group, name, dims, array.shape, dtype, **attributes)
        variable[...] = array.astype(object) if dtype is str else array
