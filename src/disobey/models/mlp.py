"""A multilayer perceptron over the flattened image."""

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from disobey.data.prepared import Prepared


def build(options: Mapping[str, Any], data: "Prepared") -> nn.Module:
    """Return Linear and ReLU for each width in ``hidden``, then a linear classifier."""
    widths = [math.prod(data.train.inputs.shape[1:]), *options["hidden"]]
    layers: list[nn.Module] = [nn.Flatten()]
    for width, following in itertools.pairwise(widths):
        layers += [nn.Linear(width, following), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], len(data.class_names)))
