"""Weights that a training starts from, out of a checkpoint's store."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file

from disobey.errors import UserError
from disobey.models.checkpoint import is_made_anew
from disobey.models.pretrained import Classifier, store_of
from disobey.stores.layout import WEIGHTS

if TYPE_CHECKING:
    from disobey.stores.manifest import Manifest

DEPTH = re.compile(r"\.(\d+)\.")  # of a layer, in the name of one of its weights


def load(model: Classifier, options: Mapping[str, Any], inputs: Iterable["Manifest"]) -> None:
    """Replace the encoder's random weights by the checkpoint's; the head keeps the run's seed.

    Raises
    ------
    UserError
        When a weight is left over or missing, but for those of layers that were cut away.
    """
    pretrained = store_of(options, inputs)
    weights = load_file(pretrained.file(f"{pretrained.id}/{WEIGHTS}"))
    if "layers" in options:
        weights = {name: w for name, w in weights.items() if not _is_cut(name, options["layers"])}
    found = model.network.base_model.load_state_dict(weights, strict=False)
    missing = [name for name in found.missing_keys if not is_made_anew(name)]
    for what, names in (("lacks", missing), ("holds, for no layer,", found.unexpected_keys)):
        if names:
            raise UserError(f"{pretrained.id} {what} {names[0]} ({len(names)} such weights)")


def _is_cut(name: str, layers: int) -> bool:
    depth = DEPTH.search(f".{name}")
    return depth is not None and int(depth[1]) >= layers
