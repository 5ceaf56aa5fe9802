"""The number of pairs of eigendirections that show the bias, which the paper judges by eye.

A pair consists of a leading direction (*top*) and a direction of small eigenvalue (*bottom*). The
paper (first version, C.4) draws 15 pairs and observes that the student approaches the teacher's
final progress along the top direction sooner than along the bottom one. Here a pair counts if, at
equal progress along the top direction, the compared model has made less progress along the bottom
one than the teacher: in the mean logarithm over levels between 10 and 90 % of the teacher's final
progress along the top direction [our choice]. A second model from the same distribution counts in
half of the pairs.
"""

from typing import NamedTuple

import numpy as np
import xarray as xr

from disobey.analysis.bias import (
    OF_NORMS,
    PAIR_LOG_RATIO,
    PAIRS_DRAWN,
    PAIRS_EXPECTED,
    at_first_passage,
    by_seed,
    from_start,
)
from disobey.analysis.intervals import names_along, over_seeds
from disobey.analysis.names import PAIRS, TEACHER
from disobey.seeds import stream

# Levels, as shares of the teacher's final progress along the top direction.
LEVELS = np.linspace(0.1, 0.9, 81)


class Pairs(NamedTuple):
    """The pairs of ranks to count; see the options ``pairs`` of a study.

    Top directions have ranks 1 to ``top``; bottom directions have the ranks from ``bottom[0]`` to
    ``bottom[1]``; ``seed`` is the seed of the draw.
    """

    top: int
    bottom: tuple[int, int]
    seed: int

    @property
    def tops(self) -> np.ndarray:
        """Ranks of all top directions."""
        return np.arange(1, self.top + 1)

    @property
    def bottoms(self) -> np.ndarray:
        """Ranks of all bottom directions."""
        return np.arange(self.bottom[0], self.bottom[1] + 1)

    def drawn(self) -> np.ndarray:
        """Return the ranks of the drawn pairs, (pair, 2); each direction is in at most one pair."""
        rng = stream(self.seed, "pairs")
        ranks = (self.tops, self.bottoms)
        return np.stack([rng.choice(of, PAIRS, replace=False) for of in ranks], axis=1)


def log_ratio_at_equal_top(
    compared: np.ndarray, teacher: np.ndarray, tops: np.ndarray, bottoms: np.ndarray
) -> np.ndarray:
    """Return the log ratio of progress along bottom directions at equal progress along top ones.

    Parameters
    ----------
    compared, teacher : ndarray, shape (point, direction)
        Progress, or norms of weights, beginning with the start of training. The recorded steps may
        differ.
    tops, bottoms : ndarray of int
        Indices of directions.

    Returns
    -------
    ndarray, shape (top, bottom)
        Mean of ln(compared / teacher) along the bottom direction over the `LEVELS` that both reach
        along the top one; NaN if there is no such level. Negative if the compared model has learnt
        less.
    """
    found = np.full((len(tops), len(bottoms)), np.nan)
    for i, top in enumerate(tops):
        start, end = teacher[0, top], teacher[-1, top]
        levels = start + LEVELS * (end - start)
        reached = levels <= compared[:, top].max()
        levels = levels[reached & (levels > max(start, compared[0, top]))]
        if len(levels):
            logs = [
                np.log(at_first_passage(path[:, bottoms], path[:, top], levels))
                for path in (compared, teacher)
            ]
            found[i] = (logs[0] - logs[1]).mean(0)
    return found


def counted(log_ratio: np.ndarray) -> np.ndarray:
    """Return 1 for pairs with a negative log ratio, 0 for pairs with a positive one.

    Pairs without a difference, or with NaN, count half.
    """
    return np.where(log_ratio < 0, 1.0, np.where(log_ratio > 0, 0.0, 0.5))


def count(log_ratio: np.ndarray, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of pairs in which the compared model has learnt less, shapes (...).

    The first array is the mean over all possible draws, the second the count in the drawn pairs.
    ``log_ratio`` contains all pairs, (..., top, bottom).
    """
    less = counted(log_ratio)
    top, bottom = (pairs.drawn() - [1, pairs.bottom[0]]).T
    return PAIRS * less.mean((-2, -1)), less[..., top, bottom].sum(-1)


def analyse_pairs(layer: xr.Dataset, pairs: Pairs, *, same_start: bool) -> xr.Dataset:
    """Count pairs of every model against the teacher in each seed; see `Bias`.

    ``layer`` is the result of `disobey.analysis.bias.recorded`; it must include the teacher and
    every rank of ``pairs``. Norms are counted only if all models have the teacher's initialisation
    (``same_start``).
    """
    paths = {"": np.array([[from_start(one) for one in of] for of in layer.progress.values])}
    if same_start:
        start = layer.norm_start.values[:, :, None]
        paths[OF_NORMS] = np.concatenate([start, layer.norm.values], axis=2)
    tops, bottoms = (np.searchsorted(layer["rank"], of) for of in (pairs.tops, pairs.bottoms))
    teacher = names_along(layer, "model").index(TEACHER)
    top, bottom = pairs.drawn().T
    found = xr.Dataset({"pair_top": ("pair", top), "pair_bottom": ("pair", bottom)})
    for prefix, of_models in paths.items():
        log_ratio = by_seed(
            lambda one, its_teacher: log_ratio_at_equal_top(one, its_teacher, tops, bottoms),
            of_models,
            of_models[teacher],
        )
        of_drawn = log_ratio[..., top - 1, bottom - pairs.bottom[0]]
        found[prefix + PAIR_LOG_RATIO] = ("model", "seed", "pair"), of_drawn
        for name, counts in zip(
            (PAIRS_EXPECTED, PAIRS_DRAWN), count(log_ratio, pairs), strict=True
        ):
            called = f"{prefix}{name}"
            counts[teacher] = np.nan
            found[called] = ("model", "seed"), counts
            # A t interval may exceed the possible counts, so it is clipped.
            found = found.assign(over_seeds(found[called], f"{called}_", (0, PAIRS)))
    return found
