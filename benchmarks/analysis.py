"""(f): time and memory of the confidence analysis as examples and classes grow.

    python -m benchmarks.analysis [examples ...]

The real stage runs in its own process over simulated logit stores of three seeds: it verifies every
store, reads it in blocks and resamples the test examples a thousand times. The last row is
resampling only: 20 statistics of 10,000 examples. Stores are in a temporary folder; the largest
take about 2 GB.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import report
from benchmarks.logit_stores import ROLES, run_stage, write_stores
from disobey.analysis.resampling import Means, Resamples

EXAMPLES = (5_000, 50_000, 500_000)
CLASSES = (10, 100)
SEEDS, RESAMPLES = 3, 1000
TEST_SHARE = 10  # training examples per test example
RESAMPLED, STATISTICS = 10_000, 20


def stage(examples: int, classes: int) -> tuple[float, float]:
    """Return user CPU seconds and peak memory, in MB, of one stage."""
    sizes = {"train": examples, "test": examples // TEST_SHARE}
    with tempfile.TemporaryDirectory() as folder:
        manifests = write_stores(Path(folder), SEEDS, sizes, classes)
        return run_stage(Path(folder), manifests, SEEDS, RESAMPLES)


def resampling(examples: int = RESAMPLED) -> float:
    """Return user CPU seconds of drawing resamples and computing their means of 20 columns."""
    columns = np.random.default_rng(0).normal(size=(examples, STATISTICS))
    everything = np.ones((examples, 1), bool)
    means, started = Means(), os.times().user
    for rows, counts in Resamples(examples, RESAMPLES, 0).blocks():
        means.add(counts, columns[rows], everything[rows])
    means.values()
    return os.times().user - started


def main(numbers: Sequence[int]) -> None:
    """Print one table: a row per number of classes and examples, and one for resampling only."""
    rows = []
    for classes in CLASSES:
        for examples in numbers:
            seconds, peak = stage(examples, classes)
            logits = (examples + examples // TEST_SHARE) * SEEDS * len(ROLES)
            rows.append(
                {
                    "what": "stage",
                    "training + test examples": f"{examples:,} + {examples // TEST_SHARE:,}",
                    "classes": classes,
                    "logits MB": 4 * logits * classes / 2**20,
                    "user s": seconds,
                    "rows of logits/s": logits / seconds,
                    "peak MB": peak,
                }
            )
    seconds = resampling()
    rows.append(
        {
            "what": f"resampling of {STATISTICS} statistics",
            "training + test examples": f"0 + {RESAMPLED:,}",
            "classes": "",
            "logits MB": "",
            "user s": seconds,
            "rows of logits/s": "",
            "peak MB": "",
        }
    )
    title = f"Confidence analysis, {SEEDS} seeds, {RESAMPLES:,} resamples of the test examples"
    report("analysis", f"{title}, one thread", rows)


if __name__ == "__main__":
    main([int(number) for number in sys.argv[1:]] or EXAMPLES)
