"""Read arrays out of a store, without xarray: training jobs start faster for it."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from disobey.stores.half import BITS_OF, from_half_bits

os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")


def read_arrays(path: Path, group: str = "/", *names: str) -> dict[str, np.ndarray]:
    """Return the variables of one group as arrays.

    Parameters
    ----------
    path : Path
        A netCDF-4 file.
    group : str
        Its group; ``/`` is the root.
    *names : str
        Which variables; all of them if none is named.
    """
    import netCDF4

    with netCDF4.Dataset(path, "r") as file:
        place = file if group == "/" else file[group]
        place.set_auto_mask(False)
        return {name: place[name][...] for name in names or place.variables}


def read_slab(path: Path, name: str, position: int) -> np.ndarray:
    """Return one slice, along its first dimension, of a variable of the root; reads only that."""
    import netCDF4

    with netCDF4.Dataset(path, "r") as file:
        file.set_auto_mask(False)
        slab: np.ndarray = file[name][position]
        is_half = BITS_OF in file[name].ncattrs()
    return from_half_bits(slab) if is_half else slab


def read_attributes(path: Path, group: str = "/") -> dict[str, Any]:
    """Return the attributes of one group of a netCDF-4 file; ``/`` is the root."""
    import netCDF4

    with netCDF4.Dataset(path, "r") as file:
        place = file if group == "/" else file[group]
        return {name: place.getncattr(name) for name in place.ncattrs()}


def read_groups(path: Path, group: str = "/") -> list[str]:
    """Return the names of the groups inside ``group``; none where there is no such group."""
    import netCDF4

    with netCDF4.Dataset(path, "r") as file:
        if group == "/":
            return list(file.groups)
        return list(file[group].groups) if group in file.groups else []
