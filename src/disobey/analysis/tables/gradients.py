"""gradients.csv: signs of either target, and cosines of weights with the true directions."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from disobey.analysis.gradients_store import COSINE, ENDS, MEAN_COSINE, ONE_HOT, SHARES
from disobey.analysis.names import STUDENT, TEACHER
from disobey.analysis.store import Analysis

COLUMNS = (
    "study", "setting", "seed", "of", "against", "class", "statistic",
    "value", "low", "high", "seeds",
)  # fmt: skip
Row = tuple[Any, ...]


def table(study: str, analyses: Mapping[str, Analysis]) -> pd.DataFrame:
    """Return one row per number of every setting whose data have true directions.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`; ``seed`` is a seed, or ``mean`` with the 95 % interval over seeds. Shares
        are ``of`` a target, cosines of a model; ``against`` says what is subtracted where two are
        compared, and ``class`` is empty where a number is over all classes.
    """
    rows = [
        (study, analysis.setting, *row)
        for analysis in analyses.values()
        if analysis.gradients is not None
        for row in _rows(analysis.gradients.data)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"class": "Int64"})


def _rows(data: xr.Dataset) -> Iterator[Row]:
    """Yield rows from ``seed`` on."""
    for share in SHARES:
        for target in map(str, data.target.values):
            yield from _over_seeds(data.sel(target=target), share, (target, "", None))
        yield from _over_seeds(data, f"{share}_difference", (TEACHER, ONE_HOT, None))
    for model in map(str, data.model.values):
        yield from _of_classes(data.sel(model=model), "", (model, ""))
    for control in map(str, data.control.values):
        yield from _of_classes(data.sel(control=control), "_difference", (STUDENT, control))


def _of_classes(here: xr.Dataset, suffix: str, pair: tuple[str, str]) -> Iterator[Row]:
    yield from _over_seeds(here, f"{MEAN_COSINE}{suffix}", (*pair, None))
    for k in range(here.sizes["class"]):
        yield from _over_seeds(here.isel({"class": k}), f"{COSINE}{suffix}", (*pair, k))


def _over_seeds(
    here: xr.Dataset, variable: str, place: tuple[str, str, int | None]
) -> Iterator[Row]:
    """Yield the rows of each seed and of their mean."""
    seeds = here.seed.values
    statistic = variable.removesuffix("_difference")
    for seed, value in zip(seeds, here[variable].values, strict=True):
        yield (str(seed), *place, statistic, float(value), np.nan, np.nan, 1)
    numbers = (float(here[f"{variable}_{end}"]) for end in ENDS)
    yield ("mean", *place, statistic, *numbers, len(seeds))
