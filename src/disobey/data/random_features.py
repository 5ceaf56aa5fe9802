"""Random ReLU features of images or vectors: drawn once and fixed, the same for all models.

h_j(x) = scale max(0, w_j . x), with w_j ~ N(0, I / d) and x of d numbers: an image's bytes over
255, row by row with the channel last, or an unchanged vector. Neither is centred. The paper
(C.4, v1) gives only the number of features; their distribution and scale are [our choice].
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from disobey.seeds import stream

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
        """Return float32 features (example, feature) of uint8 images or of vectors."""
        rows = inputs.reshape(len(inputs), -1).astype(np.float64)
        if inputs.dtype == np.uint8:
            rows /= 255
        hidden = rows @ self._drawn(rows.shape[1])
        features: np.ndarray = self.options["scale"] * np.maximum(hidden, 0)
        return features.astype(np.float32)

    def _drawn(self, dimensions: int) -> np.ndarray:
        """Return the random weights, (dimension, feature)."""
        if len(self._weights) != dimensions:
            rng = stream(self.options["seed"], "random features")
            shape = (dimensions, self.options["number"])
            self._weights = rng.standard_normal(shape) / np.sqrt(dimensions)
        return self._weights

    def of(self, blocks: Iterable[Any]) -> Iterator[np.ndarray]:
        """Yield the features of blocks of examples, which are arrays or variables of a store."""
        for block in blocks:
            for start in range(0, len(block), ROWS_AT_ONCE):
                yield self(np.asarray(block[start : start + ROWS_AT_ONCE]))
