"""all.csv: every number of a study, tidy: the other tables below each other."""

from collections.abc import Mapping

import pandas as pd

from disobey.analysis.store import Analysis
from disobey.analysis.tables import accuracy, bias, claims, confidence, curves, gradients

# In this order; those without a row in the study are left out.
TABLES = {
    "accuracy": accuracy,
    "confidence": confidence,
    "bias": bias,
    "curves": curves,
    "gradients": gradients,
    "claims": claims,
}
# One name for what the tables call differently.
RENAMED = {"value": "estimate", "compared": "model", "of": "model"}
COLUMNS = (
    "study", "table", "setting", "model", "against", "layer", "seed", "split", "subset",
    "statistic", "claim", "reading", "rank", "eigenvalue", "band", "step", "level", "class",
    "estimate", "low", "high", "seeds", "n", "null", "side", "control", "p", "verdict",
)  # fmt: skip


def table(study: str, analyses: Mapping[str, Analysis]) -> pd.DataFrame:
    """Return one row per number.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`; a cell is empty where its column says nothing about the number.
        ``table`` names the table with the same row. ``seed`` is a seed, or ``mean`` over all of
        them with the 95 % interval ``low`` to ``high``. Rows of ``claims`` hold the numbers that
        decide a claim: ``mean`` again, with ``claim``, ``reading`` and ``verdict``; ``against`` is
        their placebo.
    """
    parts = []
    for name, module in TABLES.items():
        part = module.table(study, analyses)
        if name == "claims":
            part = part.assign(seed="mean").rename(columns={"placebo": "against"})
        if len(part):
            renamed = part.rename(columns=RENAMED).assign(table=name)
            parts.append(renamed.reindex(columns=list(COLUMNS)).dropna(axis="columns", how="all"))
    whole = pd.concat(parts, ignore_index=True).reindex(columns=list(COLUMNS))
    return whole.astype({name: "Int64" for name in ("rank", "step", "class", "seeds", "n")})
