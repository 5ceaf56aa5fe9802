"""A teacher without augmentation: one view of each example, the training logits themselves."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from disobey.data.prepared import Prepared
from disobey.errors import UserError
from disobey.stores.layout import store_and_variable
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

    def look(self, inputs: torch.Tensor) -> None:
        """Do nothing: the logits are known."""

    def __call__(self, index: torch.Tensor) -> torch.Tensor:
        """Return the logits of the examples ``index``."""
        return self._logits[index]

    def show(self, slab: int) -> None:
        """Do nothing: there is one view."""


def build(job: "Job", data: Prepared, inputs: Inputs, device: torch.device) -> StoredLogits:
    """Return the teacher that a student's spec names, out of its logits."""
    del inputs
    id, variable = store_and_variable(job.spec["distill"]["teacher"])
    return StoredLogits(training_logits(job.input(id).file(), data, variable).to(device))


def training_logits(store: Path, data: Prepared, variable: str = "logits") -> torch.Tensor:
    """Return a teacher's training logits: float32, (example, class), row by row those of ``data``.

    Parameters
    ----------
    store : Path
    data : Prepared
    variable : str
        Of a store of several teachers, which were trained elsewhere: which one.

    Raises
    ------
    UserError
        When the store holds other examples, or another number of classes.
    """
    arrays = read_arrays(store, "train", variable, "example_id")
    if not np.array_equal(arrays["example_id"], data.train.example_id):
        raise UserError(f"{store}: holds other examples than the student's data set")
    check_classes(store, arrays[variable].shape[1], data)
    return torch.from_numpy(arrays[variable])


def check_classes(store: Path, classes: int, data: Prepared) -> None:
    """Refuse a teacher of another number of classes."""
    if classes != len(data.class_names):
        raise UserError(
            f"{store}: the teacher has {classes} classes, the student's data set has "
            f"{len(data.class_names)}: {', '.join(data.class_names[:20])}"
        )
