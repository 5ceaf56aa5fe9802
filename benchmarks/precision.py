"""Effect of bf16, compared with float32, in the study workflow/studies/precision.yaml.

    snakemake --cores all --configfile workflow/studies/precision.yaml
    python -m benchmarks.precision

Numbers are means over seeds on the test set. 'in spreads' is the difference between both means in
standard deviations over seeds (pooled over both); two draws of three seeds often differ by 1.
"""

import statistics
import sys
from pathlib import Path

import pandas as pd

from benchmarks.common import report
from disobey.errors import UserError

TABLES = Path("results/precision/tables")
PRECISIONS = ("float32", "bf16")
SHOWN = (
    ("accuracy", "teacher", "accuracy"),
    ("accuracy", "student", "accuracy"),
    ("confidence", "student", "exaggeration"),
    ("confidence", "student", "gap_decile_1"),
    ("confidence", "student", "gap_decile_10"),
    ("confidence", "student", "inheritance"),
)


def by_seed(table: pd.DataFrame, setting: str, model: str, statistic: str) -> list[float]:
    """Return one number per seed, on all test examples."""
    rows = table[
        (table.setting == setting) & (table.model == model) & (table.statistic == statistic)
        & (table.split == "test") & (table.subset == "all") & (table.seed != "mean")
    ]  # fmt: skip
    return [float(value) for value in rows.value]


def main() -> None:
    """Print one table: a row per setting and statistic."""
    if not TABLES.is_dir():
        raise UserError(f"{TABLES}: is not there; run the study first, see the head of this file")
    tables = {name: pd.read_csv(TABLES / f"{name}.csv", dtype={"seed": str})
              for name in ("accuracy", "confidence")}  # fmt: skip
    names = tables["accuracy"].setting.unique()
    rows = []
    for name in (name.removesuffix("-bf16") for name in names if name.endswith("-bf16")):
        for table, model, statistic in SHOWN:
            first, second = (
                by_seed(tables[table], f"{name}-{precision}", model, statistic)
                for precision in PRECISIONS
            )
            difference = statistics.mean(second) - statistics.mean(first)
            spread = ((statistics.variance(first) + statistics.variance(second)) / 2) ** 0.5
            rows.append(
                {
                    "setting": name,
                    "model": model,
                    "statistic": statistic,
                    "float32": f"{statistics.mean(first):.4f}",
                    "bf16": f"{statistics.mean(second):.4f}",
                    "difference": f"{difference:+.4f}",
                    "in spreads": f"{difference / spread:+.2f}",
                }
            )
    report("precision", "float32 and bf16, test set, mean over the seeds", rows)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
