"""bias.csv: matched-progress ratios of students and placebos, and what linear regression gives."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from disobey.analysis.bias_store import (
    BAND_DIFFERENCE,
    BAND_OVERALL,
    OF_NORMS,
    PAIRS_DRAWN,
    PAIRS_EXPECTED,
    Bias,
)
from disobey.analysis.names import REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import Analysis

COLUMNS = (
    "study", "setting", "layer", "seed", "compared", "against", "rank", "eigenvalue", "band",
    "statistic", "value", "low", "high", "seeds",
)  # fmt: skip
THEOREM = "linear regression"
# A statistic's name, its variable per seed, and what stands before the variables of its interval.
PER_DIRECTION = ("log_ratio", "log_ratio", "")
PER_MODEL = (("overall", "overall", "overall_"), ("trend", "trend", "trend_"))
STEPS = tuple(
    (f"steps_{side}_{end}", i, j)
    for i, side in enumerate(("compared", "against"))
    for j, end in enumerate(("begin", "end"))
)
ENDS = ("estimate", "low", "high")
# Rank, eigenvalue and band of a number over all directions.
NOWHERE = (None, np.nan, "")
Row = tuple[Any, ...]


def table(study: str, analyses: Mapping[str, Analysis]) -> pd.DataFrame:
    """Return one row per number of every bias analysis.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`; ``seed`` is a seed, or ``mean`` with the 95 % interval over seeds. What
        ``compared`` is held ``against`` is the reference, or for ``*_difference`` a placebo; the
        statistics of ``linear regression`` are its theory with the layer's spectrum. ``rank`` and
        ``eigenvalue`` are empty where a number is not of one direction, ``band`` where it is not a
        mean over a band of ranks. Steps are those that both had taken at the ends of the matched
        range. Pairs are counted against the teacher, of 15; see `disobey.analysis.pairs`.
    """
    rows = [
        (study, analysis.setting, layer, *row)
        for analysis in analyses.values()
        if analysis.bias is not None
        for layer, dataset in analysis.bias.layers.items()
        for row in _rows(analysis.bias, layer, dataset)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"rank": "Int64"})


def _rows(bias: Bias, layer: str, dataset: xr.Dataset) -> Iterator[Row]:
    """Yield rows from ``seed`` on."""
    for model in map(str, dataset.compared.values):
        here = dataset.sel(compared=model)
        pair = (model, REFERENCE)
        for k in range(dataset.sizes["direction"]):
            yield from _over_seeds(here.isel(direction=k), pair, *PER_DIRECTION)
        for names in PER_MODEL:
            yield from _over_seeds(here, pair, *names)
        yield from _bands(here, pair, "overall", BAND_OVERALL)
        yield from _steps(here, pair)
    for placebo in bias.placebos(layer):
        here = dataset.sel(placebo=placebo)
        pair = (STUDENT, placebo)
        for k in range(dataset.sizes["direction"]):
            one = here.isel(direction=k)
            yield from _over_seeds(one, pair, "log_ratio_difference", "difference", "difference_")
        name = "overall_difference"
        yield from _over_seeds(here, pair, name, name, f"{name}_")
        yield from _bands(here, pair, name, BAND_DIFFERENCE)
    yield from _pairs(dataset)
    yield from _theorem(dataset)


def _bands(here: xr.Dataset, pair: tuple[str, str], statistic: str, variable: str) -> Iterator[Row]:
    """Yield the means over bands of ranks in which any direction was tracked."""
    for band in map(str, here.band.values):
        one = here.sel(band=band)
        if one[variable].notnull().all():
            yield from _over_seeds(one, pair, statistic, variable, f"{variable}_", band)


def _pairs(dataset: xr.Dataset) -> Iterator[Row]:
    """Yield in how many pairs each model has learnt less than the teacher."""
    for name in (PAIRS_EXPECTED, PAIRS_DRAWN, OF_NORMS + PAIRS_EXPECTED, OF_NORMS + PAIRS_DRAWN):
        if name in dataset:
            for model in map(str, dataset.model.values):
                if model != TEACHER:
                    here = dataset[[name, *(f"{name}_{end}" for end in ENDS)]].sel(model=model)
                    yield from _over_seeds(here, (model, TEACHER), name, name, f"{name}_")


def _direction(dataset: xr.Dataset) -> tuple[Any, Any]:
    """Return rank and eigenvalue of a dataset's direction; nothing where it has all of them."""
    if "rank" not in dataset or "direction" in dataset.dims:
        return None, np.nan
    return int(dataset["rank"]), float(dataset.eigenvalue)


def _over_seeds(
    here: xr.Dataset,
    pair: tuple[str, str],
    statistic: str,
    variable: str,
    prefix: str,
    band: str = "",
) -> Iterator[Row]:
    """Yield the rows of each seed and of their mean."""
    seeds = here.seed.values
    place = (*_direction(here), band)
    for seed, value in zip(seeds, here[variable].values, strict=True):
        yield (str(seed), *pair, *place, statistic, float(value), np.nan, np.nan, 1)
    estimate, low, high = (float(here[f"{prefix}{end}"]) for end in ENDS)
    yield ("mean", *pair, *place, statistic, estimate, low, high, len(seeds))


def _steps(here: xr.Dataset, pair: tuple[str, str]) -> Iterator[Row]:
    """Yield steps seed by seed; their mean has no interval, since nothing is claimed of it."""
    seeds = here.seed.values
    for statistic, side, end in STEPS:
        values = here.steps.isel(side=side, end=end).values
        for seed, value in zip(seeds, values, strict=True):
            yield (str(seed), *pair, *NOWHERE, statistic, float(value), np.nan, np.nan, 1)
        mean = float(values.mean())
        yield ("mean", *pair, *NOWHERE, statistic, mean, np.nan, np.nan, len(seeds))


def _theorem(dataset: xr.Dataset) -> Iterator[Row]:
    """Yield what linear regression gives; it has neither seeds nor an interval."""
    nothing = (np.nan, np.nan, 0)
    for k in range(dataset.sizes["direction"]):
        one = dataset.isel(direction=k)
        value = float(one.theorem)
        yield ("mean", THEOREM, REFERENCE, *_direction(one), "", "log_ratio", value, *nothing)
    for statistic in ("overall", "trend"):
        value = float(dataset[f"theorem_{statistic}"])
        yield ("mean", THEOREM, REFERENCE, *NOWHERE, statistic, value, *nothing)
