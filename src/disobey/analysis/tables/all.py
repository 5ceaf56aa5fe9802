"""all.csv: every number of the study; the rows of the other tables, with common columns.

``table`` names the table with the same row; ``setting``, ``model``, ``split``, ``subset``,
``statistic`` and ``seed`` say which number it is, ``estimate``, ``low`` and ``high`` what it is,
``seeds`` and ``n`` how many seeds and examples it rests on. ``against`` is what a model is compared
with; ``layer``, ``rank`` and ``band`` say where in the weights, ``step`` and ``level`` where along
training. Rows of claims have ``claim``, ``reading``, ``null``, ``p`` and ``verdict`` as well. An
empty cell: does not apply.
"""

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
        Columns `COLUMNS`. ``seed`` is a seed, or ``mean`` over all of them with the 95 % interval
        ``low`` to ``high``. Rows of ``claims`` are means, and ``against`` is their placebo.
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
    return whole.astype(dict.fromkeys(("rank", "step", "class", "seeds", "n"), "Int64"))
