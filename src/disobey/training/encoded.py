"""Inputs that are decoded batch by batch: images too large to lie in memory decoded."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from disobey.data.encoded import EncodedImages
from disobey.data.prepared import Prepared, Split
from disobey.training.augmented import ShownViews
from disobey.training.inputs import Normalise


class EncodedInputs:
    """The middle of each image, normalised.

    Parameters
    ----------
    split : Split
        ``inputs`` are `EncodedImages`.
    data : Prepared
        Gives each channel's mean and standard deviation.
    device : torch.device
    """

    def __init__(self, split: Split, data: Prepared, device: torch.device) -> None:
        self.length: np.ndarray | None = None
        self._images: EncodedImages = split.inputs
        self._device = device
        self._border = 0
        self._begun: dict[bytes, Callable[[], np.ndarray]] = {}
        self.normalise = Normalise(data, device)

    def ahead(self, index: torch.Tensor) -> None:
        """Begin to decode the batch of a later `gather`; each is to be gathered some time."""
        self._begun[index.numpy().tobytes()] = self._images.begin(index.numpy(), self._border)

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        """Return float32 images, (batch, channel, y, x), stored channel last."""
        return self.normalise(self._decoded(index))

    def _decoded(self, index: torch.Tensor) -> torch.Tensor:
        key = index.numpy().tobytes()
        if key not in self._begun:
            self.ahead(index)
        images = torch.from_numpy(self._begun.pop(key)())
        if self._device.type == "cuda":  # from pinned memory a copy runs beside the host
            images = images.pin_memory()
        return images.to(self._device, non_blocking=True)


class AugmentedEncoded(EncodedInputs):
    """Training images of which each shows one view, cut out of the margin around its middle.

    Parameters
    ----------
    data, device
        As for `EncodedInputs`.
    augment, draw, slabs
        As for `disobey.training.augmented.ShownViews`.
    """

    def __init__(
        self,
        data: Prepared,
        device: torch.device,
        augment: Mapping[str, Any],
        draw: int,
        slabs: int,
    ) -> None:
        super().__init__(data.train, data, device)
        self.shown = ShownViews(self._images.shape, device, augment, draw, slabs)
        self._border = self.shown.padding

    def show(self, slab: int) -> None:
        """Let each image show its view of a slab from now on."""
        self.shown.show(slab)

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        """Return float32 views, (batch, channel, y, x), stored channel last."""
        padded = self._decoded(index)
        position = torch.arange(len(index), device=self._device)
        shown = index.to(self._device, non_blocking=True)
        return self.normalise(self.shown.cut(padded, position, shown))
