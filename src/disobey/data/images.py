"""Encoded images: their headers, their decoding, and data stores that keep them encoded.

HDF5 serves one thread at a time, and netCDF4 closes an unreferenced file in the thread that happens
to collect it. So the calling thread reads the bytes of encoded images and closes the file before
they are decoded; other threads only decode.
"""

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from disobey.stores.reader import read_arrays

# Images with longer sides (in pixels) stay encoded in the store and are decoded batch by batch.
LARGEST_STORED = 96
# The central share of a large image that is shown [the usual choice: 224 pixels of 256].
SHOWN = 7 / 8
GREY = ("1", "L")
COLOUR = ("LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")


class Header(NamedTuple):
    """Properties known without decoding: ``width``, ``height``, and ``grey`` (a single channel)."""

    width: int
    height: int
    grey: bool


def read_header(encoded: bytes) -> Header:
    """Return the header of an image.

    Raises
    ------
    ValueError
        If the bytes are not an image or have more than 8 bits per channel.
    """
    image = _opened(encoded)
    if image.mode not in GREY + COLOUR:
        raise ValueError(f"holds numbers of mode {image.mode}; save it with 8 bits a channel")
    width, height = image.size
    return Header(width, height, image.mode in GREY)


def decode(encoded: bytes, *, grey: bool) -> np.ndarray:
    """Return an image as uint8 of shape (y, x, channel), with 1 channel or 3.

    Raises
    ------
    ValueError
        If the bytes are damaged.
    """
    return _array(_loaded(_opened(encoded)), grey=grey)


def decode_square(encoded: bytes, side: int, scaled: int, *, grey: bool) -> np.ndarray:
    """Return the central square of an image as uint8 of shape (side, side, channel).

    Parameters
    ----------
    encoded : bytes
    side : int
        Side of the square, in pixels.
    scaled : int
        Length to which the image's shorter side is scaled first; at least ``side``.
    grey : bool
        True for one channel, False for three.
    """
    image = _opened(encoded)
    # JPEG can be decoded at a half, a quarter or an eighth of its size, which is much faster.
    image.draft(None, (2 * scaled, 2 * scaled))
    image = _loaded(image).convert("L" if grey else "RGB")
    return _array(_cut(image, side, scaled), grey=grey)


def square(image: np.ndarray, side: int) -> np.ndarray:
    """Return the central square of an image, uint8 (y, x, channel), scaled to ``side`` pixels."""
    from PIL import Image

    grey = image.shape[-1] == 1
    opened = Image.fromarray(image[..., 0] if grey else image)
    return _array(_cut(opened, side, side), grey=grey)


def _cut(image: Any, side: int, scaled: int) -> Any:
    from PIL import Image

    width, height = image.size
    factor = scaled / min(width, height)
    size = (max(scaled, round(width * factor)), max(scaled, round(height * factor)))
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    scaled_image = image.resize(size, Image.Resampling.BILINEAR)
    return scaled_image.crop((left, top, left + side, top + side))


def check_whole(encoded: bytes) -> None:
    """Decode an image to its end, at the smallest possible size, to check it.

    Raises
    ------
    ValueError
        If the bytes are damaged.
    """
    image = _opened(encoded)
    image.draft(None, (1, 1))
    _loaded(image)


def _opened(encoded: bytes) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(encoded))
    except UnidentifiedImageError:
        raise ValueError(f"is not an image that Pillow can read ({len(encoded):,} bytes)") from None
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot be decoded: {error}") from None


def _loaded(image: Any) -> Any:
    try:
        image.load()
    except (OSError, ValueError, SyntaxError) as error:  # SyntaxError: a broken PNG
        raise ValueError(f"cannot be decoded: {error}") from None
    return image


def _array(image: Any, *, grey: bool) -> np.ndarray:
    array = np.asarray(image.convert("L" if grey else "RGB"))
    return array[..., None] if grey else array


class EncodedImages:
    """Encoded images of a data store, decoded on reading.

    Parameters
    ----------
    store : Path
    split : str
    shape : sequence of int
        Shape of one decoded image, (y, x, channel), y and x equal.

    Attributes
    ----------
    shape : tuple of int
        (example, y, x, channel).
    threads : int
        Number of threads that decode; must be set before the first read.
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
    def scaled(self) -> int:
        """Length of an image's shorter side, in pixels, before the central square is cut out."""
        return round(self.shape[1] / SHOWN)

    def read(self, index: np.ndarray, border: int = 0) -> np.ndarray:
        """Return images as uint8, (index, side + 2 border, side + 2 border, channel).

        Parameters
        ----------
        index : ndarray of int
        border : int
            Width in pixels of the additional margin around the square.
        """
        return self.begin(index, border)()

    def begin(self, index: np.ndarray, border: int = 0) -> Callable[[], np.ndarray]:
        """Read the bytes of images and begin to decode them; return a function that awaits them.

        The parameters and the function's result are those of `read`.
        """
        encoded = self._bytes(index.tolist())
        side, grey = self.shape[1] + 2 * border, self.shape[-1] == 1
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
