"""Augmented images: in each epoch every image shows one of its views; a batch is still one gather.

The same object makes the views that a student is trained on and those that its teacher's logits
are stored of.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from disobey.data.prepared import Prepared, Split
from disobey.data.views import offsets, slab_of_epoch, views_by_slab
from disobey.training.durations import number_of_epochs
from disobey.training.inputs import ImageInputs
from disobey.training.losses.targets import Teacher


class AugmentedImages(ImageInputs):
    """Images of which each shows one view at a time.

    Parameters
    ----------
    split : Split
        ``inputs`` uint8 of shape (example, y, x, channel).
    data, device, centre
        As for `ImageInputs`; black pixels are padded, before the mean is subtracted.
    augment : mapping
        ``crop_padding`` and ``flip``, as in a run's spec.
    draw : int
        Names the permutation of each image's views.
    """

    def __init__(
        self,
        split: Split,
        data: Prepared,
        device: torch.device,
        centre: str | None,
        augment: Mapping[str, Any],
        draw: int,
    ) -> None:
        super().__init__(split, data, device, centre)
        self.augment = augment
        self.views = views_by_slab(draw, len(split), augment)
        examples, y, x, channels = self._images.shape
        pad = augment.get("crop_padding", 0)
        padded = self._images.new_zeros(examples, y + 2 * pad, x + 2 * pad, channels)
        padded[:, pad : pad + y, pad : pad + x] = self._images
        self._images = padded
        self._rows = torch.arange(y, device=device)
        self._columns = torch.arange(x, device=device)
        self.show(0)

    def show(self, slab: int) -> None:
        """Let each image show its view of a slab from now on."""
        parts = offsets(self.views[slab].astype(np.int64), self.augment)
        device = self._images.device
        self._y, self._x, self._flipped = (torch.from_numpy(part).to(device) for part in parts)

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        """Return float32 views, (batch, channel, y, x), stored channel last."""
        index = index.to(self._images.device, non_blocking=True)
        last = len(self._columns) - 1
        rows = self._y[index, None] + self._rows
        mirrored = torch.where(self._flipped[index, None] == 1, last - self._columns, self._columns)
        columns = self._x[index, None] + mirrored
        return self.normalise(
            self._images[index[:, None, None], rows[:, :, None], columns[:, None]]
        )


def build(spec: Mapping[str, Any], data: Prepared, device: torch.device) -> AugmentedImages:
    """Return the training images as the run of a spec sees them."""
    draw = spec["seeds"]["draw"]
    return AugmentedImages(data.train, data, device, spec.get("centre"), spec["augment"], draw)


def shown_by_epoch(
    spec: Mapping[str, Any], inputs: AugmentedImages, teacher: Teacher | None
) -> Callable[[int], None]:
    """Return what lets the inputs of a run, and its teacher if any, show the views of an epoch."""
    order_seed = spec["seeds"]["views"]
    epochs = number_of_epochs(spec["recipe"], inputs.views.shape[1])

    def before_epoch(epoch: int) -> None:
        slab = slab_of_epoch(order_seed, epoch, epochs, inputs.augment)
        inputs.show(slab)
        if teacher is not None:
            teacher.show(slab)

    return before_epoch
