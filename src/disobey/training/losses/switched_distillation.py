"""Distillation for a part of the training: its weight changes at the switch point."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from disobey.training.durations import steps_per_epoch
from disobey.training.losses.distillation import objective_of
from disobey.training.losses.targets import Objective, Targets
from disobey.training.schedules import learning_rates
from disobey.training.switch import distillation_weight, passed_before


def build(spec: Mapping[str, Any], targets: Targets) -> Objective:
    """Return the objective of a student that listens to its teacher at first, or later on."""
    how, recipe = spec["distill"], spec["recipe"]
    weight_of = partial(distillation_weight, how["weight"], how["switch"])
    if "unit" not in how["switch"]:
        return objective_of(spec, targets, weight_of)
    rates = learning_rates(recipe, steps_per_epoch(len(targets.label), recipe["batch"]))
    spent, passed = passed_before({}, rates), passed_before(how["switch"], rates)

    def weight_at(share: float) -> float:
        step = int(np.searchsorted(spent, share))  # a training tells its step by what it has spent
        return weight_of(float(passed[step]))

    return objective_of(spec, targets, weight_at)
