"""Write files atomically, so that a reader never finds an incomplete file."""

import errno
import functools
import glob
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np

from disobey.errors import DiskFull, UserError

# Must be set before netCDF4 is imported: HDF5's own locks fail on many cluster file systems, and
# are not needed since each file has one writer.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disk full, quota exceeded, file size limit
PROBE = 1 << 20  # bytes


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success the file is synced and renamed.

    On failure the temporary file is removed and ``path`` is unchanged.

    Raises
    ------
    DiskFull
        If no space is left; the message has the needed and the free space.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())  # safetensors gives access to the owner only
        os.replace(temporary, path)
    except UserError:
        raise
    except Exception as error:  # HDF5, torch and safetensors have different errors for a full disk
        if not _is_full(error, path.parent):
            raise
        raise DiskFull(_what_is_missing(path, temporary)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o077)  # it can only be read by setting it
    os.umask(mask)
    return mask


def remove_temporary_files(path: Path) -> None:
    """Remove temporary files of ``path`` that a killed process left.

    The caller must hold a lock that excludes other writers of ``path``.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        left.unlink(missing_ok=True)


def _is_full(error: Exception, folder: Path) -> bool:
    """Return True if an error is due to a full disk; if this is unclear, try to write a file.

    On a full disk HDF5 says "HDF error" or even "Permission denied", and safetensors has no errno.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number in FULL or any(os.strerror(known) in str(error) for known in FULL):
        return True
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(bytes(PROBE))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as failure:
        return failure.errno in FULL
    return False


def _what_is_missing(path: Path, temporary: Path) -> str:
    size = temporary.stat().st_size if temporary.exists() else 0
    if size:  # the file may still be open, so that its removal would free no space
        os.truncate(temporary, 0)
    needed = f"it needs more than {size:,} bytes" if size else "it does not fit"
    free = shutil.disk_usage(path.parent).free
    return (
        f"{path}: no space is left on its disk: {needed}, {free:,} are free there. Free some, or "
        f"move results/ to a larger disk and leave a link; then call the same command again: all "
        f"that is finished stays"
    )


# Names and units of variables, which are not in the code so that rewording makes no store stale.
VARIABLES = Path(__file__).with_name("variables.toml")
# Coordinates of a dimension whose names differ from the dimension's.
COORDINATES = ("example_id", "step", "rank")


@functools.cache
def _variables() -> dict[str, dict[str, str]]:
    return tomllib.loads(VARIABLES.read_text(encoding="utf-8"))


def title_of(stage: str) -> str:
    """Return the title of a stage's stores."""
    return _variables()[stage]["title"]


def described(stage: str, name: str) -> dict[str, str]:
    """Return ``long_name`` and ``units`` of a variable of a stage's stores; empty if unknown.

    Dimensionless variables have unit 1. The unit of times is "s", since xarray reads "seconds" as a
    time delta.
    """
    known = _variables()
    words = known.get(stage, {}).get(name) or known["all"].get(name)
    if words is not None:
        said = re.fullmatch(r"(.*?)(?: \[(.+)\])?", words)
        assert said is not None
        return {"long_name": said[1], "units": said[2] or "1"}
    parts = [(ending, name.removesuffix(ending)) for ending in known["endings"]]
    parts += [(beginning, name.removeprefix(beginning)) for beginning in known["beginnings"]]
    for part, rest in parts:
        found = described(stage, rest) if rest != name else {}
        if found:
            more = (known["endings"] | known["beginnings"])[part]
            return found | {"long_name": f"{found['long_name']}; {more}"}
    base, _, number = name.rpartition("_")
    return described(stage, base) if number.isdecimal() else {}


class NetcdfWriter:
    """Writes a new netCDF-4 file with fixed dimensions, contiguous and uncompressed.

    Parameters
    ----------
    path : Path
        The file to create; use inside `atomic`.
    attributes : mapping
        Global attributes.
    stage : str
        The stage that makes the store; if given, variables get the attributes of `described`.
    """

    def __init__(
        self, path: Path, attributes: Mapping[str, Any] | None = None, stage: str = ""
    ) -> None:
        import netCDF4

        self._file = netCDF4.Dataset(path, "w", format="NETCDF4")
        self._file.setncatts(dict(attributes or {}))
        self._stage = stage

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def annotate(self, group: str, **attributes: Any) -> None:
        """Set attributes of a group, which is created if it does not exist."""
        place = self._file if group == "/" else self._file.createGroup(group)
        place.setncatts(attributes)

    def declare(
        self,
        group: str,
        name: str,
        dims: Sequence[str],
        shape: Sequence[int],
        dtype: Any,
        **attributes: Any,
    ) -> Any:
        """Create a variable that is filled in slices, and return netCDF4's variable.

        A group's attribute ``coordinates`` lists its `COORDINATES`, for xarray.
        """
        place = self._file if group == "/" else self._file.createGroup(group)
        for dim, size in zip(dims, shape, strict=True):
            if dim not in place.dimensions:
                place.createDimension(dim, size)
            elif len(place.dimensions[dim]) != size:
                raise ValueError(
                    f"{group}/{name}: dimension {dim} is {len(place.dimensions[dim])}, not {size}"
                )
        variable = place.createVariable(name, dtype, tuple(dims), fill_value=False)
        variable.setncatts((described(self._stage, name) if self._stage else {}) | attributes)
        if self._stage and name in COORDINATES and len(dims) == 1:
            known = getattr(place, "coordinates", "").split()
            place.setncattr("coordinates", " ".join([*known, name]))
        return variable

    def write(
        self,
        group: str,
        name: str,
        dims: Sequence[str],
        values: Any,
        **attributes: Any,
    ) -> None:
        """Create a variable and fill it; a list of ``str`` becomes a string variable."""
        array = np.asarray(values)
        dtype = str if array.dtype.kind in "UO" else array.dtype
        variable = self.declare(group, name, dims, array.shape, dtype, **attributes)
        variable[...] = array.astype(object) if dtype is str else array

    def write_dataset(self, group: str, dataset: Any) -> None:
        """Write variables, coordinates and attributes of an `xarray.Dataset` into a group."""
        self.annotate(group, **dataset.attrs)
        for name, variable in dataset.variables.items():
            self.write(group, str(name), [str(dim) for dim in variable.dims], variable.values)
