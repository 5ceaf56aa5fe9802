"""What a loss compares the student's logits with; it lies on the device."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

# (student_logits (batch, class), index of the batch's examples (batch,), share of the cumulative
# learning rate that lies behind) -> scalar loss
Objective = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]


@dataclass(frozen=True)
class Targets:
    """Targets of all training examples.

    Attributes
    ----------
    label : Tensor of int64, shape (example,)
        The given labels.
    teacher_logits : Tensor of float32, shape (example, class), or None
        The teacher's stored logits, no temperature.
    """

    label: torch.Tensor
    teacher_logits: torch.Tensor | None = None
