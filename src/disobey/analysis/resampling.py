"""Bootstrap by weights: a resample is a vector of counts, a statistic a function of means.

Every statistic here is a function of means of features over examples. With the counts of all
resamples in one matrix, the means of all resamples are one matrix product. The first row counts
every example once, so the same code computes the estimate itself. Sums are accumulated over blocks
of examples: neither the features nor the counts of all examples are ever in memory at once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

# Default number of examples in a block.
BLOCK = 4096
# Bytes of drawn counts in memory; examples beyond this limit are drawn in further stripes.
STRIPE_BYTES = 1 << 25


class Resamples:
    """Counts of each example in the full sample (row 0) and in every resample.

    Examples are drawn with replacement. The draws are reproducible, and generated again for each
    stripe of examples.

    Parameters
    ----------
    examples, resamples : int
        With 0 resamples there is only the full sample.
    seed : int

    Notes
    -----
    All rows use the quantile bins and class means of the full sample [our choice]: only the
    examples over which a fixed statistic is averaged are resampled.
    """

    def __init__(self, examples: int, resamples: int, seed: int) -> None:
        self.rows, self.examples, self._seed = 1 + resamples, examples, seed

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield blocks of ``size`` examples, in order, and their counts, (1 + resample, example).

        The last block may be smaller. Counts are float64.
        """
        stripe = size * max(1, STRIPE_BYTES // (self.rows * size))
        for start in range(0, self.examples, stripe):
            held = self._between(start, min(start + stripe, self.examples))
            for first in range(0, held.shape[1], size):
                counts = held[:, first : first + size].astype(np.float64)
                yield slice(start + first, start + first + counts.shape[1]), counts

    def _between(self, start: int, stop: int) -> np.ndarray:
        """Return the counts of the examples ``start`` to ``stop``."""
        rng = np.random.default_rng(np.random.SeedSequence([self._seed, *b"resamples"]))
        # Bytes suffice: the odds of drawing an example 256 times are about 1 in 256!.
        counts = np.ones((self.rows, stop - start), np.uint8)
        for row in range(1, self.rows):
            drawn = rng.integers(self.examples, size=(self.examples,))
            if stop - start < self.examples:
                drawn = drawn[(drawn >= start) & (drawn < stop)] - start
            counts[row] = np.bincount(drawn, minlength=stop - start)
        return counts


class Means:
    """Means of features over subsets of the examples, in every resample, block by block."""

    def __init__(self) -> None:
        self._sums: np.ndarray | None = None

    def add(self, counts: np.ndarray, features: np.ndarray, where: np.ndarray) -> None:
        """Add a block of examples.

        Parameters
        ----------
        counts : ndarray of float64, shape (1 + resample, example)
        features : ndarray, shape (example, feature)
        where : ndarray of bool, shape (example, subset)
            Membership of each example in each subset.
        """
        with_one = np.column_stack([np.ones(len(features)), features])
        columns = where[:, :, None] * with_one[:, None, :]
        sums = counts @ columns.reshape(len(features), -1)
        sums = sums.reshape(len(counts), *columns.shape[1:])
        self._sums = sums if self._sums is None else self._sums + sums

    def values(self) -> np.ndarray:
        """Return the means, shape (1 + resample, subset, feature).

        NaN where a resample has no example of a subset.
        """
        assert self._sums is not None, "no example was added"
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._sums[..., 1:] / self._sums[..., :1]


class Averages:
    """Statistics that are a function of means.

    Parameters
    ----------
    finish : callable
        Returns the statistics, given the means of each part, (1 + resample, subset, feature).
    *parts : callable
        Each takes the block passed to `add`, such as a slice of examples, and returns the features,
        (example, feature), and the subsets, (example, subset), of its examples.
    """

    def __init__(
        self, finish: Callable[..., Any], *parts: Callable[..., tuple[np.ndarray, np.ndarray]]
    ) -> None:
        self._finish, self._parts = finish, [(part, Means()) for part in parts]

    def add(self, counts: np.ndarray, *block: Any) -> None:
        """Add a block of examples with their counts, (1 + resample, example)."""
        for part, means in self._parts:
            means.add(counts, *part(*block))

    def statistics(self) -> Any:
        """Return the result of ``finish`` on the means over all blocks added so far."""
        means = [of_part.values() for _, of_part in self._parts]
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._finish(*means)


def by_subset(
    columns: Callable[[Any], np.ndarray], of: Callable[[np.ndarray], dict[str, np.ndarray]]
) -> Averages:
    """Return `Averages` that apply ``of`` to each subset's means, (1 + resample, feature).

    A block is added as the argument of ``columns``, which returns its features, and the subsets,
    (example, subset). The statistics are a list with one dict per subset.
    """
    return Averages(
        lambda means: list(map(of, np.moveaxis(means, 1, 0))),
        lambda block, where: (columns(block), where),
    )


class Gathered(Protocol):
    """Statistics based on means, which are accumulated block by block."""

    def add(self, counts: np.ndarray, rows: slice, /) -> None:
        """Add the examples ``rows`` with their counts, (1 + resample, example)."""


def gather(resamples: Resamples, found: Iterable[Gathered], size: int = BLOCK) -> None:
    """Add all examples to each of ``found``, in blocks of ``size`` examples."""
    everything = list(found)
    for rows, counts in resamples.blocks(size):
        for one in everything:
            one.add(counts, rows)


def mean_of(found: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Average each statistic over ``found``; empty if ``found`` is empty."""
    return {name: np.mean([f[name] for f in found], 0) for name in found[0]} if found else {}
