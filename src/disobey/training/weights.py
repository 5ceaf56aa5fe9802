"""Weights of models: moving to a device, and saving and loading as safetensors, never pickles."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from disobey.errors import UserError


def for_device(model: nn.Module, device: torch.device, precision: str = "fp32") -> nn.Module:
    """Move a model to the device, in the fastest memory format for its convolutions.

    The format is channels-last, as for images, except in float32 on a GPU, where cuDNN without TF32
    is slower in that format (pytorch/pytorch#44943).
    """
    if not any(isinstance(module, nn.Conv2d) for module in model.modules()):
        return model.to(device)
    if device.type == "cuda" and precision == "fp32":
        model.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))
        return model.to(device)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.to(device)


def save_weights(model: nn.Module, path: Path) -> None:
    """Save parameters and buffers, in float32 and plain layout."""
    state = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, path)


def load_weights(model: nn.Module, path: Path) -> None:
    """Load weights saved by `save_weights`; every name and shape must match."""
    model.load_state_dict(load_file(path))


def weight_of(model: nn.Module, layer: str) -> nn.Parameter:
    """Return the weights of a layer, which have two or more dimensions.

    Raises
    ------
    UserError
        If the layer does not exist or has no weight matrix; the message lists the layers with one.
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
