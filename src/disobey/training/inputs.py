"""Inputs of models: a batch is gathered from the device's memory, or is decoded on the host.

Under augmentation every image shows one of its views in each epoch. The views for a student's
training and for its teacher's stored logits come from the same classes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from disobey.data.images import EncodedImages
from disobey.data.prepared import ENCODED, Prepared, Split
from disobey.data.views import number_of_slabs, offsets, slab_of_epoch, views_by_slab
from disobey.training.objective import Targets
from disobey.training.schedules import number_of_epochs


class Inputs(Protocol):
    """The source of batches.

    Attributes
    ----------
    length : ndarray of int, shape (example,), or None
        Length of each text; None if all examples have the same size.
    """

    length: np.ndarray | None = None

    def batch(self, index: torch.Tensor) -> torch.Tensor:
        """Return the model's input for the examples ``index`` (batch,), on the device.

        The index should be on the host, which avoids waiting for the GPU.
        """


class ImageInputs(Inputs):
    """Images as bytes on the device, normalised batch by batch.

    Parameters
    ----------
    split : Split
        ``inputs`` uint8 of shape (example, y, x, channel).
    data : Prepared
        Holds each channel's mean and standard deviation over the training images.
    centre : str, optional
        ``pixel``: subtract the mean training image instead of each channel's mean.
    """

    def __init__(
        self, split: Split, data: Prepared, device: torch.device, centre: str | None = None
    ) -> None:
        self._images = torch.from_numpy(split.inputs).to(device)
        self.normalise = Normalise(data, device, centre)

    def batch(self, index: torch.Tensor) -> torch.Tensor:
        """Return float32 images, (batch, channel, y, x), in channels-last memory format."""
        return self.normalise(self._images[index.to(self._images.device, non_blocking=True)])


class Normalise:
    """Maps bytes to a model's input (bytes - mean) * scale; parameters as for `ImageInputs`."""

    def __init__(self, data: Prepared, device: torch.device, centre: str | None = None) -> None:
        mean = np.atleast_1d(data.attributes["channel_mean"])
        std = np.atleast_1d(data.attributes["channel_std"])
        # A constant channel has no information: dividing it by 1 keeps it at 0.
        std = np.where(std > 0, std, 1.0)
        if centre == "pixel":
            mean = data.train.inputs.mean(0, dtype=np.float64) / 255
        self.mean = torch.tensor(255 * mean, dtype=torch.float32, device=device)
        self.scale = torch.tensor(1 / (255 * std), dtype=torch.float32, device=device)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Map bytes (batch, y, x, channel) to float32 (batch, channel, y, x)."""
        return ((images.float() - self.mean) * self.scale).permute(0, 3, 1, 2)


class TokenInputs:
    """Tokens on the device; a batch is cut to its longest text, which changes no logit."""

    def __init__(self, split: Split, data: Prepared, device: torch.device) -> None:
        pad = int(data.attributes["pad"])
        self._tokens = torch.from_numpy(split.inputs).to(device)
        # On the host, so that cutting a batch does not wait for the device.
        self.length = (split.inputs != pad).sum(1)

    def batch(self, index: torch.Tensor) -> torch.Tensor:
        """Return int64 tokens, (batch, longest text)."""
        longest = int(self.length[index.cpu().numpy()].max())
        index = index.to(self._tokens.device, non_blocking=True)
        return self._tokens[index, :longest].long()


class FeatureInputs(Inputs):
    """Features on the device, as they are: neither centred nor scaled."""

    def __init__(self, split: Split, device: torch.device) -> None:
        self._features = torch.from_numpy(split.inputs).to(device)

    def batch(self, index: torch.Tensor) -> torch.Tensor:
        """Return float32 features, (batch, feature)."""
        return self._features[index.to(self._features.device, non_blocking=True)]


def device_inputs(
    split: Split, data: Prepared, device: torch.device, centre: str | None = None
) -> Inputs:
    """Put the inputs of a split on the device; ``centre`` is for images, see `ImageInputs`."""
    if data.kind == "text":
        return TokenInputs(split, data, device)
    if data.kind == "feature":
        return FeatureInputs(split, device)
    if data.kind == ENCODED:
        return EncodedInputs(split, data, device)
    return ImageInputs(split, data, device, centre)


class ShownViews:
    """Cuts the current view of each image out of the padded image.

    Parameters
    ----------
    shape : sequence of int
        Shape of all views, (example, y, x, channel).
    device : torch.device
    augment : mapping
        ``crop_padding`` and ``flip``, as in a run's spec.
    draw : int
        Seeds the permutation of each image's views.
    slabs : int, optional
        Maximum number of slabs that are shown; all by default.
    """

    def __init__(
        self,
        shape: Sequence[int],
        device: torch.device,
        augment: Mapping[str, Any],
        draw: int,
        slabs: int | None = None,
    ) -> None:
        self.augment, self.device = augment, device
        self.padding = augment.get("crop_padding", 0)
        self.views = views_by_slab(draw, shape[0], augment, slabs)
        self._rows, self._columns = (torch.arange(side, device=device) for side in shape[1:3])
        # Refilled in place, since a CUDA graph always reads the memory of its capture.
        self._y, self._x, self._flipped = torch.empty(
            (3, shape[0]), dtype=torch.int64, device=device
        )
        self.show(0)

    def show(self, slab: int) -> None:
        """Make the views of a slab the current ones."""
        parts = offsets(self.views[slab].astype(np.int64), self.augment)
        for kept, part in zip((self._y, self._x, self._flipped), parts, strict=True):
            kept.copy_(torch.from_numpy(part))

    def cut(
        self, padded: torch.Tensor, position: torch.Tensor, index: torch.Tensor
    ) -> torch.Tensor:
        """Return the current views of images, uint8 of shape (batch, y, x, channel).

        Parameters
        ----------
        padded : Tensor of uint8, shape (image, y + 2 padding, x + 2 padding, channel)
        position : Tensor of int, shape (batch,)
            Position of each image in ``padded``.
        index : Tensor of int, shape (batch,)
            Example number of each image.
        """
        last = len(self._columns) - 1
        rows = self._y[index, None] + self._rows
        mirrored = torch.where(self._flipped[index, None] == 1, last - self._columns, self._columns)
        columns = self._x[index, None] + mirrored
        return padded[position[:, None, None], rows[:, :, None], columns[:, None]]


class AugmentedImages(ImageInputs):
    """Images on the device under augmentation: each shows one view at a time.

    Parameters
    ----------
    split : Split
        ``inputs`` uint8 of shape (example, y, x, channel).
    data, device, centre
        As for `ImageInputs`; the padding is black before the mean is subtracted.
    augment, draw, slabs
        As for `ShownViews`.
    """

    def __init__(
        self,
        split: Split,
        data: Prepared,
        device: torch.device,
        centre: str | None,
        augment: Mapping[str, Any],
        draw: int,
        slabs: int | None = None,
    ) -> None:
        super().__init__(split, data, device, centre)
        self.shown = ShownViews(self._images.shape, device, augment, draw, slabs)
        examples, y, x, channels = self._images.shape
        pad = self.shown.padding
        padded = self._images.new_zeros(examples, y + 2 * pad, x + 2 * pad, channels)
        padded[:, pad : pad + y, pad : pad + x] = self._images
        self._images = padded

    def show(self, slab: int) -> None:
        """Make the views of a slab the current ones."""
        self.shown.show(slab)

    def batch(self, index: torch.Tensor) -> torch.Tensor:
        """Return float32 views, (batch, channel, y, x), in channels-last memory format."""
        index = index.to(self._images.device, non_blocking=True)
        return self.normalise(self.shown.cut(self._images, index, index))


class EncodedInputs(Inputs):
    """The central square of each image, decoded on the host and normalised.

    Parameters
    ----------
    split : Split
        ``inputs`` are `EncodedImages`.
    data : Prepared
        Holds each channel's mean and standard deviation.
    device : torch.device
    """

    def __init__(self, split: Split, data: Prepared, device: torch.device) -> None:
        self._images: EncodedImages = split.inputs
        self._device = device
        self._border = 0
        self._begun: dict[bytes, Callable[[], np.ndarray]] = {}
        self.normalise = Normalise(data, device)

    def ahead(self, index: torch.Tensor) -> None:
        """Begin to decode a later batch, which must then be requested from `batch`."""
        self._begun[index.numpy().tobytes()] = self._images.begin(index.numpy(), self._border)

    def batch(self, index: torch.Tensor) -> torch.Tensor:
        """Return float32 images, (batch, channel, y, x), in channels-last memory format."""
        return self.normalise(self._decoded(index))

    def _decoded(self, index: torch.Tensor) -> torch.Tensor:
        key = index.numpy().tobytes()
        if key not in self._begun:
            self.ahead(index)
        images = torch.from_numpy(self._begun.pop(key)())
        if self._device.type == "cuda":  # copies from pinned memory are asynchronous
            images = images.pin_memory()
        return images.to(self._device, non_blocking=True)


class AugmentedEncoded(EncodedInputs):
    """Encoded images under augmentation: each shows one view, near the central square.

    Parameters
    ----------
    data, device
        As for `EncodedInputs`.
    augment, draw, slabs
        As for `disobey.training.inputs.ShownViews`.
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
        """Make the views of a slab the current ones."""
        self.shown.show(slab)

    def batch(self, index: torch.Tensor) -> torch.Tensor:
        """Return float32 views, (batch, channel, y, x), in channels-last memory format."""
        padded = self._decoded(index)
        position = torch.arange(len(index), device=self._device)
        shown = index.to(self._device, non_blocking=True)
        return self.normalise(self.shown.cut(padded, position, shown))


Augmented = AugmentedImages | AugmentedEncoded


def augmented_inputs(
    data: Prepared,
    device: torch.device,
    centre: str | None,
    augment: Mapping[str, Any],
    draw: int,
    slabs: int,
) -> Augmented:
    """Return training images: `AugmentedEncoded` if they are encoded, else `AugmentedImages`."""
    if data.kind == ENCODED:
        return AugmentedEncoded(data, device, augment, draw, slabs)
    return AugmentedImages(data.train, data, device, centre, augment, draw, slabs)


def augmented_training_inputs(
    spec: Mapping[str, Any], data: Prepared, device: torch.device
) -> Augmented:
    """Return the augmented training images for the run of a spec."""
    epochs = number_of_epochs(spec["recipe"], data.train.number_seen)
    slabs = number_of_slabs(spec["augment"], epochs)
    shown = (spec.get("centre"), spec["augment"], spec["seeds"]["draw"], slabs)
    return augmented_inputs(data, device, *shown)


def show_views(
    spec: Mapping[str, Any], inputs: Augmented, targets: Targets
) -> Callable[[int], None]:
    """Return a function of the epoch that makes inputs and teacher show the epoch's views."""
    order_seed, teacher = spec["seeds"]["views"], targets.teacher
    epochs = number_of_epochs(spec["recipe"], len(targets))

    def before_epoch(epoch: int) -> None:
        slab = slab_of_epoch(order_seed, epoch, epochs, inputs.shown.augment)
        inputs.show(slab)
        if teacher is not None:
            teacher.show(slab)

    return before_epoch
