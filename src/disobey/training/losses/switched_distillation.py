"""Distillation for a part of the training: its weight changes at the switch point."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from disobey.training.losses.distillation import objective_of
from disobey.training.losses.targets import Objective, Targets
from disobey.training.switch import distillation_weight


def build(spec: Mapping[str, Any], targets: Targets) -> Objective:
    """Return the objective of a student that listens to its teacher at first, or later on."""
    how = spec["distill"]
    return objective_of(spec, targets, partial(distillation_weight, how["weight"], how["switch"]))
