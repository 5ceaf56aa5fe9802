"""Build a model from its spec; the family's module is imported by name."""

import importlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from disobey.data.prepared import Prepared
from disobey.stores.manifest import Manifest

if TYPE_CHECKING:
    from torch import nn


def build_model(
    spec: Mapping[str, Any], data: "Prepared", inputs: Iterable["Manifest"] = ()
) -> "nn.Module":
    """Return a freshly initialised model for ``data``.

    Parameters
    ----------
    spec : mapping
        ``family`` and the family's options.
    data : Prepared
        Determines the shape of an example and the number of classes.
    inputs : iterable of Manifest
        The job's upstream stores, for a family whose architecture is read from one of them.

    Returns
    -------
    torch.nn.Module
        Maps a batch of inputs to logits of shape (batch, class), float32.
    """
    options = {key: value for key, value in spec.items() if key != "family"}
    module = importlib.import_module(f"disobey.models.{spec['family']}")
    if "pretrained" in options:
        return module.build(options, data, inputs)
    return module.build(options, data)
