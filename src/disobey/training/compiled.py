"""A model's forward pass through torch.compile, compiled once."""

from collections.abc import Callable

import torch
from torch import nn


def compiled_forward(
    model: nn.Module, batch: int, *, varying: bool
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what maps inputs to logits, as ``model`` does.

    The model itself stays as it is, so its weights are saved under their own names.

    Parameters
    ----------
    model : nn.Module
    batch : int
        How many examples a whole batch has. The last, smaller one of an epoch goes through the
        plain model: another compilation would cost more than it.
    varying : bool
        Whether inputs differ in length, as texts do; one compilation then serves all lengths.
    """
    compiled = torch.compile(model, dynamic=varying)

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = compiled(inputs) if len(inputs) == batch else model(inputs)
        return logits

    return forward
