"""Tidy rows: one number a row."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from disobey.analysis.store import Analysis

COLUMNS = (
    "study", "setting", "model", "seed", "split", "subset", "statistic",
    "value", "low", "high", "seeds", "n",
)  # fmt: skip


def tidy(study: str, analyses: Mapping[str, Analysis], statistics: Sequence[str]) -> pd.DataFrame:
    """Return every value of ``statistics``, per seed and over seeds.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`; ``seed`` is a seed, or ``mean`` over all of them with the 95 % interval
        ``low`` to ``high``; ``seeds`` how many seeds, ``n`` how many examples (their mean over
        seeds, the subset as the student's own teacher cuts it) stand behind the value. Statistics
        without a value are left out.
    """
    rows = [
        row
        for setting, analysis in analyses.items()
        for split, dataset in analysis.splits.items()
        for row in _rows(dataset.sel(statistic=list(statistics)), (study, setting, split))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(dataset: Any, place: tuple[str, str, str]) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    study, setting, split = place
    seeds = dataset.seed.values
    examples = dataset.examples.values
    axes = {name: list(dataset[name].values) for name in ("subset", "statistic", "model")}
    order = ("subset", "statistic", "model")
    value = dataset.value.transpose(*order, "seed").values
    pooled = {name: dataset[name].transpose(*order).values for name in ("estimate", "low", "high")}
    for cell in np.ndindex(value.shape[:-1]):
        if not np.isfinite(pooled["estimate"][cell]):
            continue
        subset, statistic, model = (axes[name][i] for name, i in zip(order, cell, strict=True))
        head = (study, setting, model)
        body = (split, subset, statistic)
        n = examples[cell[0]]
        for i, seed in enumerate(seeds):
            yield (*head, str(seed), *body, value[cell][i], np.nan, np.nan, 1, int(n[i]))
        low, high = pooled["low"][cell], pooled["high"][cell]
        mean = pooled["estimate"][cell]
        yield (*head, "mean", *body, mean, low, high, len(seeds), round(float(n.mean())))
