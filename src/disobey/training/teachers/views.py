"""A teacher under augmentation, out of its stored views: one slab in memory at a time."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from disobey.data.prepared import Prepared
from disobey.data.views import BLOCK, blocks_of
from disobey.errors import UserError
from disobey.stores.reader import read_arrays, read_slab
from disobey.training.augmented import Augmented
from disobey.training.durations import number_of_epochs
from disobey.training.teachers.one_view import check_classes

if TYPE_CHECKING:
    from disobey.job import Job


class StoredViews:
    """The teacher's logits of the view that each example shows.

    Parameters
    ----------
    blocks : list of Path
        The files of the blocks that the training reads, from the first on.
    data : Prepared
        The student's data.
    inputs : Augmented
        Says which view each slab shows: the stored ones must be the same.
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

    def look(self, inputs: torch.Tensor) -> None:
        """Do nothing: the logits are known."""

    def __call__(self, index: torch.Tensor) -> torch.Tensor:
        """Return the logits of the examples ``index`` as they are shown now."""
        return self._slab[index]

    def show(self, slab: int) -> None:
        """Read the logits of a slab: (example, class), contiguous in the file."""
        block, position = divmod(slab, BLOCK)
        logits = torch.from_numpy(read_slab(self._blocks[block], "logits", position))
        if len(self._slab):  # in place: a CUDA graph reads where it read at its capture
            self._slab.copy_(logits)
        else:
            self._slab = logits.to(self._device)


def build(job: "Job", data: Prepared, inputs: Augmented, device: torch.device) -> StoredViews:
    """Return the teacher that a student's spec names, out of the blocks among its inputs."""
    given = {}
    for manifest in job.inputs:
        if manifest.record["stage"] == "views":
            if manifest.spec["run"] != job.spec["distill"]["teacher"]:
                raise UserError(f"{manifest.path}: holds views of another teacher than the spec's")
            given[manifest.spec["block"]] = manifest
    epochs = number_of_epochs(job.spec["recipe"], len(data.train))
    needed = blocks_of(job.spec["augment"], epochs)
    for block in needed:
        if block not in given:
            raise UserError(
                f"the student needs block {block} of its teacher's views, of {BLOCK} slabs each, "
                f"which is not among --inputs"
            )
    return StoredViews([given[block].file() for block in needed], data, inputs, device)
