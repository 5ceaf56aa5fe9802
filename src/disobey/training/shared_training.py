"""One training by several processes: shares of batches, summed gradients, one state for all."""

import zlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from disobey.seeds import torch_seed
from disobey.training.checkpoint import Checkpoints, Keeper
from disobey.training.inputs import Inputs
from disobey.training.loop import Training
from disobey.training.losses.targets import Objective, Targets
from disobey.training.ranks import Ranks
from disobey.training.shared_normalisation import Shares, share_statistics


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

        if "ahead" in more:
            whole = more["ahead"]
            more["ahead"] = lambda index: whole(self._shares.cut(index))
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

    def _end_epoch(self, order: list[torch.Tensor], started: float) -> None:
        super()._end_epoch(order, started)
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

    def asked(self) -> int | None:
        """Return a signal that asked any of the ranks to stop; all return the same.

        One that comes meanwhile stays noted for the next step.
        """
        return self._ranks.largest(self._asked or 0) or None
