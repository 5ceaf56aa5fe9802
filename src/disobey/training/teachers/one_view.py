"""A teacher without augmentation: one view of each example, the training logits themselves."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from disobey.data.prepared import Prepared
from disobey.errors import UserError
from disobey.stores.reader import read_arrays
from disobey.training.inputs import Inputs

if TYPE_CHECKING:
    from disobey.job import Job


class StoredLogits:
    """The teacher's logits of all examples, on the device.

    Parameters
    ----------
    logits : Tensor of float32, shape (example, class)
        No temperature.
    """

    def __init__(self, logits: torch.Tensor) -> None:
        self._logits = logits

    def __call__(self, index: torch.Tensor) -> torch.Tensor:
        """Return the logits of the examples ``index``."""
        return self._logits[index]

    def show(self, slab: int) -> None:
        """Do nothing: there is one view."""


def build(job: "Job", data: Prepared, inputs: Inputs, device: torch.device) -> StoredLogits:
    """Return the teacher that a student's spec names, out of its logits."""
    del inputs
    store = job.input(job.spec["distill"]["teacher"]).file()
    return StoredLogits(training_logits(store, data).to(device))


def training_logits(store: Path, data: Prepared) -> torch.Tensor:
    """Return a teacher's training logits: float32, (example, class), row by row those of ``data``.

    Raises
    ------
    UserError
        When the store holds other examples, or another number of classes.
    """
    arrays = read_arrays(store, "train", "logits", "example_id")
    if not (arrays["example_id"] == data.train.example_id).all():
        raise UserError(f"{store}: holds other examples than the student's data set")
    check_classes(store, arrays["logits"].shape[1], data)
    return torch.from_numpy(arrays["logits"])


def check_classes(store: Path, classes: int, data: Prepared) -> None:
    """Refuse a teacher of another number of classes."""
    if classes != len(data.class_names):
        raise UserError(
            f"{store}: the teacher has {classes} classes, the student's data set has "
            f"{len(data.class_names)}: {', '.join(data.class_names[:20])}"
        )
