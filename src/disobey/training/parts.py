"""Which modules of a training only some runs need: each is reached through a run's spec alone.

A run that does without one does not depend on its code. Nothing here imports them: the plan asks
too, and it does without torch.
"""

from collections.abc import Mapping
from typing import Any

from disobey.members import member


def loss_module(spec: Mapping[str, Any]) -> str:
    """Return the module of the loss of a run's spec."""
    if "distill" not in spec:
        return member("training.losses", "one_hot")
    switched = "switch" in spec["distill"]
    return member("training.losses", "switched_distillation" if switched else "distillation")


def progress_module(spec: Mapping[str, Any]) -> str | None:
    """Return the module that tracks progress along eigendirections; None where none is tracked."""
    return member("training", "progress") if "progress" in spec else None


def snapshots_module(spec: Mapping[str, Any]) -> str | None:
    """Return the module that keeps weights of earlier epochs; None where none are kept."""
    return member("training", "snapshots") if spec["recipe"].get("snapshots") else None


def modules_of(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return all modules that a run's spec names, but for its model's."""
    found = (loss_module(spec), progress_module(spec), snapshots_module(spec))
    return tuple(module for module in found if module is not None)
