"""Which modules of a training only some runs need: each is reached through a run's spec alone.

A run that does without one does not depend on its code. Nothing here imports them: the plan asks
too, and it does without torch.
"""

from collections.abc import Mapping
from typing import Any

from disobey.members import member
from disobey.training.losses.registry import loss_of


def loss_root(spec: Mapping[str, Any]) -> str | None:
    """Return ``module:function`` of the loss that a student's spec names; None for labels alone."""
    if "distill" not in spec:
        return None
    function = loss_of(spec["distill"]).function
    return f"{function.__module__}:{function.__name__}"


def switch_module(spec: Mapping[str, Any]) -> str | None:
    """Return the module of a loss's weight over the training; None where it is constant."""
    return member("training", "switch") if "switch" in spec.get("distill", ()) else None


def teacher_module(spec: Mapping[str, Any]) -> str | None:
    """Return the module of what a student sees of its teacher; None where it has none."""
    if "teacher" not in spec.get("distill", ()):
        return None
    if spec["distill"].get("live"):
        return member("training.teachers", "live")
    return member("training.teachers", "views" if "augment" in spec else "one_view")


def augmented_module(spec: Mapping[str, Any]) -> str | None:
    """Return the module of augmented inputs; None where each example has one view."""
    return member("training", "augmented") if "augment" in spec else None


def compiled_module(spec: Mapping[str, Any]) -> str | None:
    """Return the module that compiles the model; None where it runs as it is."""
    return member("training", "compiled") if spec["recipe"].get("compile") else None


def graphed_module(spec: Mapping[str, Any]) -> str | None:
    """Return the module that replays a step as a CUDA graph; None where the host launches it."""
    return member("training", "graphed") if spec["recipe"].get("cuda_graph") else None


def start_module(spec: Mapping[str, Any]) -> str | None:
    """Return the module that loads a checkpoint's weights; None where all weights are drawn."""
    return member("training", "pretrained_start") if "pretrained" in spec.get("model", ()) else None


def progress_module(spec: Mapping[str, Any]) -> str | None:
    """Return the module that tracks progress along eigendirections; None where none is tracked."""
    return member("training", "progress") if "progress" in spec else None


def evaluation_module(spec: Mapping[str, Any]) -> str | None:
    """Return the module that records accuracies along a training; None where none are."""
    return member("training", "evaluation") if spec["recipe"].get("evaluate") else None


def snapshots_module(spec: Mapping[str, Any]) -> str | None:
    """Return the module that keeps weights of earlier epochs; None where none are kept."""
    return member("training", "snapshots") if spec["recipe"].get("snapshots") else None


def encoded_module() -> str:
    """Return the module of images that are decoded batch by batch; only large ones need it."""
    return member("training", "encoded")


def modules_of(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return all modules that a run's spec names, but for its model's."""
    found = [loss_root(spec), switch_module(spec), progress_module(spec)]
    found += [evaluation_module(spec), snapshots_module(spec)]
    found += [augmented_module(spec), compiled_module(spec), start_module(spec)]
    found += [graphed_module(spec), teacher_module(spec)]
    return tuple(module for module in found if module is not None)
