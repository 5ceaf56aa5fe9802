"""MobileNetV2 (Sandler et al. 2018, table 2): inverted residuals around depthwise convolutions."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from disobey.data.prepared import Prepared
from disobey.models.shapes import (
    MOBILENET_LAST,
    MOBILENET_STAGES,
    MOBILENET_STEM,
    refuse_single_pixels,
    scaled,
)


def build(options: Mapping[str, Any], data: "Prepared") -> nn.Module:
    """Return a 3 x 3 stem, seven stages, a 1 x 1 convolution, mean over pixels, and classifier.

    With ``small_images`` the stem and the first strided stage keep the size: 32 x 32 becomes 4 x 4.

    Raises
    ------
    UserError
        For images that are too small, see `disobey.models.shapes`.
    """
    width, small = options["width"], options.get("small_images", False)
    if not small:
        refuse_single_pixels(data, "mobilenetv2")
    channels = scaled(MOBILENET_STEM, width)
    last = max(MOBILENET_LAST, scaled(MOBILENET_LAST, width))
    layers: dict[str, nn.Module] = {
        "stem": _convolution(data.train.inputs.shape[-1], channels, 3, 1 if small else 2)
    }
    for stage, (expansion, base, blocks, stride) in enumerate(MOBILENET_STAGES, 1):
        layers[f"stage_{stage}"] = nn.Sequential()
        for block in range(blocks):
            step = stride if block == 0 and not (small and stage == 2) else 1
            part = InvertedResidual(channels, scaled(base, width), expansion, step)
            layers[f"stage_{stage}"].add_module(f"block_{block + 1}", part)
            channels = scaled(base, width)
    layers["head"] = _convolution(channels, last, 1)
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["dropout"] = nn.Dropout(options.get("dropout", 0.0))
    layers["classifier"] = nn.Linear(last, len(data.class_names))
    model = nn.Sequential(OrderedDict(layers))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
    return model


class InvertedResidual(nn.Module):
    """Expanding 1 x 1, depthwise 3 x 3, projecting 1 x 1 convolution; shortcut if shapes agree."""

    def __init__(self, channels: int, width: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = expansion * channels
        parts: dict[str, nn.Module] = {}
        if expansion != 1:
            parts["expand"] = _convolution(channels, hidden, 1)
        parts["depthwise"] = _convolution(hidden, hidden, 3, stride, groups=hidden)
        parts["project"] = _convolution(hidden, width, 1, active=False)
        self.residual = nn.Sequential(OrderedDict(parts))
        self.adds = stride == 1 and channels == width

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels, y, x) to (batch, width, y / stride, x / stride)."""
        residual: torch.Tensor = self.residual(inputs)
        return inputs + residual if self.adds else residual


def _convolution(
    channels: int, width: int, size: int, stride: int = 1, groups: int = 1, *, active: bool = True
) -> nn.Sequential:
    parts: dict[str, nn.Module] = {
        "convolution": nn.Conv2d(
            channels, width, size, stride, size // 2, groups=groups, bias=False
        ),
        "normalisation": nn.BatchNorm2d(width),
    }
    if active:
        parts["relu6"] = nn.ReLU6()  # in place, it would copy its input for the backward pass
    return nn.Sequential(OrderedDict(parts))
