"""A multilayer perceptron over the flattened image, or over features."""

import itertools
import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import nn

from disobey.data.prepared import Prepared


def build(options: Mapping[str, Any], data: "Prepared") -> nn.Module:
    """Return Linear and ReLU for each width in ``hidden``, then a linear classifier.

    With ``initialisation: glorot_uniform`` biases are 0, and weights are uniform with absolute
    values up to sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010, eq. 16).
    """
    widths = [math.prod(data.train.inputs.shape[1:]), *options["hidden"]]
    layers: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    for depth, (width, following) in enumerate(itertools.pairwise(widths), 1):
        layers[f"hidden_{depth}"] = nn.Linear(width, following)
        layers[f"relu_{depth}"] = nn.ReLU()
    layers["classifier"] = nn.Linear(widths[-1], len(data.class_names))
    if options.get("initialisation") == "glorot_uniform":
        for layer in layers.values():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
    return nn.Sequential(OrderedDict(layers))
