"""Settings whose analyses are real and whose logits are made: for figures of other readings."""

from functools import cache

import numpy as np
from synthetic_analyses import make_analyses

from disobey.analysis.names import REFERENCE, STUDENT, TEACHER
from disobey.analysis.setting import SplitLogits, analyse
from disobey.analysis.store import Analysis

EXAMPLES, CLASSES = {"train": 500, "test": 300}, 5
WRONG = 100


@cache
def _splits(seeds, labelled, reference):
    rng = np.random.default_rng(seeds)
    found = {}
    for split, examples in EXAMPLES.items():
        signal = 2 * rng.standard_normal((examples, CLASSES))
        clean = signal.argmax(1)
        label = clean.copy()
        if split == "train":
            label[:WRONG] = (clean[:WRONG] + 1) % CLASSES
        fitted = signal + 4 * np.eye(CLASSES)[label]
        scales = {TEACHER: (fitted, 1.0), REFERENCE: (fitted, 1.0), STUDENT: (signal, 1.3)}
        logits = {
            role: [scale * z + rng.standard_normal(z.shape) for _ in range(seeds)]
            for role, (z, scale) in scales.items()
            if reference or role != REFERENCE
        }
        labels = (label, clean) if labelled else (None, None)
        analysed = analyse(SplitLogits(logits, *labels), 20 * (split == "test"), 0)
        found[split] = analysed.assign_coords(seed=range(seeds))
    return found


def make_read(count=1, seeds=3, *, labelled=True, reference=True, splits=("train", "test")):
    """Return settings with long names that all have the same analysis."""
    of_splits = {name: _splits(seeds, labelled, reference)[name] for name in splits}
    return {
        name: Analysis(name, one.about, {k: v.copy(deep=True) for k, v in of_splits.items()})
        for name, one in make_analyses(count, 1).items()
    }
