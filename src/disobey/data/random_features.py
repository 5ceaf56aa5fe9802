"""Random ReLU features of images or vectors: fixed, drawn once, the same for all models.

h_j(x) = scale max(0, w_j . x), with w_j ~ N(0, I / d) and x of d numbers: an image's bytes over
255, row by row with the channel last, or a vector as it is. Neither is centred. The paper (C.4, v1)
gives the number of features alone: law and scale are ours [our choice].
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from disobey.data.raw import RawSplit
from disobey.data.writing import chosen_blocks
from disobey.seeds import stream
from disobey.stores.writer import NetcdfWriter

ROWS_AT_ONCE = 1000


class RandomRelu:
    """Maps examples to random features.

    Parameters
    ----------
    options : mapping
        ``number``, ``seed`` and ``scale``, as in a data set's spec.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self._weights = np.empty((0, 0))

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Return float32 features (example, feature) of images, uint8, or of vectors."""
        rows = inputs.reshape(len(inputs), -1).astype(np.float64)
        if inputs.dtype == np.uint8:
            rows /= 255
        hidden = rows @ self._drawn(rows.shape[1])
        features: np.ndarray = self.options["scale"] * np.maximum(hidden, 0)
        return features.astype(np.float32)

    def _drawn(self, dimensions: int) -> np.ndarray:
        """Return the weights, (dimension, feature)."""
        if len(self._weights) != dimensions:
            rng = stream(self.options["seed"], "random features")
            shape = (dimensions, self.options["number"])
            self._weights = rng.standard_normal(shape) / np.sqrt(dimensions)
        return self._weights

    def write(
        self, writer: NetcdfWriter, name: str, examples: int, blocks: Iterable[np.ndarray]
    ) -> None:
        """Write ``feature(example, component)``, float32, of a split that comes in blocks."""
        shape, first = (examples, self.options["number"]), 0
        feature = writer.declare(name, "feature", ("example", "component"), shape, "f4")
        for block in blocks:
            for start in range(0, len(block), ROWS_AT_ONCE):
                part = self(block[start : start + ROWS_AT_ONCE])
                feature[first : first + len(part)] = part
                first += len(part)


def stored(images: Any, examples: int) -> Iterator[np.ndarray]:  # noqa: ANN401 - of netCDF4
    """Yield the images of a variable (example, y, x, channel), block by block."""
    for start in range(0, examples, ROWS_AT_ONCE):
        yield np.asarray(images[start : start + ROWS_AT_ONCE])


def vectors(split: RawSplit, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the chosen vectors of a split, block by block."""
    for _, _, inputs in chosen_blocks(split, rows):
        yield np.asarray(inputs)
