"""Teachers of students: stored logits, stored logits on views, or a live model."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from disobey.data.prepared import Prepared
from disobey.data.views import BLOCK, blocks_of
from disobey.errors import UserError
from disobey.job import Job
from disobey.stores.layout import store_and_variable
from disobey.stores.reader import read_arrays, read_slab
from disobey.training.inputs import Augmented, Inputs
from disobey.training.objective import Teacher
from disobey.training.predictions import trained_model
from disobey.training.schedules import number_of_epochs


class StoredLogits(Teacher):
    """The teacher's logits on all examples, without augmentation.

    Parameters
    ----------
    logits : Tensor of float32, shape (example, class)
        Logits without temperature.
    """

    def __init__(self, logits: torch.Tensor) -> None:
        self._logits = logits

    def __call__(self, index: torch.Tensor) -> torch.Tensor:
        """Return the logits of the examples ``index``."""
        return self._logits[index]


def stored_logits(job: "Job", data: Prepared, inputs: Inputs, device: torch.device) -> StoredLogits:
    """Return the teacher that a student's spec names, from its stored logits on ``data``.

    Raises
    ------
    UserError
        If the store holds other examples or another number of classes.
    """
    del inputs
    id, variable = store_and_variable(job.spec["distill"]["teacher"])
    store = job.input(id).file()
    arrays = read_arrays(store, "train", variable, "example_id")
    if not np.array_equal(arrays["example_id"], data.train.example_id):
        raise UserError(f"{store}: holds other examples than the student's data set")
    check_classes(store, arrays[variable].shape[1], data)
    return StoredLogits(torch.from_numpy(arrays[variable]).to(device))


def check_classes(store: Path, classes: int, data: Prepared) -> None:
    """Raise UserError if the teacher's number of classes is not that of the data."""
    if classes != len(data.class_names):
        raise UserError(
            f"{store}: the teacher has {classes} classes, the student's data set has "
            f"{len(data.class_names)}: {', '.join(data.class_names[:20])}"
        )


class StoredViews(Teacher):
    """The teacher's logits on augmented images, one slab of stored views in memory at a time.

    Parameters
    ----------
    blocks : list of Path
        The files of the blocks that the training reads, in order from the first block.
    data : Prepared
        The student's data.
    inputs : Augmented
        The student's inputs, whose views must be those of the stored logits.
    device : torch.device
    """

    def __init__(
        self, blocks: list[Path], data: Prepared, inputs: Augmented, device: torch.device
    ) -> None:
        self._blocks, self._device = blocks, device
        self._slab = torch.empty(0)
        for block, path in enumerate(blocks):
            stored = read_arrays(path, "/", "example_id", "view")
            if not np.array_equal(stored["example_id"], data.train.example_id):
                raise UserError(f"{path}: holds other examples than the student's data set")
            shown = inputs.shown.views[BLOCK * block : BLOCK * (block + 1)]
            if not np.array_equal(stored["view"][: len(shown)], shown):
                raise UserError(f"{path}: holds other views than the student is shown")
        self.show(0)
        check_classes(blocks[0], self._slab.shape[1], data)

    def __call__(self, index: torch.Tensor) -> torch.Tensor:
        """Return the logits on the current views of the examples ``index``."""
        return self._slab[index]

    def show(self, slab: int) -> None:
        """Read the logits of a slab, (example, class), which are contiguous in the file."""
        block, position = divmod(slab, BLOCK)
        logits = torch.from_numpy(read_slab(self._blocks[block], "logits", position))
        if len(self._slab):  # in place, since a CUDA graph reads the memory of its capture
            self._slab.copy_(logits)
        else:
            self._slab = logits.to(self._device)


def stored_views(
    job: "Job", data: Prepared, inputs: Augmented, device: torch.device
) -> StoredViews:
    """Return the teacher that a student's spec names, from the blocks among the job's inputs."""
    given = {}
    for manifest in job.inputs:
        if manifest.record["stage"] == "views":
            if manifest.spec["run"] != job.spec["distill"]["teacher"]:
                raise UserError(f"{manifest.path}: holds views of another teacher than the spec's")
            given[manifest.spec["block"]] = manifest
    epochs = number_of_epochs(job.spec["recipe"], data.train.number_seen)
    needed = blocks_of(job.spec["augment"], epochs)
    for block in needed:
        if block not in given:
            raise UserError(
                f"the student needs block {block} of its teacher's views, of {BLOCK} slabs each, "
                f"but --inputs does not name it"
            )
    return StoredViews([given[block].file() for block in needed], data, inputs, device)


class LiveTeacher(Teacher):
    """A trained model that is run in every step, in evaluation mode and float32.

    Parameters
    ----------
    model : nn.Module
        Must be on the device; it is frozen, and cannot enter training mode again.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model.eval().requires_grad_(False)
        self._seen: torch.Tensor | None = None
        for module in model.modules():
            module.train = _refuse  # type: ignore[assignment]

    def look(self, inputs: torch.Tensor) -> None:
        """Keep the student's input tensor of a batch for the next call."""
        self._seen = inputs

    @torch.no_grad()
    def __call__(self, index: torch.Tensor) -> torch.Tensor:
        """Return the logits of the examples ``index``, which must be the batch passed to `look`."""
        if self._seen is None or len(self._seen) != len(index):
            raise RuntimeError("a live teacher was asked about a batch that it has not seen")
        logits: torch.Tensor = self._model(self._seen)
        return logits


def _refuse(mode: bool = True) -> None:
    if mode:
        raise RuntimeError("a teacher stays in evaluation mode: its statistics must not move")


def live_teacher(job: "Job", data: Prepared, inputs: Inputs, device: torch.device) -> LiveTeacher:
    """Return the teacher that a student's spec names, with its trained weights."""
    del inputs
    trained = job.input(job.spec["distill"]["teacher"], "train")
    return LiveTeacher(trained_model(trained, data, device, job.inputs))
