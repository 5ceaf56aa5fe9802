"""Models of this package, exported to folders in the format of the Hugging Face hub.

``config.json`` has the ``model_type`` ``disobey_<family>`` and, below ``disobey``, the model's
spec and the shape of an example. ``model.safetensors`` has the weights and, for images,
``normalise.mean`` and ``normalise.scale``: the model's input is (bytes - mean) * scale. Models of
transformers, such as RoBERTa, are exported in its own format instead (`disobey.tools.export`).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from disobey.data.prepared import Prepared, Split
from disobey.errors import UserError
from disobey.models.registry import build_model
from disobey.stores.layout import CONFIG, WEIGHTS

MEAN, SCALE = "normalise.mean", "normalise.scale"


def load(folder: Path) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """Return the model, in evaluation mode, and the tensors that normalise images.

    Raises
    ------
    UserError
        If the weights do not fit the model.
    """
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    try:
        weights = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise UserError(f"{folder / WEIGHTS}: cannot be read: {error}; export it again") from None
    normalise = {name: weights.pop(name) for name in (MEAN, SCALE) if name in weights}
    about = config["disobey"]
    names = tuple(config["id2label"].values())
    model = build_model(about["model"], _shaped(about["shape"], about["attributes"], names))
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{folder}: its weights do not fit {CONFIG}: {error}") from None
    return model.eval(), normalise


def classifier(
    folder: Path, device: torch.device, batch: int
) -> tuple[Mapping[str, Any], Callable[[Sequence[np.ndarray]], np.ndarray]]:
    """Return the configuration, and a function from uint8 images (y, x, channel) to logits.

    Raises
    ------
    UserError
        If the model's inputs are not images. The function raises it for images of another shape.
    """
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    model, normalise = load(folder)
    shape = tuple(config["disobey"]["shape"])
    if not normalise:
        raise UserError(f"{folder}: reads features of this package, so it cannot read images")
    model = model.to(device)
    mean, scale = (normalise[name].to(device) for name in (MEAN, SCALE))

    @torch.inference_mode()
    def classify(images: Sequence[np.ndarray]) -> np.ndarray:
        found = []
        for start in range(0, len(images), batch):
            given = np.stack(images[start : start + batch])
            if given.shape[1:] != shape:
                raise UserError(
                    f"{folder}: reads images of {shape} (y, x, channel), the data has "
                    f"{given.shape[1:]}; name a data set with the images it was trained on"
                )
            shown = (torch.from_numpy(given).to(device).float() - mean) * scale
            found.append(model(shown.permute(0, 3, 1, 2)).float().cpu().numpy())
        return np.concatenate(found)

    return config, classify


def _shaped(
    shape: Sequence[int], attributes: Mapping[str, Any], class_names: tuple[str, ...]
) -> Prepared:
    """Return data of a given shape without examples, which is enough to build a model."""
    none = np.zeros(0, np.int64)
    split = Split(np.zeros((0, *shape), np.uint8), none, none, none)
    return Prepared(split, split, class_names, dict(attributes))
