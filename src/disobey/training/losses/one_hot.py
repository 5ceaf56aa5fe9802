"""Cross-entropy with the given labels: teachers and references."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from disobey.training.losses.targets import Objective, Targets


def one_hot(
    student_logits: torch.Tensor, label: torch.Tensor, smoothing: float = 0.0
) -> torch.Tensor:
    """Return CE(label, student), averaged over the batch, in float32.

    Parameters
    ----------
    student_logits : Tensor, shape (batch, class)
    label : Tensor of int64, shape (batch,)
    smoothing : float
        Share of the target that is spread over all classes.
    """
    return functional.cross_entropy(student_logits.float(), label, label_smoothing=smoothing)


def build(spec: Mapping[str, Any], targets: Targets) -> Objective:
    """Return the objective of a run without a teacher."""
    smoothing = spec["recipe"].get("label_smoothing", 0.0)
    return lambda logits, index, _: one_hot(logits, targets.label[index], smoothing)
