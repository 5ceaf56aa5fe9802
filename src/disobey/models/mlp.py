"""A multilayer perceptron over the flattened image."""

import itertools
import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from disobey.data.prepared import Prepared


def build(options: Mapping[str, Any], data: "Prepared") -> nn.Module:
    """Return Linear and ReLU for each width in ``hidden``, then a linear classifier."""
    widths = [math.prod(data.train.inputs.shape[1:]), *options["hidden"]]
    layers: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    for depth, (width, following) in enumerate(itertools.pairwise(widths), 1):
        layers[f"hidden_{depth}"] = nn.Linear(width, following)
        layers[f"relu_{depth}"] = nn.ReLU()
    layers["classifier"] = nn.Linear(widths[-1], len(data.class_names))
    return nn.Sequential(OrderedDict(layers))
