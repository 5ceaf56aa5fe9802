"""One training by several processes on one machine, started by torchrun.

torch's `DistributedDataParallel` averages the gradients and `SyncBatchNorm` normalises by the whole
batch. This module adds the loss of a batch that is split unevenly, one saved state for all ranks,
and rank 0's lock on the store. The result equals that of one process except for the order in which
float32 numbers are summed, and for dropout, whose masks each rank draws for its part of a batch.
"""

import atexit
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from disobey.errors import UserError
from disobey.job import Job
from disobey.seeds import torch_seed
from disobey.training.checkpoint import Checkpoints, CheckpointSaver
from disobey.training.inputs import Inputs
from disobey.training.loop import Training
from disobey.training.objective import Objective, Targets
from disobey.training.ranks import Ranks

# Seconds in which rank 0 may report an error; torchrun ends all processes after thirty.
REPORT_SECONDS = 25.0
BEGUN, ENDED = "disobey/begun", "disobey/ended"


def all_reduce_max(number: int) -> int:
    """Return the maximum of a number over ranks; gloo computes it without a wait for the GPU."""
    value = torch.tensor(number, dtype=torch.int64)
    distributed.all_reduce(value, distributed.ReduceOp.MAX)
    return int(value)


def split_batch(index: torch.Tensor, rank: int, count: int) -> tuple[torch.Tensor, float]:
    """Return a rank's part of a batch's ``index``, and the weight of its mean in the batch's mean.

    The parts' sizes differ by at most one example. A rank without a part of a small last batch
    gets the first example with weight 0, since every rank must take part in collective operations.
    """
    part = index.tensor_split(count)[rank]
    return (part, len(part) / len(index)) if len(part) else (index[:1], 0.0)


def with_synchronised_statistics(
    model: nn.Module, device: torch.device, count: int, smallest: int
) -> nn.Module:
    """Return the model with each batch normalisation replaced by torch's `SyncBatchNorm`.

    Parameters
    ----------
    model : nn.Module
        Changed in place; weights and buffers keep their names.
    device : torch.device
    count, smallest : int
        Numbers of ranks, and of examples in the smallest batch.

    Raises
    ------
    UserError
        If `SyncBatchNorm` cannot compute the batch's statistics: on the CPU, or if a batch leaves
        a rank without an example.
    """
    if not any(isinstance(module, _BatchNorm) for module in model.modules()):
        return model
    if device.type != "cuda":
        raise UserError(
            "several processes can train a model with batch normalisation on GPUs only (torch's "
            "SyncBatchNorm); on the CPU call it without torchrun"
        )
    if smallest < count:
        raise UserError(
            f"gpus: {count}, but the smallest batch of an epoch has {smallest} examples, and batch "
            f"normalisation needs one on each GPU; write gpus: {smallest}, or another batch in the "
            f"recipe"
        )
    synchronised: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return synchronised


class DistributedTraining(Training):
    """One rank's part of a training: in each step, it trains on its part of the batch.

    Parameters
    ----------
    ranks : Ranks
    model, inputs, targets, objective, recipe, *rest, **more
        As for `Training`; inputs and targets are those of all examples.
    """

    def __init__(
        self,
        ranks: Ranks,
        model: nn.Module,
        inputs: Inputs,
        targets: Targets,
        objective: Objective,
        recipe: dict[str, Any],
        *rest: Any,
        **more: Any,
    ) -> None:
        self._ranks, self._weight = ranks, 1.0

        def weighted(logits: torch.Tensor, index: torch.Tensor, step: int) -> torch.Tensor:
            # DistributedDataParallel divides the sum of the ranks' gradients by their number.
            return objective(logits, index, step) * (self._weight * ranks.count)

        if "ahead" in more:
            whole = more["ahead"]
            more["ahead"] = lambda index: whole(split_batch(index, ranks.rank, ranks.count)[0])
        examples, batch, device = len(targets), recipe["batch"], targets.label.device
        smallest = examples % batch or batch
        model = with_synchronised_statistics(model, device, ranks.count, smallest)
        more["forward"] = DistributedDataParallel(
            model,
            device_ids=[device.index] if device.type == "cuda" else None,
            forward_sync_buffers=False,  # running statistics are equal anyway
            static_graph=True,  # parameters that no logit depends on get no gradient, as elsewhere
        )
        super().__init__(model, inputs, targets, weighted, recipe, *rest, **more)

    def _gradients(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # Seeded by step and rank, so that saved states need no generator states of the ranks.
        position = (*divmod(self.step, self.per_epoch), self._ranks.rank)
        torch.manual_seed(torch_seed(self.order_seed, "dropout of a share", *position))
        part, self._weight = split_batch(index, self._ranks.rank, self._ranks.count)
        loss, correct = super()._gradients(part)
        counted = (correct * (self._weight > 0)).to(loss.dtype)
        summed = torch.stack([loss / self._ranks.count, counted])
        distributed.all_reduce(summed)
        loss, correct = summed
        return loss, correct.long()


class DistributedCheckpoints(Checkpoints):
    """States that rank 0 writes and every rank resumes from.

    Parameters
    ----------
    ranks : Ranks
    folder : Path
    """

    def __init__(self, ranks: Ranks, folder: Path) -> None:
        super().__init__(folder)
        self._ranks = ranks

    def resume(self, training: Training) -> None:
        """Restore the latest readable state; RuntimeError if it differs between the ranks."""
        super().resume(training)
        if all_reduce_max(training.step) != -all_reduce_max(-training.step):
            raise RuntimeError(f"{self.folder}: the processes resume from different states")

    def save(self, training: Training) -> bool:
        """Write the state on rank 0 only, since all ranks have the same; True on the others."""
        return super().save(training) if self._ranks.rank == 0 else True


class DistributedSaver(CheckpointSaver):
    """Stops all ranks after the same step when any of them gets a signal to stop."""

    def asked(self) -> int | None:
        """Return a signal that asked any rank to stop, the same on all ranks, or None.

        A signal that arrives during the call takes effect after the next step.
        """
        return all_reduce_max(self._asked or 0) or None


# --- the stage in several processes -------------------------------------------------------------

Run = Callable[[Job], None]


def make_distributed(job: Job, run: Run, make: Callable[[Job, Run], None]) -> None:
    """Make the store of a training: all ranks train, rank 0 holds the lock, writes and reports.

    Parameters
    ----------
    job : Job
    run : callable
        Called in each process to train.
    make : callable
        Calls its second argument under the lock of the store, if the store has to be made.

    Raises
    ------
    UserError
        For stages other than ``train`` and for ``compile``, which need one process, and for
        processes on several machines.
    """
    _refuse_others(job)
    ranks = Ranks.connect(cuda=job.device != "cpu" and torch.cuda.is_available())
    job.ranks, job.take_card = ranks, ranks.take_card
    job.threads = max(1, job.threads // ranks.count)
    job.measured["processes"] = ranks.count

    def lead(job: Job) -> None:
        ranks.announce(BEGUN)
        run(job)

    if ranks.rank == 0:
        atexit.register(ranks.announce, ENDED)  # after an error is printed
        make(job, lead)
    elif ranks.wait_for(BEGUN, ENDED) == BEGUN:
        _follow(job, ranks, run)
    distributed.destroy_process_group()


def _follow(job: Job, ranks: Ranks, run: Run) -> None:
    """Train without output; if all ranks raise the same error, only rank 0 reports it."""
    try:
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            run(job)
    except UserError:
        if ranks.wait_for(ENDED, seconds=REPORT_SECONDS):
            raise SystemExit(2) from None
        raise


def _refuse_others(job: Job) -> None:
    if job.stage != "train":
        raise UserError(f"{job.stage} runs in one process; call it without torchrun")
    if job.spec["recipe"].get("compile"):
        raise UserError(
            "compile: true needs a training on one GPU; remove compile from the recipe, or write "
            "gpus: 1"
        )
