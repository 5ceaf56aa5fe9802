"""Saved states, from which a stopped training resumes, and snapshots of earlier epochs.

Snapshots show over-training without retraining.
"""

import contextlib
import copy
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from disobey.errors import DiskFull, OutOfTime, UserError
from disobey.stores.layout import SNAPSHOT
from disobey.stores.writer import atomic
from disobey.training.loop import Training
from disobey.training.weights import save_weights

SAVE_EVERY = 60.0  # seconds [our choice]: the work that a killed job repeats if saving is quick
SHARE = 0.05  # the share of the time that saving may take [our choice]
SAVE_EVERY_FROM = "DISOBEY_SAVE_EVERY"  # environment variable that overrides the interval
KEPT = 2
NEAR_THE_LIMIT = signal.SIGUSR1  # the signal that the rule requests from SLURM
STOPPING = (signal.SIGINT, signal.SIGTERM, NEAR_THE_LIMIT)


class Checkpoints:
    """Saved states of one training, in a folder that no rule declares.

    Snakemake deletes the declared outputs of failed and interrupted jobs. This folder stays until
    another stage has read the trained model.

    Parameters
    ----------
    folder : Path
        Its name depends on run, code and inputs, so that no other training resumes a state.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resume(self, training: Training) -> None:
        """Restore the latest readable state; damaged files are skipped."""
        found = self._newest_first()
        begun = copy.deepcopy(training.state()) if found else {}
        for path in found:
            try:
                training.restore(torch.load(path, map_location="cpu", weights_only=True))
            except Exception as error:  # whatever a damaged file makes torch raise
                training.restore(begun)  # undo a partial restore
                print(f"{path}: cannot be read ({error}); trying an older one", file=sys.stderr)
                continue
            print(f"resumed at step {training.step} from {path}", file=sys.stderr)
            return

    def file(self, step: int) -> Path:
        """Return the path of the state after ``step`` steps."""
        return self.folder / f"{step:012}.pt"

    def save(self, training: Training) -> bool:
        """Write the state atomically and delete all but the last `KEPT` states.

        If the state cannot be written, the older states are kept, the reason is logged, and the
        training continues.

        Returns
        -------
        bool
            True if the state was written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic(self.file(training.step)) as path:
                torch.save(training.state(), path)
        except (DiskFull, OSError) as error:
            there = self._newest_first()
            last = f"step {int(there[0].stem)}" if there else "none"
            print(
                f"step {training.step}: the state could not be saved, training goes on; the last "
                f"one is of {last}. {error}",
                file=sys.stderr,
            )
            return False
        self._drop_all_but(KEPT)
        return True

    @contextlib.contextmanager
    def finishing(self, training: Training) -> Iterator[None]:
        """Context in which the store is written; an error saves the finished training's state."""
        try:
            yield
        except Exception:
            self.save(training)
            raise
        self._drop_all_but(1)

    def remove_temporary_files(self) -> None:
        """Remove partial files of a killed process; the caller must hold the lock of the run."""
        for left in self.folder.glob(".*.tmp"):
            left.unlink(missing_ok=True)

    def _drop_all_but(self, number: int) -> None:
        for old in self._newest_first()[number:]:
            old.unlink()

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.pt"), reverse=True)


class CheckpointSaver:
    """Saves a training periodically, and at once when a signal asks the process to stop.

    Parameters
    ----------
    checkpoints : Checkpoints
    training : Training
    every : float, optional
        Seconds between two states; `seconds_between_states` if not given.

    Attributes
    ----------
    pause : float
        Seconds until the next state.
    """

    def __init__(
        self, checkpoints: Checkpoints, training: Training, every: float | None = None
    ) -> None:
        self.checkpoints, self.training = checkpoints, training
        self._every = seconds_between_states() if every is None else every
        self.pause = SAVE_EVERY if self._every is None else self._every
        self._last = time.monotonic()
        self._asked: int | None = None

    def after_step(self) -> None:
        """Save if `pause` seconds have passed since the last save, or if a signal asked to stop.

        Raises
        ------
        UserError
            After a signal to stop, once saving was tried. It is `OutOfTime` if the state was saved
            and the signal announces the time limit.
        """
        asked = self.asked()
        begun = time.monotonic()
        if asked is None and begun - self._last < self.pause:
            return
        saved = self.checkpoints.save(self.training)
        self._last = time.monotonic()
        if self._every is None:
            self.pause = max(SAVE_EVERY, (self._last - begun) / SHARE)
        if asked is not None:
            self._asked = asked  # the signal may have reached another process
            where = "there" if saved else "at the last saved state, see above"
            kind = OutOfTime if saved and asked == NEAR_THE_LIMIT else UserError
            raise kind(
                f"stopped by {signal.Signals(asked).name} at step {self.training.step} of "
                f"{len(self.training.rates)}; the same command resumes {where}"
            )

    def asked(self) -> int | None:
        """Return the signal that asked the process to stop, or None."""
        return self._asked

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Context in which a signal to stop takes effect after the current step, in `after_step`.

        After the first signal, later ones are ignored, so that they cannot cut short the error
        message: torchrun repeats the Ctrl-C that a terminal sends to all processes.
        """

        def ask(number: int, _: FrameType | None) -> None:
            self._asked = number

        before: dict[int, Any] = {number: signal.signal(number, ask) for number in STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler if self._asked is None else signal.SIG_IGN)


def seconds_between_states() -> float | None:
    """Return the seconds between saved states that the environment sets, or None.

    Raises
    ------
    UserError
        If the environment's value is not a number of seconds.
    """
    text = os.environ.get(SAVE_EVERY_FROM)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not seconds >= 0:
        raise UserError(
            f"{SAVE_EVERY_FROM}={text}: is not a number of seconds; write {SAVE_EVERY_FROM}=60, or "
            f"unset it"
        )
    return seconds


class Snapshots:
    """The snapshots that a recipe requests.

    They are kept beside the saved states until the training is complete, so that they are never
    confused with those of another training.

    Parameters
    ----------
    folder : Path
        The training's checkpoint folder.
    training : Training

    Attributes
    ----------
    files : dict of int to Path
        The files of the saved weights, by epoch.

    Raises
    ------
    UserError
        If a snapshot is not before the end of the training.
    """

    def __init__(self, folder: Path, training: Training) -> None:
        self.training = training
        epochs, steps = training.recipe["snapshots"], len(training.rates)
        if epochs[-1] * training.per_epoch >= steps:
            raise UserError(
                f"recipe: the snapshot after {epochs[-1]} epochs is not before the end of "
                f"{steps} steps, of which an epoch of this data has {training.per_epoch}; remove "
                f"it from snapshots, or write more steps"
            )
        self.files = {epoch: folder / SNAPSHOT.format(epoch=epoch) for epoch in epochs}

    def after_step(self) -> None:
        """Save the weights if a requested epoch has just ended."""
        epoch, begun = divmod(self.training.step, self.training.per_epoch)
        if epoch in self.files and not begun:
            with atomic(self.files[epoch]) as temporary:
                save_weights(self.training.model, temporary)
