"""Augmented images: in each epoch every image shows one of its views; a batch is still one gather.

The same object makes the views that a student is trained on and those that its teacher's logits
are stored of.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from disobey.data.prepared import ENCODED, Prepared, Split
from disobey.data.views import number_of_slabs, offsets, slab_of_epoch, views_by_slab
from disobey.training.durations import number_of_epochs
from disobey.training.inputs import ImageInputs
from disobey.training.losses.targets import Teacher
from disobey.training.parts import encoded_module


class ShownViews:
    """Which view each image shows, and how it is cut out of a padded one.

    Parameters
    ----------
    shape : sequence of int
        (example, y, x, channel) of the images as they are shown.
    device : torch.device
    augment : mapping
        ``crop_padding`` and ``flip``, as in a run's spec.
    draw : int
        Names the permutation of each image's views.
    slabs : int, optional
        How many are shown at most; all, if not given.
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
        # Filled again in place: a CUDA graph reads where it read at its capture.
        self._y, self._x, self._flipped = torch.empty(
            (3, shape[0]), dtype=torch.int64, device=device
        )
        self.show(0)

    def show(self, slab: int) -> None:
        """Let each image show its view of a slab from now on."""
        parts = offsets(self.views[slab].astype(np.int64), self.augment)
        for kept, part in zip((self._y, self._x, self._flipped), parts, strict=True):
            kept.copy_(torch.from_numpy(part))

    def cut(
        self, padded: torch.Tensor, position: torch.Tensor, index: torch.Tensor
    ) -> torch.Tensor:
        """Return the views of images, bytes of shape (batch, y, x, channel).

        Parameters
        ----------
        padded : Tensor of uint8, shape (image, y + 2 padding, x + 2 padding, channel)
        position : Tensor of int, shape (batch,)
            Where in ``padded`` each image lies.
        index : Tensor of int, shape (batch,)
            Which example it is.
        """
        last = len(self._columns) - 1
        rows = self._y[index, None] + self._rows
        mirrored = torch.where(self._flipped[index, None] == 1, last - self._columns, self._columns)
        columns = self._x[index, None] + mirrored
        return padded[position[:, None, None], rows[:, :, None], columns[:, None]]


class AugmentedImages(ImageInputs):
    """Images in memory of which each shows one view at a time.

    Parameters
    ----------
    split : Split
        ``inputs`` uint8 of shape (example, y, x, channel).
    data, device, centre
        As for `ImageInputs`; black pixels are padded, before the mean is subtracted.
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
        """Let each image show its view of a slab from now on."""
        self.shown.show(slab)

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        """Return float32 views, (batch, channel, y, x), stored channel last."""
        index = index.to(self._images.device, non_blocking=True)
        return self.normalise(self.shown.cut(self._images, index, index))


class Augmented(Protocol):
    """Training images that show one view at a time."""

    shown: ShownViews
    length: np.ndarray | None

    def show(self, slab: int) -> None:
        """Let each image show its view of a slab from now on."""

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        """Return float32 views, (batch, channel, y, x)."""


def augmented_inputs(
    data: Prepared,
    device: torch.device,
    centre: str | None,
    augment: Mapping[str, Any],
    draw: int,
    slabs: int,
) -> Augmented:
    """Return the training images, of the class that fits how they are stored."""
    if data.kind == ENCODED:
        module = importlib.import_module(encoded_module())
        inputs: Augmented = module.AugmentedEncoded(data, device, augment, draw, slabs)
        return inputs
    return AugmentedImages(data.train, data, device, centre, augment, draw, slabs)


def build(spec: Mapping[str, Any], data: Prepared, device: torch.device) -> Augmented:
    """Return the training images as the run of a spec sees them."""
    epochs = number_of_epochs(spec["recipe"], len(data.train))
    slabs = number_of_slabs(spec["augment"], epochs)
    shown = (spec.get("centre"), spec["augment"], spec["seeds"]["draw"], slabs)
    return augmented_inputs(data, device, *shown)


def shown_by_epoch(
    spec: Mapping[str, Any], inputs: Augmented, teacher: Teacher | None
) -> Callable[[int], None]:
    """Return what lets the inputs of a run, and its teacher if any, show the views of an epoch."""
    order_seed = spec["seeds"]["views"]
    epochs = number_of_epochs(spec["recipe"], inputs.shown.views.shape[1])

    def before_epoch(epoch: int) -> None:
        slab = slab_of_epoch(order_seed, epoch, epochs, inputs.shown.augment)
        inputs.show(slab)
        if teacher is not None:
            teacher.show(slab)

    return before_epoch
