"""Views of an image under augmentation: their number and their order. Pure.

Crop with padding and flip give finitely many views, so that a teacher's logits on each can be
stored. Slab j holds the j-th view of each image, in a seeded permutation of the image's views; a
training shows one slab per epoch. In a run's spec, ``seeds.draw`` seeds the permutations (the same
for all students of a study, others for teachers) and ``seeds.views`` the order of the slabs.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from disobey.seeds import stream

BLOCK = 10  # slabs in one file of a teacher's logits
ROWS_AT_ONCE = 10_000


def number_of_views(augment: Mapping[str, Any]) -> int:
    """Return the number of an image's views: (2 padding + 1)^2 crops, twice that with flips."""
    crops = (2 * augment.get("crop_padding", 0) + 1) ** 2
    return crops * (2 if augment.get("flip") else 1)


def number_of_slabs(augment: Mapping[str, Any], epochs: int) -> int:
    """Return the number of slabs that a training shows: one per epoch, at most all views."""
    return min(epochs, number_of_views(augment))


def blocks_of(augment: Mapping[str, Any], epochs: int) -> range:
    """Return the numbers of the blocks of slabs that a training reads."""
    return range(-(-number_of_slabs(augment, epochs) // BLOCK))


def slabs_of(augment: Mapping[str, Any], block: int) -> range:
    """Return the slabs of a block; the last block may have fewer."""
    return range(BLOCK * block, min(BLOCK * (block + 1), number_of_views(augment)))


def views_by_slab(
    draw: int, examples: int, augment: Mapping[str, Any], slabs: int | None = None
) -> np.ndarray:
    """Return the view of each image in each slab: uint16, (slab, example).

    Every column is the beginning of a permutation of all views; `offsets` decodes a view.

    Parameters
    ----------
    draw : int
        Seeds the permutations.
    examples : int
    augment : mapping
    slabs : int, optional
        Number of slabs to return; all by default.
    """
    views = np.arange(number_of_views(augment), dtype=np.uint16)
    rng = stream(draw, "draw of views")
    kept = np.empty((slabs or len(views), examples), np.uint16)
    for start in range(0, examples, ROWS_AT_ONCE):  # all permutations of ImageNet are 6 GB
        stop = min(start + ROWS_AT_ONCE, examples)
        rows = np.broadcast_to(views, (stop - start, len(views)))
        kept[:, start:stop] = rng.permuted(rows, axis=1).T[: len(kept)]
    return kept


def slab_of_epoch(order_seed: int, epoch: int, epochs: int, augment: Mapping[str, Any]) -> int:
    """Return the slab that an epoch shows; all are shown, in a seeded order, before any repeats."""
    slabs = number_of_slabs(augment, epochs)
    passed, position = divmod(epoch, slabs)
    return int(stream(order_seed, "views", passed).permutation(slabs)[position])


def offsets(view: np.ndarray, augment: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Return each view's first row and first column in the padded image, and its flip.

    Parameters
    ----------
    view : ndarray of int
        Any shape.

    Returns
    -------
    tuple
        ``y``, ``x`` in [0, 2 padding], and ``flipped`` in {0, 1}, each of the shape of ``view``.
    """
    side = 2 * augment.get("crop_padding", 0) + 1
    crop, flipped = view % side**2, view // side**2
    return crop // side, crop % side, flipped
