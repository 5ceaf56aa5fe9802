"""A training in several processes of one machine, which torchrun has started."""

import atexit
import contextlib
import os
from collections.abc import Iterator
from functools import partial

import torch

from disobey.errors import UserError
from disobey.job import Job
from disobey.stages import train
from disobey.stages.command import make
from disobey.training.ranks import Ranks
from disobey.training.shared_training import SharedCheckpoints, SharedKeeper, SharedTraining

# Seconds that the first process has to say what went wrong; torchrun ends all after thirty.
PATIENCE = 25.0


def make_together(job: Job) -> None:
    """Make the store of a training: each process computes, the first one locks, writes and speaks.

    Raises
    ------
    UserError
        For what several processes cannot do together.
    """
    _check(job)
    ranks = Ranks.connect(cuda=job.device != "cpu" and torch.cuda.is_available())
    job.take_card = ranks.take_card
    job.threads = max(1, job.threads // ranks.count)
    process = train.Process(
        partial(SharedTraining, ranks),
        partial(SharedCheckpoints, ranks),
        partial(SharedKeeper, ranks),
        writes=ranks.first,
    )
    if ranks.first:
        _lead(job, ranks, process)
    elif ranks.begun():
        _follow(job, ranks, process)
    ranks.leave()


def _lead(job: Job, ranks: Ranks, process: train.Process) -> None:
    """Make the store, with the others once it is sure that it has to be made."""

    def run(job: Job) -> None:
        ranks.begin()
        train.run(job, process)

    atexit.register(ranks.end)  # behind whatever is printed of an error
    make(job, run)


def _follow(job: Job, ranks: Ranks, process: train.Process) -> None:
    """Take part in silence; an error that all make is the first process's to report."""
    try:
        with _silence():
            train.run(job, process)
    except UserError:
        if ranks.ended(within=PATIENCE):
            raise SystemExit(2) from None
        raise


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def _check(job: Job) -> None:
    if job.stage != "train":
        raise UserError(f"{job.stage} runs in one process; call it without torchrun")
    if job.spec["recipe"].get("compile"):
        raise UserError(
            "compile: true is of a training on one GPU; remove compile from the recipe, or write "
            "gpus: 1"
        )
