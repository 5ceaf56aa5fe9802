"""Leak of soft labels about examples that a student did not see, and memory of seen examples.

Where a setting has a ``student_share``, student and reference are trained on a part of the training
examples of their teacher. These statistics are of the split ``held_out``, the other examples, whose
given labels the teacher alone was trained on; some are relative to the seen ones.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from disobey.analysis.names import (
    MISLABELLED,
    PROBABILITY,
    PROBABILITY_DIFFERENCE,
    SHARE,
    SHARE_DIFFERENCE,
    UNJUDGED,
    Statistic,
)

LEAK, LEAK_TOP1, LEAK_EXCESS = "leak", "leak_top1", "leak_excess"
MEMORY, MEMORY_TOP1 = "memory", "memory_top1"
# Statistics that these are made of: mean probability of the given label, share that predicts it.
GIVEN, TOP1, BEFORE_NOISE = "given_label_confidence", "accuracy", "clean_label_confidence"

# The leak is the student's number minus the reference's, whose labels and seeds are the same.
LEAK_AND_MEMORY = (
    Statistic(
        LEAK, "mean p of the given label, at mislabelled examples that m did not see", PROBABILITY,
        symbol="L", label="leak",
    ),
    Statistic(LEAK_TOP1, "how many of these m puts into the class of their given label", SHARE),
    Statistic(
        LEAK_EXCESS, "leak - (1 - mean p of the label before noise) / (K - 1): 0 on average for a "
        "model that cannot tell the given label from other wrong ones", PROBABILITY_DIFFERENCE,
    ),
    Statistic(
        MEMORY, "mean p of the given label at examples that m saw, minus that at examples of the "
        "same subset that were held out", PROBABILITY_DIFFERENCE, symbol="mem", label="memory",
    ),
    Statistic(
        MEMORY_TOP1, "the same of the share that m puts into the class of their given label",
        SHARE_DIFFERENCE,
    ),
)  # fmt: skip


def enter_held_out(
    tables: Mapping[str, np.ndarray],
    row: Mapping[str, int],
    models: Mapping[str, int],
    seen: xr.Dataset,
    classes: int,
) -> None:
    """Enter `LEAK_AND_MEMORY` into the tables of the held-out examples.

    Parameters
    ----------
    tables : mapping of str to ndarray, shape (statistic, model, seed, 1 + resample)
        By subset; they hold the statistics of quality.
    row, models : mapping of str to int
        Positions of statistics, and of the models to which the examples are held out. A teacher saw
        all: it has no leak, and no memory that could be told from how it treats any example.
    seen : xarray.Dataset
        The analysis of the seen examples. They are the population: only held-out examples are
        resampled.
    classes : int
    """
    places = list(models.values())
    leaked = tables[MISLABELLED]
    for name, of in ((LEAK, GIVEN), (LEAK_TOP1, TOP1)):
        leaked[row[name], places] = leaked[row[of], places]
    chance = (1 - leaked[row[BEFORE_NOISE], places]) / (classes - 1)
    leaked[row[LEAK_EXCESS], places] = leaked[row[GIVEN], places] - chance
    for subset in UNJUDGED:
        for name, of in ((MEMORY, GIVEN), (MEMORY_TOP1, TOP1)):
            known = seen.value.sel(statistic=of, subset=subset, model=list(models))
            fitted = known.transpose("model", "seed").values[..., None]
            tables[subset][row[name], places] = fitted - tables[subset][row[of], places]
