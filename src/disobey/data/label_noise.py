"""Random draws stratified by class: label noise with an exact count, subsets, students' shares."""

import numpy as np

from disobey.seeds import stream

# Seed of the draw of the examples that students with a `student_share` see [our choice]: one draw
# for all seeds of a study, as for label noise. No subset of a study file can have this seed.
SHARE_DRAW = 1_000_000


def share_by_class(counts: np.ndarray, total: int) -> np.ndarray:
    """Split ``total`` over classes in proportion to their sizes, by largest remainders.

    Parameters
    ----------
    counts : ndarray of int, shape (class,)
    total : int
        At most the sum of ``counts``.

    Returns
    -------
    ndarray of int, shape (class,)
        The sum is ``total``.
    """
    exact = counts * total / counts.sum()
    taken = np.floor(exact).astype(int)
    missing = total - taken.sum()
    taken[np.argsort(taken - exact, kind="stable")[:missing]] += 1
    return taken


def stratified(label: np.ndarray, total: int, seed: int) -> np.ndarray:
    """Return ``total`` positions, in increasing order, drawn so that each class keeps its share.

    Parameters
    ----------
    label : ndarray of int, shape (example,)
    total : int
        At most the number of examples.
    seed : int
        Seed of the draw.

    Returns
    -------
    ndarray of int, shape (total,)
    """
    rng = stream(seed, "subset")
    taken = share_by_class(np.bincount(label), total)
    chosen = [
        rng.choice(np.flatnonzero(label == one), number, replace=False)
        for one, number in enumerate(taken)
    ]
    return np.sort(np.concatenate(chosen))


def number_seen(share: float | None, examples: int) -> int:
    """Return the number of training examples that a student sees; all without a share."""
    return examples if share is None else round(share * examples)


def seen_share(label: np.ndarray, share: float) -> np.ndarray:
    """Return the mask of the examples that a student sees; each class keeps its share.

    Parameters
    ----------
    label : ndarray of int, shape (example,)
        The given labels.
    share : float
        Share of the examples; their number is rounded.

    Returns
    -------
    ndarray of bool, shape (example,)
    """
    seen = np.zeros(len(label), bool)
    seen[stratified(label, number_seen(share, len(label)), SHARE_DRAW)] = True
    return seen


def noisy_labels(label: np.ndarray, classes: int, rate: float, seed: int) -> np.ndarray:
    """Return labels of which exactly round(rate x n) are changed, uniformly, to *another* class.

    The changed labels are distributed over classes in proportion, with largest remainders.

    Parameters
    ----------
    label : ndarray of int, shape (example,)
        Clean labels, 0 to classes - 1.
    classes : int
        At least 2.
    rate : float
        Share of the labels to change.
    seed : int
        Seed of the draw.

    Returns
    -------
    ndarray of int64, shape (example,)
    """
    if classes < 2:
        raise ValueError("label noise needs two classes at least")
    rng = stream(seed, "label noise")
    counts = np.bincount(label, minlength=classes)
    moved = share_by_class(counts, round(rate * len(label)))
    noisy = label.astype(np.int64)
    for one in range(classes):
        chosen = rng.choice(np.flatnonzero(label == one), moved[one], replace=False)
        noisy[chosen] = (one + rng.integers(1, classes, moved[one])) % classes
    return noisy
