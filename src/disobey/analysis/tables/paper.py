"""paper.csv: the accuracies that the paper reports beside ours."""

import math
from collections.abc import Mapping

import pandas as pd

from disobey.analysis.names import ALL, MODELS
from disobey.analysis.store import SPLITS, Analysis

COLUMNS = (
    "study", "setting", "model", "split", "statistic", "paper", "value", "low", "high",
    "seeds", "n",
)  # fmt: skip


def table(study: str, analyses: Mapping[str, Analysis]) -> pd.DataFrame:
    """Return the table.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`, accuracies as shares: ``paper`` as it is reported there, mostly of single
        runs; ``value`` our mean over seeds with its 95 % interval. Settings and splits of which the
        paper reports nothing are left out.
    """
    rows = [
        (study, name, model, split, "accuracy", reported, *_ours(analysis, model, split))
        for name, analysis in analyses.items()
        for split in SPLITS
        if split in analysis.splits
        for model in MODELS
        if not math.isnan(reported := analysis.paper_accuracy(model, split))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _ours(analysis: Analysis, model: str, split: str) -> tuple[float, float, float, int, int]:
    examples = analysis.splits[split].examples.sel(subset=ALL)
    numbers = analysis.number("accuracy", model, split)
    return (*numbers, examples.sizes["seed"], round(float(examples.mean())))
