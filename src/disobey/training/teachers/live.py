"""A teacher that is run in every step, where its views are too many to be stored."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from disobey.data.prepared import Prepared
from disobey.training.inputs import Inputs
from disobey.training.predictions import trained_model

if TYPE_CHECKING:
    from disobey.job import Job


class LiveTeacher:
    """A trained model in evaluation mode, in float32, as stored logits are made.

    Parameters
    ----------
    model : nn.Module
        On the device; it is frozen here and cannot be put into training mode again.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model.eval().requires_grad_(False)
        self._seen: torch.Tensor | None = None
        for module in model.modules():
            module.train = _refuse  # type: ignore[assignment]

    def look(self, inputs: torch.Tensor) -> None:
        """See a batch as the student does: the same tensor."""
        self._seen = inputs

    @torch.no_grad()
    def __call__(self, index: torch.Tensor) -> torch.Tensor:
        """Return the logits of the examples ``index``, those of the batch that was looked at."""
        if self._seen is None or len(self._seen) != len(index):
            raise RuntimeError("a live teacher is asked about another batch than it has seen")
        logits: torch.Tensor = self._model(self._seen)
        return logits

    def show(self, slab: int) -> None:
        """Do nothing: the inputs show another view, and the teacher sees the same."""


def _refuse(mode: bool = True) -> None:
    if mode:
        raise RuntimeError("a teacher stays in evaluation mode: its statistics are not to move")


def build(job: "Job", data: Prepared, inputs: Inputs, device: torch.device) -> LiveTeacher:
    """Return the teacher that a student's spec names, out of its weights."""
    del inputs
    trained = job.input(job.spec["distill"]["teacher"], "train")
    return LiveTeacher(trained_model(trained, data, device, job.inputs))
