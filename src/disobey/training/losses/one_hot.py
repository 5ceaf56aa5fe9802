"""Cross-entropy with the given labels: teachers and references."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from disobey.training.losses.targets import Objective, Targets


def one_hot(
    student_logits: torch.Tensor,
    label: torch.Tensor,
    smoothing: float = 0.0,
    temperature: float = 1.0,
) -> torch.Tensor:
    """Return T^2 CE(label, softmax(student / T)), averaged over the batch, in float32.

    Parameters
    ----------
    student_logits : Tensor, shape (batch, class)
    label : Tensor of int64, shape (batch,)
    smoothing : float
        Share of the target that is spread over all classes.
    temperature : float
        T, above 0.
    """
    softened = student_logits.float() / temperature
    given = functional.cross_entropy(softened, label, label_smoothing=smoothing)
    return temperature**2 * given


def build(spec: Mapping[str, Any], targets: Targets) -> Objective:
    """Return the objective of a run without a teacher."""
    recipe = spec["recipe"]
    how = recipe.get("label_smoothing", 0.0), recipe.get("one_hot_temperature", 1.0)
    return lambda logits, index, _: one_hot(logits, targets.label[index], *how)
