"""What a loss compares the student's logits with; it lies on the device."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

# (student_logits (batch, class), index of the batch's examples (batch,), share of the cumulative
# learning rate that lies behind) -> scalar loss
Objective = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]


class Teacher(Protocol):
    """What a student sees of its teacher, wherever that comes from."""

    def look(self, inputs: torch.Tensor) -> None:
        """See what the student is shown of a batch, before the teacher is asked about it."""

    def __call__(self, index: torch.Tensor) -> torch.Tensor:
        """Return float32 logits (batch, class), no temperature, of what ``index`` shows now."""

    def show(self, slab: int) -> None:
        """Let each example show its view of a slab from now on; see `disobey.data.views`."""


@dataclass(frozen=True)
class Targets:
    """Targets of all training examples.

    Attributes
    ----------
    label : Tensor of int64, shape (example,)
        The given labels.
    teacher : Teacher or None
        Of a student.
    """

    label: torch.Tensor
    teacher: Teacher | None = None
