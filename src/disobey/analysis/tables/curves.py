"""curves.csv: accuracies along training, and students compared where train accuracies are equal."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from disobey.analysis.curves_store import (
    EQUAL_ACCURACY,
    FINAL_TEST,
    FINAL_TRAIN,
    LOG_STEPS_RATIO,
)
from disobey.analysis.names import REFERENCE, STUDENT
from disobey.analysis.store import Analysis

COLUMNS = (
    "study", "setting", "seed", "compared", "against", "step", "level", "statistic",
    "value", "low", "high", "seeds",
)  # fmt: skip
ALONG = ("train_accuracy", "test_accuracy")
AT_LEVEL = ("test_at_level", "steps_at_level")
FINAL = (FINAL_TRAIN, FINAL_TEST)
PAIRED = (EQUAL_ACCURACY, LOG_STEPS_RATIO)
Row = tuple[Any, ...]


def table(study: str, analyses: Mapping[str, Analysis]) -> pd.DataFrame:
    """Return one row per number of every setting with curves.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`; ``seed`` is a seed, or ``mean`` with the 95 % interval over seeds, which
        is of trainings judged by one test set. ``against`` is the reference or a placebo where two
        models are compared, and empty elsewhere; ``step`` and ``level`` (of train accuracy) say
        where along the training a number was taken.
    """
    rows = [
        (study, analysis.setting, *row)
        for analysis in analyses.values()
        if analysis.curves is not None
        for row in _rows(analysis.curves.data)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"step": "Int64"})


def _rows(data: xr.Dataset) -> Iterator[Row]:
    """Yield rows from ``seed`` on."""
    for model in map(str, data.model.values):
        here = data.sel(model=model)
        yield from _along(here, model)
        for statistic in FINAL:
            yield from _over_seeds(here, (model, ""), statistic)
    for model in map(str, data.compared.values):
        for statistic in PAIRED:
            yield from _over_seeds(data.sel(compared=model), (model, REFERENCE), statistic)
    for placebo in data.placebo.values if "placebo" in data.coords else ():
        for statistic in PAIRED:
            here = data.sel(placebo=placebo)
            yield from _over_seeds(here, (STUDENT, str(placebo)), statistic, "_difference")


def _along(here: xr.Dataset, model: str) -> Iterator[Row]:
    """Yield what each seed was at each recorded step, then at each level that it reaches."""
    for seed in here.seed.values:
        of_seed = here.sel(seed=seed)
        recorded = of_seed.step.notnull().values
        for statistic in ALONG:
            values = zip(of_seed.step.values, of_seed[statistic].values, recorded, strict=True)
            for step, value, known in values:
                if known:
                    yield _of_seed(seed, model, step, np.nan, statistic, value)
        for statistic in AT_LEVEL:
            for level, value in zip(of_seed.level.values, of_seed[statistic].values, strict=True):
                if np.isfinite(value):
                    yield _of_seed(seed, model, None, level, statistic, value)


def _of_seed(
    seed: int, model: str, step: float | None, level: float, statistic: str, value: float
) -> Row:
    at = None if step is None else int(step)
    return (str(seed), model, "", at, level, statistic, float(value), np.nan, np.nan, 1)


def _over_seeds(
    here: xr.Dataset, pair: tuple[str, str], statistic: str, suffix: str = ""
) -> Iterator[Row]:
    """Yield the rows of each seed and of their mean."""
    variable = f"{statistic}{suffix}"
    seeds, place = here.seed.values, (None, np.nan, statistic)
    for seed, value in zip(seeds, here[variable].values, strict=True):
        yield (str(seed), *pair, *place, float(value), np.nan, np.nan, 1)
    numbers = (float(here[f"{variable}_{end}"]) for end in ("estimate", "low", "high"))
    yield ("mean", *pair, *place, *numbers, len(seeds))
