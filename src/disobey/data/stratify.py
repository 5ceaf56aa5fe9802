"""Numbers of examples by class that keep each class's share."""

import numpy as np


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
    rng = np.random.default_rng(np.random.SeedSequence([seed, *b"subset"]))
    taken = share_by_class(np.bincount(label), total)
    chosen = [
        rng.choice(np.flatnonzero(label == one), number, replace=False)
        for one, number in enumerate(taken)
    ]
    return np.sort(np.concatenate(chosen))
