"""Bootstrap by weights: a resample is a vector of counts, a statistic a function of means.

Every statistic here is a function of means of features over examples. With the counts of all
resamples in one matrix, the means of all resamples are one matrix product; the first row counts
every example once and gives the estimate itself, by the same code.
"""

import numpy as np


class Resamples:
    """Counts of each example in the full sample (row 0) and in every resample.

    Parameters
    ----------
    counts : ndarray of float64, shape (1 + resample, example)

    Notes
    -----
    Quantile bins and class means are those of the full sample in all rows [our choice]: what is
    resampled is which examples a fixed statistic is averaged over.
    """

    def __init__(self, counts: np.ndarray) -> None:
        self.counts = counts

    @classmethod
    def draw(cls, examples: int, resamples: int, seed: int) -> "Resamples":
        """Draw resamples of all examples with replacement; 0 of them keep the full sample only."""
        rng = np.random.default_rng(np.random.SeedSequence([seed, *b"resamples"]))
        counts = np.ones((1 + resamples, examples))
        for row in range(1, 1 + resamples):
            counts[row] = np.bincount(rng.integers(examples, size=examples), minlength=examples)
        return cls(counts)

    def means(self, features: np.ndarray, where: np.ndarray) -> np.ndarray:
        """Return the means of ``features`` over the examples ``where``, in every row.

        Parameters
        ----------
        features : ndarray, shape (example, feature)
        where : ndarray of bool, shape (example,)

        Returns
        -------
        ndarray, shape (1 + resample, feature)
            NaN where a resample has no such example.
        """
        columns = np.column_stack([where, features * where[:, None]]).astype(np.float64)
        sums = self.counts @ columns
        with np.errstate(invalid="ignore", divide="ignore"):
            return sums[:, 1:] / sums[:, :1]
