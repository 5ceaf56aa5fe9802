"""Nothing that took time to compute is lost: save while training, resume where it stopped."""

import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from disobey.errors import UserError
from disobey.stores.writer import atomic
from disobey.training.loop import Training

SAVE_EVERY = 60.0  # seconds [our choice]: the most that a killed job repeats
KEPT = 2
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Checkpoints:
    """Saved states of one training, in a folder that no rule declares.

    Snakemake deletes the declared outputs of a failed job; this folder stays, and goes when the
    training is complete.

    Parameters
    ----------
    folder : Path
        Named by run, code and inputs, so that a state is never resumed by another training.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resume(self, training: Training) -> None:
        """Restore the latest state that can be read; one cut short is passed over."""
        for path in self._newest_first():
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
                training.restore(state)
            except Exception as error:  # whatever a damaged file makes torch raise
                print(f"{path}: cannot be read ({error}); trying an older one", file=sys.stderr)
                continue
            print(f"resumed at step {training.step} from {path}", file=sys.stderr)
            return

    def save(self, training: Training) -> None:
        """Write the state in one step and drop all but the last `KEPT`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic(self.folder / f"{training.step:012}.pt") as path:
            torch.save(training.state(), path)
        for old in self._newest_first()[KEPT:]:
            old.unlink()

    def discard(self) -> None:
        """Remove the folder: the training is complete and its store is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.pt"), reverse=True)


class Keeper:
    """Saves a training every minute, and at once when the process is asked to stop.

    Parameters
    ----------
    checkpoints : Checkpoints
    training : Training
    every : float
        Seconds between two states.
    """

    def __init__(
        self, checkpoints: Checkpoints, training: Training, every: float = SAVE_EVERY
    ) -> None:
        self.checkpoints, self.training, self.every = checkpoints, training, every
        self._last = time.monotonic()
        self._asked: int | None = None

    def after_step(self) -> None:
        """Save when it is time.

        Raises
        ------
        UserError
            When a signal asked to stop; the state is saved then.
        """
        if self._asked is None and time.monotonic() - self._last < self.every:
            return
        self.checkpoints.save(self.training)
        self._last = time.monotonic()
        if self._asked is not None:
            raise UserError(
                f"stopped by {signal.Signals(self._asked).name} at step {self.training.step} of "
                f"{len(self.training.rates)}; the same command resumes there"
            )

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Turn signals that ask to stop into a saved state after the step under way."""

        def ask(number: int, _: FrameType | None) -> None:
            self._asked = number

        before: dict[int, Any] = {number: signal.signal(number, ask) for number in STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
