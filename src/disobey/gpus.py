"""The number of GPUs of this machine, and the choice of a GPU for a job.

Snakemake counts GPUs but assigns none: without this module all jobs would run on the first one.
A GPU has `PLACES` places. A job takes all of them, or some if it is small enough to share the GPU.
"""

import contextlib
import functools
import glob
import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from disobey.errors import UserError
from disobey.locks import Holder, Lock, say_without_locks

PLACES = 8  # per GPU, which 2, 4 or 8 jobs can share evenly
NVIDIA = "/dev/nvidia[0-9]*"
# One line for each GPU: "81559, Default".
LISTING = ("nvidia-smi", "--query-gpu=memory.total,compute_mode", "--format=csv,noheader,nounits")
MPS_FOLDER = "CUDA_MPS_PIPE_DIRECTORY"


@dataclass(frozen=True)
class Listing:
    """The GPUs that a job sees on this machine, as NVIDIA's driver lists them.

    ``count`` is None if only torch can determine it; ``memory_mb`` is the memory of the smallest
    GPU, None if unknown. ``shareable`` is True if several processes can use a GPU at a time: in the
    compute mode "Exclusive_Process" this needs MPS.
    """

    count: int | None
    memory_mb: int | None = None
    shareable: bool = True


def listing() -> Listing:
    """Return this machine's GPUs, without those that CUDA_VISIBLE_DEVICES hides."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "").startswith("MIG-"):  # parts of GPUs
        return Listing(gpus_seen())
    try:
        said = subprocess.run(
            LISTING, capture_output=True, text=True, timeout=60, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return Listing(gpus_seen())
    rows = [[word.strip() for word in line.split(",")] for line in said.splitlines()]
    rows = [row for row in rows if len(row) == 2 and row[1] != "Prohibited"]
    memory = [int(row[0]) for row in rows if row[0].isdecimal()]
    exclusive = any(row[1] == "Exclusive_Process" for row in rows)
    visible = gpus_seen() if "CUDA_VISIBLE_DEVICES" in os.environ else len(rows)
    return Listing(visible, min(memory, default=None), not exclusive or mps_runs())


def gpus_seen() -> int | None:
    """Return the number of GPUs that a job sees here; None if only torch can determine it."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name not in ("", "-1")])
    return len(glob.glob(NVIDIA)) or None


def mps_runs() -> bool:
    """Return whether NVIDIA's Multi-Process Service runs; CUDA then uses it automatically."""
    return (Path(os.environ.get(MPS_FOLDER, "/tmp/nvidia-mps")) / "control").exists()


def take_card(cards: Sequence[str], places: int = PLACES) -> int:
    """Reserve places on a GPU until this process ends; return the position of the GPU.

    Waits, and prints a message, while too few places are free.

    Parameters
    ----------
    cards : sequence of str
        A name for each GPU that the process may use, the same in every process of the machine.
    places : int
        Number of places to take; `PLACES` or more take the whole GPU.
    """
    if not 0 < places < PLACES:
        return take_cards(cards, 1)[0]
    return _shared(tuple(cards), places)[0]


def take_cards(cards: Sequence[str], count: int) -> list[int]:
    """Reserve ``count`` whole GPUs until this process ends; return their positions.

    Raises a UserError if there are fewer GPUs, since waiting would never end; see `take_card`.
    """
    if len(cards) < count:
        raise UserError(
            f"gpus: {count}, but a job sees {len(cards)} here ({', '.join(cards)}); write "
            f"gpus: {len(cards)}, or let it see more (CUDA_VISIBLE_DEVICES)"
        )
    return list(_whole(tuple(cards), count))


@functools.cache  # a second call returns the same GPU, and the locks live as long as the process
def _shared(cards: tuple[str, ...], places: int) -> tuple[int, list[Lock]]:
    """Take some places on one GPU, all at once; no GPU is shared while another one is free."""
    groups = [
        (position, [Lock(path) for path in _locks_of(card)[first : first + places]])
        for first in range(0, PLACES, places)
        for position, card in enumerate(cards)
    ]
    position, locks = _waited_for(groups)
    _say(cards, position)
    return position, locks


@functools.cache
def _whole(cards: tuple[str, ...], count: int) -> dict[int, list[Lock]]:
    """Take all places on ``count`` GPUs, holding those already taken while waiting for the rest."""
    every = [
        (position, [Lock(path)])
        for paths in zip(*map(_locks_of, cards), strict=True)
        for position, path in enumerate(paths)
    ]
    taken: dict[int, list[Lock]] = {}
    with _turn():
        while len(taken) < count:
            position, locks = _waited_for([one for one in every if one[0] not in taken])
            taken[position] = locks
            for same, others in every:
                if same == position and others is not locks:
                    taken[position] += _waited_for([(same, others)])[1]
            _say(cards, position)
    return taken


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Ensure that only one process of this machine waits for places while it holds others.

    Two such processes could deadlock. Processes that share a GPU hold no place while they wait.
    """

    def waiting(holder: Holder) -> None:
        print(f"{holder} is waiting for a whole GPU; waiting for that", file=sys.stderr)

    turn = Lock(lock_folder() / "whole.lock")
    turn.take(waiting)
    try:
        yield
    finally:
        turn.release()


def _waited_for(groups: Sequence[tuple[int, list[Lock]]]) -> tuple[int, list[Lock]]:
    """Take the first group of places that is free, or becomes free."""
    found = first_free(groups)
    if found is None:
        every = [lock for _, locks in groups for lock in locks]
        holders = sorted({str(holder) for holder in map(Lock.held_by, every) if holder})
        count = len({position for position, _ in groups})
        print(
            f"{'the GPU is' if count == 1 else f'all {count} GPUs are'} taken, by "
            f"{'; '.join(holders) or 'a process unknown'}; waiting. "
            f"jobs_per_gpu: 2 in the study file lets two jobs share a GPU",
            file=sys.stderr,
        )
    while found is None:
        time.sleep(1)
        found = first_free(groups)
    if not all(lock.real for lock in found[1]):
        say_without_locks(found[1][0].path)
    return found


def first_free(groups: Iterable[tuple[int, list[Lock]]]) -> tuple[int, list[Lock]] | None:
    """Take the first group of locks that are all free; None if there is none."""
    for position, locks in groups:
        held = list(itertools.takewhile(Lock.try_take, locks))
        if len(held) == len(locks):
            return position, locks
        for lock in held:
            lock.release()
    return None


def _say(cards: Sequence[str], position: int) -> None:
    print(f"GPU {position + 1} of {len(cards)}: {cards[position]}", file=sys.stderr)


def _locks_of(card: str) -> list[Path]:
    """Return the file of the lock of each place on a GPU."""
    name = re.sub("[^A-Za-z0-9-]", "_", card)
    return [lock_folder() / f"{name}.{place}.lock" for place in range(PLACES)]


def lock_folder() -> Path:
    """Return the folder of this user's locks on this machine."""
    return Path(tempfile.gettempdir()) / f"disobey-gpus-{os.getuid()}"
