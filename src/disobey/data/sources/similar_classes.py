"""Linear data with similar classes: the paper's synthetic data of its gradient view (C.5, v1).

Each class has a channel of its own. An example x = (x_1, ..., x_K) holds a signal in the channel of
its label y and in those of a few *similar* classes; all other channels are 0:

- mu_k ~ N(0, I), the true direction of class k; y uniform over the classes;
- x_y = .01 mu_y + .99 z_y, with z_y uniform on the half of the unit sphere with z_y . mu_y > 0;
- three similar classes, each uniform over the K - 1 others, possibly with repetitions;
- x_k = b_k (.01 mu_k + .99 z_k) for a similar class k, with z_k drawn like z_y.

Two points of the paper are ambiguous; our readings reproduce its numbers [our choice]. The paper
truncates to x_y . mu_y > 0 and states that .01 mu_y gives the margin; so we truncate z_y itself,
which makes the margin x_y . mu_y at least .01 |mu_y|^2. The paper scales by b_k = .8 B (x_y . mu_y)
with B ~ Beta(4, 1) to give x_k less margin than x_y, which those b_k do not achieve. ``relative``
does: b_k is such that x_k . mu_k = .8 B (x_y . mu_y), and w_k = mu_k classifies every example
correctly. With ``plain``, b_k = .8 B: the margin of a similar class is independent of x_y.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from disobey.data.raw import RawData, in_memory
from disobey.data.sources import Source
from disobey.seeds import stream

CLASSES, DIMENSIONS, SIMILAR = 10, 100, 3
TRAIN, TEST = 512, 4000
SOURCE = Source(
    "the paper's synthetic data of similar classes",
    "feature", TRAIN, TEST, CLASSES, (CLASSES * DIMENSIONS,),
)  # fmt: skip
SIGNAL = 0.01  # share of the true direction in a channel; the rest is noise
LARGEST = 0.8  # largest scale of a similar class's signal


def load(spec: Mapping[str, Any], *unused: object) -> RawData:
    """Return 512 training and 4,000 test examples of 10 channels with 100 numbers each.

    Parameters
    ----------
    spec : mapping
        ``draw`` has the ``seed`` of all random numbers and the ``scaling``.
    """
    draw = spec["draw"]
    rng = stream(draw["seed"], "similar-classes")
    direction = rng.standard_normal((CLASSES, DIMENSIONS))
    splits, first = [], 0
    for examples in (TRAIN, TEST):
        label, channels = examples_of(rng, direction, examples, draw["scaling"])
        inputs = channels.reshape(examples, -1).astype(np.float32)
        splits.append(in_memory(inputs, label, np.arange(first, first + examples)))
        first += examples
    names = tuple(str(k) for k in range(CLASSES))
    return RawData(splits[0], splits[1], names, direction)


def examples_of(
    rng: np.random.Generator, direction: np.ndarray, examples: int, scaling: str
) -> tuple[np.ndarray, np.ndarray]:
    """Draw examples.

    Parameters
    ----------
    rng : Generator
    direction : ndarray, shape (class, dimension)
        mu.
    examples : int
    scaling : str
        ``relative`` or ``plain``, see the module's docstring.

    Returns
    -------
    label : ndarray of int, shape (example,)
    channels : ndarray, shape (example, class, dimension)
    """
    every, classes = np.arange(examples), len(direction)
    label = rng.integers(classes, size=examples)
    channels = np.zeros((examples, *direction.shape))
    channels[every, label] = own = _signal(rng, direction[label])
    margin = _dot(own, direction[label])
    for _ in range(SIMILAR):
        similar = (label + rng.integers(1, classes, size=examples)) % classes
        signal = _signal(rng, direction[similar])
        scale = LARGEST * rng.beta(4, 1, examples)
        if scaling == "relative":
            scale *= margin / _dot(signal, direction[similar])
        channels[every, similar] = scale[:, None] * signal
    return label, channels


def _signal(rng: np.random.Generator, direction: np.ndarray) -> np.ndarray:
    """Return .01 mu + .99 z for each row mu of ``direction``, z uniform on mu's half sphere."""
    noise = rng.standard_normal(direction.shape)
    noise /= np.sqrt(_dot(noise, noise))[:, None]
    noise *= np.where(_dot(noise, direction) > 0, 1, -1)[:, None]
    return SIGNAL * direction + (1 - SIGNAL) * noise


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return inner products of pairs of rows, without BLAS, whose sums depend on the machine."""
    product: np.ndarray = (one * other).sum(-1)
    return product
