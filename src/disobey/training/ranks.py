"""The processes that torchrun starts for one training."""

import contextlib
import json
import math
import os
import time
from collections.abc import Sequence
from datetime import timedelta

from torch import distributed

from disobey.errors import UserError
from disobey.gpus import take_cards

# The longest wait of a rank for another, for instance while rank 0 saves a state [our choice].
COLLECTIVE_TIMEOUT = timedelta(hours=1)
CARDS = "disobey/cards"


class Ranks:
    """The processes of one training, as one of them sees them.

    Parameters
    ----------
    rank, count : int
        This process's rank, and the number of processes.
    store : torch.distributed.Store
        Key-value store of all processes, held by torchrun's own process.
    """

    def __init__(self, rank: int, count: int, store: distributed.Store) -> None:
        self.rank, self.count, self.store = rank, count, store

    @classmethod
    def connect(cls, *, cuda: bool) -> "Ranks":
        """Join the processes that torchrun has started; ``cuda`` adds NCCL for tensors on GPUs.

        Raises
        ------
        UserError
            If the processes run on several machines.
        """
        if os.environ.get("LOCAL_WORLD_SIZE") != os.environ["WORLD_SIZE"]:
            raise UserError(
                "a training runs on one machine, with one or several GPUs; call torchrun with "
                "--standalone"
            )
        store, rank, count = next(distributed.rendezvous("env://", timeout=COLLECTIVE_TIMEOUT))
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda else "gloo",
            store=store,
            rank=rank,
            world_size=count,
            timeout=COLLECTIVE_TIMEOUT,
        )
        return cls(rank, count, store)

    def announce(self, key: str, value: str = "") -> None:
        """Set a key in the store, for `wait_for` in other processes."""
        with contextlib.suppress(distributed.DistError):  # torchrun, which holds it, has ended
            self.store.set(key, value)

    def wait_for(self, *keys: str, seconds: float = math.inf) -> str | None:
        """Return the first of ``keys`` that is set, or None if none is set within ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:
            for key in keys:
                if self.store.check([key]):
                    return key
            if time.monotonic() > deadline:
                return None
            time.sleep(0.1)  # the store's own wait would hold back signals

    def take_card(self, cards: Sequence[str]) -> int:
        """Return the position of this rank's GPU in ``cards``; rank 0 locks those of all ranks."""
        if self.rank == 0:
            self.announce(CARDS, json.dumps(take_cards(cards, self.count)))
        self.wait_for(CARDS)
        position: int = json.loads(self.store.get(CARDS))[self.rank]
        return position
