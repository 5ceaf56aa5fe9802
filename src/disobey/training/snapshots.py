"""Weights after some epochs of one training: over-training is read off them, nothing retrained."""

from pathlib import Path

from disobey.errors import UserError
from disobey.stores.layout import SNAPSHOT
from disobey.stores.writer import atomic
from disobey.training.loop import Training
from disobey.training.weights import save_weights


class Snapshots:
    """The snapshots that a recipe asks for.

    They lie beside the training's saved states until it is complete, so that those of an earlier,
    other training can never be taken for them.

    Parameters
    ----------
    folder : Path
        The training's checkpoint folder.
    training : Training

    Raises
    ------
    UserError
        When one would lie at or beyond the end of a training that is counted in steps.
    """

    def __init__(self, folder: Path, training: Training) -> None:
        self.training = training
        epochs, steps = training.recipe["snapshots"], len(training.rates)
        if epochs[-1] * training.per_epoch >= steps:
            raise UserError(
                f"recipe: the snapshot after {epochs[-1]} epochs does not lie before the end of "
                f"{steps} steps, of which an epoch of this data has {training.per_epoch}; remove "
                f"it from snapshots, or write more steps"
            )
        self._steps = {epoch * training.per_epoch: self._file(folder, epoch) for epoch in epochs}

    def after_step(self) -> None:
        """Save, if an epoch that is asked for has just ended."""
        path = self._steps.get(self.training.step)
        if path is not None:
            with atomic(path) as temporary:
                save_weights(self.training.model, temporary)

    def files(self) -> dict[int, Path]:
        """Return the saved weights by epoch."""
        return {step // self.training.per_epoch: path for step, path in self._steps.items()}

    @staticmethod
    def _file(folder: Path, epoch: int) -> Path:
        return folder / SNAPSHOT.format(epoch=epoch)
