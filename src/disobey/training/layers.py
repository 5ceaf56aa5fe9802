"""The layers of a model, by their names."""

import torch
from torch import nn

from disobey.errors import UserError


def weight_of(model: nn.Module, layer: str) -> nn.Parameter:
    """Return the weights of a layer, at least a matrix.

    Raises
    ------
    UserError
        When there is no such layer or it has no matrix of weights; names those that have.
    """
    modules = dict(model.named_modules())
    weight = getattr(modules.get(layer), "weight", None)
    if not isinstance(weight, nn.Parameter) or weight.dim() < 2:
        fitting = [n for n, m in modules.items() if getattr(m, "weight", torch.zeros(1)).dim() > 1]
        raise UserError(
            f"layer '{layer}' has no matrix of weights to track; this model has: "
            f"{', '.join(fitting)}"
        )
    return weight
