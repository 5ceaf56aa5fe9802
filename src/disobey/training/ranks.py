"""One training in several processes, the ranks, each with a share of every batch.

Reached only where torchrun has started several: a process alone neither loads this nor depends on
its code. The result is that of one process, but for the order in which float32 numbers are summed,
and for dropout, whose masks each rank draws for its own share.
"""

import contextlib
import json
import os
import time
import zlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from disobey.cards import take_cards
from disobey.errors import UserError
from disobey.seeds import torch_seed
from disobey.training.checkpoint import Checkpoints, Keeper
from disobey.training.inputs import Inputs
from disobey.training.loop import Training
from disobey.training.losses.targets import Objective, Targets
from disobey.training.shared_normalisation import Shares, share_statistics

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


class SharedTraining(Training):
    """One rank's part of a training: the same steps as one process takes, each on its share.

    Parameters
    ----------
    ranks : Ranks
    model, inputs, targets, objective, *rest, **more
        As for `Training`, of all examples; batch normalisation is made to see whole batches.
    """

    def __init__(
        self,
        ranks: Ranks,
        model: nn.Module,
        inputs: Inputs,
        targets: Targets,
        objective: Objective,
        *rest: Any,  # noqa: ANN401 - passed on
        **more: Any,  # noqa: ANN401 - passed on
    ) -> None:
        self._ranks, self._shares = ranks, Shares(ranks)

        def weighted(logits: torch.Tensor, index: torch.Tensor, spent: float) -> torch.Tensor:
            return objective(logits, index, spent) * self._shares.weight

        super().__init__(model, inputs, targets, weighted, *rest, **more)
        share_statistics(model, self._shares)

    def _gradients(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # Of the step: no rank's generator has a state then that a resumed training would need.
        position = (*divmod(self.step, self.per_epoch), self._ranks.rank)
        torch.manual_seed(torch_seed(self.order_seed, "dropout of a share", *position))
        loss, correct = super()._gradients(self._shares.cut(index))
        parts = [p.grad for p in self.model.parameters() if p.grad is not None]
        parts += [loss, (correct * self._shares.real).to(loss.dtype)]
        # One sum a step, of everything: networks as small as these gain nothing from sums that
        # begin while gradients are still being computed.
        whole = self._ranks.summed(torch.cat([part.reshape(-1) for part in parts]))
        for part, summed in zip(parts, whole.split([p.numel() for p in parts]), strict=True):
            part.copy_(summed.view(part.shape))
        return parts[-2], parts[-1].long()

    def _end_epoch(self, order: list[torch.Tensor], seconds: float) -> None:
        super()._end_epoch(order, seconds)
        check = 0
        for value in self.model.state_dict().values():
            check = zlib.crc32(value.cpu().contiguous().flatten().view(torch.uint8).numpy(), check)
        if self._ranks.largest(check) != -self._ranks.largest(-check):
            raise RuntimeError(
                f"after step {self.step} the processes of this training hold different weights; "
                f"this is a fault of the software or of a GPU"
            )


class SharedCheckpoints(Checkpoints):
    """States that the first rank writes and all of them go on from.

    Parameters
    ----------
    ranks : Ranks
    folder : Path
    """

    def __init__(self, ranks: Ranks, folder: Path) -> None:
        super().__init__(folder)
        self._ranks = ranks

    def resume(self, training: Training) -> None:
        """Restore the state that the first rank finds."""
        if self._ranks.first:
            super().resume(training)
        step = self._ranks.of_first(training.step)
        if step and not self._ranks.first:
            self.restore(training, self.file(step))
        self._ranks.largest(0)  # the file stays until all have read it

    def save(self, training: Training) -> bool:
        """Write the state, if this is the first rank: it is the same on all."""
        return super().save(training) if self._ranks.first else True


class SharedKeeper(Keeper):
    """Stops all ranks after the same step, whichever of them is asked to stop, and when.

    Parameters
    ----------
    ranks : Ranks
    checkpoints, training
        As for `Keeper`.
    """

    def __init__(self, ranks: Ranks, checkpoints: Checkpoints, training: Training) -> None:
        super().__init__(checkpoints, training)
        self._ranks = ranks

    def after_step(self) -> None:
        """Save when it is time; see `Keeper.after_step`."""
        self._asked = self._ranks.largest(self._asked or 0) or None
        super().after_step()
