"""A small residual network for small images: 28 x 28 becomes 14, 7, 4."""

import itertools
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from disobey.data.prepared import Prepared


def build(options: Mapping[str, Any], data: "Prepared") -> nn.Module:
    """Return a strided stem, a strided residual block per width, mean over pixels, classifier."""
    widths = [options["stem"], *options["widths"]]
    pairs = enumerate(itertools.pairwise(widths), 1)
    layers: dict[str, nn.Module] = {
        "stem": _convolution(data.train.inputs.shape[-1], widths[0], 3, stride=2),
        "relu": nn.ReLU(),
        **{f"block_{depth}": Block(before, width) for depth, (before, width) in pairs},
        "pool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "classifier": nn.Linear(widths[-1], len(data.class_names)),
    }
    return nn.Sequential(OrderedDict(layers))


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a strided 1 x 1 shortcut, each with batch normalisation."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        parts: dict[str, nn.Module] = {
            "first": _convolution(channels, width, 3, stride=2),
            "relu": nn.ReLU(),
            "second": _convolution(width, width, 3),
        }
        self.residual = nn.Sequential(OrderedDict(parts))
        self.shortcut = _convolution(channels, width, 1, stride=2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels, y, x) to (batch, width, y / 2, x / 2)."""
        return torch.relu(self.residual(inputs) + self.shortcut(inputs))


def _convolution(channels: int, width: int, size: int, stride: int = 1) -> nn.Sequential:
    parts: dict[str, nn.Module] = {
        "convolution": nn.Conv2d(channels, width, size, stride, size // 2, bias=False),
        "normalisation": nn.BatchNorm2d(width),
    }
    return nn.Sequential(OrderedDict(parts))
