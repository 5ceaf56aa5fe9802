"""Images that stay on disk as their files were, read and decoded when they are asked for.

HDF5 works for one thread at a time, and netCDF4 closes a file that was dropped in whatever thread
collects it. So bytes are read by the thread that asks for images, out of a file that is closed
before they are decoded; other threads only decode.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from disobey.data.images import SHOWN, decode_square
from disobey.stores.reader import read_arrays


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
        self._store, self._split = store, split
        self._start = read_arrays(store, split, "start")["start"]
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
        return self.begin(index, border)()

    def begin(self, index: np.ndarray, border: int = 0) -> Callable[[], np.ndarray]:
        """Read the bytes of images and begin to decode them; what is returned waits for the end.

        Parameters and the awaited images are those of `read`.
        """
        encoded = self._bytes(index.tolist())
        side, grey = self.side + 2 * border, self.shape[-1] == 1
        cut = partial(decode_square, side=side, scaled=self.scaled, grey=grey)
        self._pool = self._pool or ThreadPoolExecutor(self.threads)
        decoded = self._pool.map(cut, encoded)
        return lambda: np.stack(list(decoded))

    def _bytes(self, positions: Sequence[int]) -> list[bytes]:
        import netCDF4

        with netCDF4.Dataset(self._store, "r") as file:
            encoded, start = file[self._split]["encoded"], self._start
            encoded.set_auto_mask(False)
            return [encoded[start[i] : start[i + 1]].tobytes() for i in positions]
