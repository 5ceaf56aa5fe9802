"""Residual networks for 32 x 32 images (He et al. 2015, section 4.2): depth 6n + 2."""

import itertools
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from disobey.data.prepared import Prepared


def build(options: Mapping[str, Any], data: "Prepared") -> nn.Module:
    """Return a 3 x 3 stem, n residual blocks in each stage, mean over pixels, and classifier.

    Each stage after the first halves the image. If the shape changes, the shortcut is a 1 x 1
    convolution, as in most public code for distillation; He et al. pad with zeros.
    """
    widths, depth = options["widths"], options["depth"]
    block = PreActivationBlock if options.get("pre_activation") else Block
    layers: dict[str, nn.Module] = {"stem": _stem(data.train.inputs.shape[-1], widths[0], block)}
    for stage, (before, width) in enumerate(itertools.pairwise([widths[0], *widths]), 1):
        first = block(before, width, 1 if stage == 1 else 2)
        blocks = [first, *(block(width, width, 1) for _ in range((depth - 2) // 6 - 1))]
        layers[f"stage_{stage}"] = nn.Sequential()
        for number, part in enumerate(blocks, 1):
            layers[f"stage_{stage}"].add_module(f"block_{number}", part)
    if block is PreActivationBlock:
        layers["normalisation"] = nn.BatchNorm2d(widths[-1])
        layers["relu"] = nn.ReLU(inplace=True)
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(widths[-1], len(data.class_names))
    model = nn.Sequential(OrderedDict(layers))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


class Block(nn.Module):
    """Two convolutions, each with batch normalisation, beside the shortcut; ReLU after the sum."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(channels, width, 3, stride)
        self.second = _convolution(width, width, 3)
        changes = stride != 1 or channels != width
        self.shortcut = _convolution(channels, width, 1, stride) if changes else nn.Identity()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels, y, x) to (batch, width, y / stride, x / stride)."""
        residual = self.second(torch.relu_(self.first(inputs)))
        return torch.relu_(residual + self.shortcut(inputs))


class PreActivationBlock(nn.Module):
    """Normalisation and ReLU before each convolution (He et al. 2016); nothing after the sum."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.normalisation_1 = nn.BatchNorm2d(channels)
        self.convolution_1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.normalisation_2 = nn.BatchNorm2d(width)
        self.convolution_2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        changes = stride != 1 or channels != width
        self.shortcut = nn.Conv2d(channels, width, 1, stride, bias=False) if changes else None

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels, y, x) to (batch, width, y / stride, x / stride)."""
        active = torch.relu_(self.normalisation_1(inputs))
        residual = self.convolution_1(active)
        residual = self.convolution_2(torch.relu_(self.normalisation_2(residual)))
        # A shortcut that changes the shape uses the block's first activation as its input.
        return residual + (inputs if self.shortcut is None else self.shortcut(active))


def _stem(channels: int, width: int, block: type[nn.Module]) -> nn.Sequential:
    if block is PreActivationBlock:
        parts = {"convolution": nn.Conv2d(channels, width, 3, 1, 1, bias=False)}
        return nn.Sequential(OrderedDict(parts))
    return _convolution(channels, width, 3).append(nn.ReLU(inplace=True))


def _convolution(channels: int, width: int, size: int, stride: int = 1) -> nn.Sequential:
    parts: dict[str, nn.Module] = {
        "convolution": nn.Conv2d(channels, width, size, stride, size // 2, bias=False),
        "normalisation": nn.BatchNorm2d(width),
    }
    return nn.Sequential(OrderedDict(parts))
