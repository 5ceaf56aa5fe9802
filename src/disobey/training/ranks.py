"""One training in several processes, the ranks, each with a share of every batch.

Reached only where torchrun has started several: a process alone neither loads this nor depends on
its code. The result is that of one process, but for the order in which float32 numbers are summed,
and for dropout, whose masks each rank draws for its own share.
"""

import contextlib
import json
import os
import time
from collections.abc import Sequence
from datetime import timedelta

import torch
from torch import distributed

from disobey.cards import take_cards
from disobey.errors import UserError

# How long one rank waits for another, say for the first one to save a state [our choice].
LONGEST = timedelta(hours=1)
BEGUN, ENDED, CARDS = "disobey/begun", "disobey/ended", "disobey/cards"


class Ranks:
    """The processes of one training, as one of them sees them.

    Parameters
    ----------
    rank, count : int
        Which one this is, and how many there are.
    store : torch.distributed.Store
        What all of them read and write; it lives in torchrun's own process.
    """

    def __init__(self, rank: int, count: int, store: distributed.Store) -> None:
        self.rank, self.count, self._store = rank, count, store

    @classmethod
    def connect(cls, *, cuda: bool) -> "Ranks":
        """Join the processes that torchrun has started; tensors on GPUs go through NCCL.

        Raises
        ------
        UserError
            When they are spread over several machines.
        """
        if os.environ.get("LOCAL_WORLD_SIZE") != os.environ["WORLD_SIZE"]:
            raise UserError(
                "several machines train together: one may, with several GPUs; call torchrun with "
                "--standalone"
            )
        store, rank, count = next(distributed.rendezvous("env://", timeout=LONGEST))
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda else "gloo",
            store=store,
            rank=rank,
            world_size=count,
            timeout=LONGEST,
        )
        return cls(rank, count, store)

    @staticmethod
    def leave() -> None:
        """Part from the others; only after a training that has ended well."""
        distributed.destroy_process_group()

    @property
    def first(self) -> bool:
        """Whether this one takes locks, writes and speaks for all."""
        return self.rank == 0

    # --- what the first one does alone ------------------------------------------------------

    def begin(self) -> None:
        """Let the others begin: the store is to be made, and this process holds its lock."""
        self._store.set(BEGUN, "")

    def end(self) -> None:
        """Say that the first process has said what there is to say, and ends."""
        with contextlib.suppress(distributed.DistError):  # where torchrun has gone, and the store
            self._store.set(ENDED, "")

    def begun(self) -> bool:
        """Wait for the first process; return whether there is anything to do."""
        while not self._store.check([BEGUN]):
            if self._store.check([ENDED]):
                return False
            time.sleep(0.1)  # a poll, since signals must be heeded meanwhile
        return True

    def ended(self, within: float) -> bool:
        """Return whether the first process ends within so many seconds."""
        deadline = time.monotonic() + within
        while not self._store.check([ENDED]):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def take_card(self, cards: Sequence[str]) -> int:
        """Return the position of this rank's GPU; the first one takes those of all."""
        if self.first:
            self._store.set(CARDS, json.dumps(take_cards(cards, self.count)))
        while not self._store.check([CARDS]):
            time.sleep(0.1)
        position: int = json.loads(self._store.get(CARDS))[self.rank]
        return position

    # --- what all do together ---------------------------------------------------------------

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        """Return ``values`` summed over the ranks; the same bits on each. Changes its argument."""
        distributed.all_reduce(values)
        return values

    def gathered(self, values: torch.Tensor) -> torch.Tensor:
        """Return the ``values`` of all ranks, along a new first axis."""
        found = [torch.empty_like(values) for _ in range(self.count)]
        distributed.all_gather(found, values)
        return torch.stack(found)

    def largest(self, number: int) -> int:
        """Return the largest of the ranks' numbers. They pass by the host: no GPU waits."""
        value = torch.tensor(number, dtype=torch.int64)
        distributed.all_reduce(value, distributed.ReduceOp.MAX)
        return int(value)

    def of_first(self, number: int) -> int:
        """Return the first rank's number."""
        return self.largest(number if self.first else -1)
