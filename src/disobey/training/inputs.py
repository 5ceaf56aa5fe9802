"""Inputs that live on the device; a batch is one gather."""

import importlib
from typing import Protocol

import numpy as np
import torch

from disobey.data.prepared import ENCODED, Prepared, Split
from disobey.training.parts import encoded_module


class Inputs(Protocol):
    """Where batches come from.

    Attributes
    ----------
    length : ndarray of int, shape (example,), or None
        Of each text; None where all examples are of one size.
    """

    length: np.ndarray | None

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        """Return the model's input for the examples ``index`` (batch,), on the device.

        An index that lies on the host needs no wait for a GPU.
        """


class ImageInputs:
    """Images as bytes on the device, normalised batch by batch.

    Parameters
    ----------
    split : Split
        ``inputs`` uint8 of shape (example, y, x, channel).
    data : Prepared
        Gives each channel's mean and standard deviation over the training images.
    centre : str, optional
        ``pixel``: subtract the mean training image instead of each channel's mean.
    """

    def __init__(
        self, split: Split, data: Prepared, device: torch.device, centre: str | None = None
    ) -> None:
        self.length: np.ndarray | None = None
        self._images = torch.from_numpy(split.inputs).to(device)
        self.normalise = Normalise(data, device, centre)

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        """Return float32 images, (batch, channel, y, x), stored channel last."""
        return self.normalise(self._images[index.to(self._images.device, non_blocking=True)])


class Normalise:
    """Maps bytes to what a model reads, (bytes - mean) * scale; parameters as for `ImageInputs`."""

    def __init__(self, data: Prepared, device: torch.device, centre: str | None = None) -> None:
        mean = np.atleast_1d(data.attributes["channel_mean"])
        std = np.atleast_1d(data.attributes["channel_std"])
        # A channel that never changes carries nothing: dividing it by 1 keeps it at 0.
        std = np.where(std > 0, std, 1.0)
        if centre == "pixel":
            mean = data.train.inputs.mean(0, dtype=np.float64) / 255
        self.mean = torch.tensor(255 * mean, dtype=torch.float32, device=device)
        self.scale = torch.tensor(1 / (255 * std), dtype=torch.float32, device=device)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Map bytes (batch, y, x, channel) to float32 (batch, channel, y, x)."""
        return ((images.float() - self.mean) * self.scale).permute(0, 3, 1, 2)


class TokenInputs:
    """Tokens on the device; a batch is cut behind its longest text, which changes no logit."""

    def __init__(self, split: Split, data: Prepared, device: torch.device) -> None:
        pad = int(data.attributes["pad"])
        self._tokens = torch.from_numpy(split.inputs).to(device)
        # On the host, so that cutting a batch needs no wait for the device.
        self.length = (split.inputs != pad).sum(1)

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        """Return int64 tokens, (batch, longest text)."""
        longest = int(self.length[index.cpu().numpy()].max())
        index = index.to(self._tokens.device, non_blocking=True)
        return self._tokens[index, :longest].long()


class FeatureInputs:
    """Features on the device, as they are: neither centred nor scaled."""

    def __init__(self, split: Split, device: torch.device) -> None:
        self.length: np.ndarray | None = None
        self._features = torch.from_numpy(split.inputs).to(device)

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        """Return float32 features, (batch, feature)."""
        return self._features[index.to(self._features.device, non_blocking=True)]


def device_inputs(
    split: Split, data: Prepared, device: torch.device, centre: str | None = None
) -> Inputs:
    """Put the inputs of a split on the device; ``centre`` is of images, see `ImageInputs`."""
    if data.kind == "text":
        return TokenInputs(split, data, device)
    if data.kind == "feature":
        return FeatureInputs(split, device)
    if data.kind == ENCODED:
        inputs: Inputs = importlib.import_module(encoded_module()).EncodedInputs(
            split, data, device
        )
        return inputs
    return ImageInputs(split, data, device, centre)
