"""A linear classifier over channels: the model of the paper's gradient view (C.5, v1).

f_k(x) = w_k . x_k, where x_k is the channel of class k. The weights start at 0 [our choice, not
given in the paper]: all classes are equally probable at the first gradient, and seeds differ only
in the order of batches.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from disobey.data.prepared import Prepared


class ChannelLinear(nn.Module):
    """Map features, (example, class * dimension), to logits, (example, class)."""

    def __init__(self, classes: int, dimensions: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, dimensions))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the inner product of each channel with its weights."""
        return (features.view(len(features), *self.weight.shape) * self.weight).sum(-1)


def build(options: Mapping[str, Any], data: "Prepared") -> nn.Module:
    """Return the model for ``data``, whose features are one equally long channel per class."""
    classes = len(data.class_names)
    return ChannelLinear(classes, data.train.inputs.shape[1] // classes)
