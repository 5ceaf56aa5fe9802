"""Draws that are balanced by class: label noise with an exact count, subsets, students' shares."""

import numpy as np

from disobey.seeds import stream

# The draw of the examples that students with a `student_share` see [our choice]: one for all seeds
# of a study, as that of label noise. No subset of a study file can have this seed.
SHARE_DRAW = 1_000_000


def share_by_class(counts: np.ndarray, total: int) -> np.ndarray:
    """Split ``total`` over classes in proportion to their sizes: largest remainders first.

    Parameters
    ----------
    counts : ndarray of int, shape (class,)
    total : int
        At most their sum.

    Returns
    -------
    ndarray of int, shape (class,)
        Sums to ``total``.
    """
    exact = counts * total / counts.sum()
    taken = np.floor(exact).astype(int)
    missing = total - taken.sum()
    taken[np.argsort(taken - exact, kind="stable")[:missing]] += 1
    return taken


def stratified(label: np.ndarray, total: int, seed: int) -> np.ndarray:
    """Return ``total`` positions, rising, drawn so that each class keeps its share.

    Parameters
    ----------
    label : ndarray of int, shape (example,)
    total : int
        At most the number of examples.
    seed : int
        Names the draw.

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
    """Return how many of the training examples a student sees; all without a share."""
    return examples if share is None else round(share * examples)


def seen_share(label: np.ndarray, share: float) -> np.ndarray:
    """Draw the examples that a student sees, with each class's share kept.

    Parameters
    ----------
    label : ndarray of int, shape (example,)
        The given labels.
    share : float
        Of the examples, rounded to a whole number of them.

    Returns
    -------
    ndarray of bool, shape (example,)
    """
    seen = np.zeros(len(label), bool)
    seen[stratified(label, number_seen(share, len(label)), SHARE_DRAW)] = True
    return seen


def noisy_labels(label: np.ndarray, classes: int, rate: float, seed: int) -> np.ndarray:
    """Move exactly round(rate x n) labels, uniformly, to *another* class.

    Every class loses its share of the moved labels, up to rounding: largest remainders first.

    Parameters
    ----------
    label : ndarray of int, shape (example,)
        Clean labels, 0 to classes - 1.
    classes : int
        Two at least.
    rate : float
        Share of the labels to move.
    seed : int
        Names the draw.

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
