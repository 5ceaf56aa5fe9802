"""Images that stay on disk as their files were, read and decoded when they are asked for."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from disobey.data.images import SHOWN, decode_square

HDF5 = threading.Lock()  # it works for one thread at a time, whatever the file


class EncodedImages:
    """Images of a data store by their positions.

    Parameters
    ----------
    store : Path
    split : str
    shape : sequence of int
        Of one decoded image, (y, x, channel), y and x equal.

    Attributes
    ----------
    shape : tuple of int
        (example, y, x, channel).
    threads : int
        How many decode; to be set before the first read.
    """

    def __init__(self, store: Path, split: str, shape: Sequence[int]) -> None:
        import netCDF4

        self._file = netCDF4.Dataset(store, "r")
        place = self._file[split]
        place.set_auto_mask(False)
        self._encoded, self._start = place["encoded"], place["start"][...]
        self.shape = (len(self._start) - 1, *(int(side) for side in shape))
        self.threads = 1
        self._pool: ThreadPoolExecutor | None = None

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def side(self) -> int:
        """Of the square that is shown, in pixels."""
        return self.shape[1]

    @property
    def scaled(self) -> int:
        """What an image's shorter side is scaled to before its middle is cut out."""
        return round(self.side / SHOWN)

    def read(self, index: np.ndarray, border: int = 0) -> np.ndarray:
        """Return images as uint8, (index, side + 2 border, side + 2 border, channel).

        Parameters
        ----------
        index : ndarray of int
        border : int
            Pixels around the square that is shown.
        """
        self._pool = self._pool or ThreadPoolExecutor(self.threads)
        grey = self.shape[-1] == 1
        cut = partial(self._decoded, side=self.side + 2 * border, grey=grey)
        return np.stack(list(self._pool.map(cut, index.tolist())))

    def _decoded(self, position: int, side: int, *, grey: bool) -> np.ndarray:
        with HDF5:
            first, last = self._start[position], self._start[position + 1]
            encoded = self._encoded[first:last].tobytes()
        return decode_square(encoded, side, self.scaled, grey=grey)
