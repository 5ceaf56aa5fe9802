"""Synthetic settings with label noise: believed labels of mislabelled and of clean points."""

import numpy as np
from synthetic_analyses import make_analyses

from disobey.analysis.names import CLEAN, EFFECT, MISLABELLED, REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import Analysis

GIVEN, BEFORE_NOISE = "given_label_confidence", "clean_label_confidence"

COUNTS = {MISLABELLED: 800, CLEAN: 3_200}
BELIEVED = {
    (GIVEN, MISLABELLED): {TEACHER: 0.62, REFERENCE: 0.58, STUDENT: 0.41},
    (BEFORE_NOISE, MISLABELLED): {TEACHER: 0.31, REFERENCE: 0.33, STUDENT: 0.45},
    (GIVEN, CLEAN): {TEACHER: 0.95, REFERENCE: 0.94, STUDENT: 0.93},
    (BEFORE_NOISE, CLEAN): {TEACHER: 0.95, REFERENCE: 0.94, STUDENT: 0.93},
}


def make_noisy(count: int = 1, seeds: int = 3) -> dict[str, Analysis]:
    """Settings in which the student believes wrong labels less."""
    analyses = make_analyses(count, seeds)
    for salt, analysis in enumerate(analyses.values()):
        data = analysis.splits["train"]
        for subset, examples in COUNTS.items():
            data["examples"].loc[{"subset": subset}] = examples
        for (statistic, subset), models in BELIEVED.items():
            of_models = models | {EFFECT: models[STUDENT] - models[REFERENCE]}
            for model, value in of_models.items():
                _put(data, salt, statistic, model, subset, value)
    return analyses


def _put(data, salt, statistic, model, subset, value):
    rng = np.random.default_rng([salt, len(model), len(subset)])
    place = {"statistic": statistic, "model": model, "subset": subset}
    each = value + 0.01 * rng.standard_normal(data.sizes["seed"])
    half = 0.02 if data.sizes["seed"] > 1 else np.nan
    data["value"].loc[place] = each
    middle = each.mean()
    for name, number in (("estimate", middle), ("low", middle - half), ("high", middle + half)):
        data[name].loc[place] = number
