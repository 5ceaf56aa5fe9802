"""Information that soft labels leak about unseen examples, and memory of seen examples.

Where a setting has a ``student_share``, student and reference are trained on a part of their
teacher's training examples. These statistics are computed on the split ``held_out``: the remaining
examples, whose given labels only the teacher was trained on. Some are relative to the seen ones.
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
# Statistics from which these are computed: mean probability of the given label, share of examples
# where it is predicted.
GIVEN, TOP1, BEFORE_NOISE = "given_label_confidence", "accuracy", "clean_label_confidence"

# The leak is the student's value minus the reference's, which has the same labels and seeds.
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
        By subset; already filled with the statistics of quality.
    row, models : mapping of str to int
        Positions of the statistics, and of the models that did not see the examples. A teacher saw
        all examples, so neither its leak nor its memory is defined.
    seen : xarray.Dataset
        The analysis of the seen examples. These are treated as the population: only held-out
        examples are resampled.
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
