"""Which GPU of this machine a job takes, so that two jobs share one only where they may.

Snakemake counts GPUs but gives none out: without this, all jobs would run on the first one.
"""

import contextlib
import functools
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from disobey.errors import UserError
from disobey.locks import Holder, Lock, say_without_locks

JOBS_PER_GPU = "DISOBEY_JOBS_PER_GPU"


def take_card(cards: Sequence[str]) -> int:
    """Return the position of a free GPU, which is then this process's own until it ends.

    Waits while all are taken, and says so.

    Parameters
    ----------
    cards : sequence of str
        What names each GPU that the process may use, the same in every process of the machine.
    """
    return take_cards(cards, 1)[0]


def take_cards(cards: Sequence[str], count: int) -> list[int]:
    """Return the positions of ``count`` different GPUs, this process's own until it ends.

    Parameters
    ----------
    cards : sequence of str
        As for `take_card`.
    count : int

    Raises
    ------
    UserError
        Where there are fewer, so that waiting would never end.
    """
    if len(cards) < count:
        raise UserError(
            f"gpus: {count}, but a job sees {len(cards)} here ({', '.join(cards)}); write "
            f"gpus: {len(cards)}, or let it see more (CUDA_VISIBLE_DEVICES)"
        )
    return [position for position, _ in _taken(tuple(cards), count)]


@functools.cache  # a process that asks again gets the same, and the locks live as long as it does
def _taken(cards: tuple[str, ...], count: int) -> list[tuple[int, Lock]]:
    places = [
        (position, Lock(lock_folder() / name))
        for position, name in places_on(cards, jobs_per_card())
    ]
    taken: list[tuple[int, Lock]] = []
    with _turn() if count > 1 else contextlib.nullcontext():
        while len(taken) < count:
            held = {position for position, _ in taken}
            others = [place for place in places if place[0] not in held]
            taken.append(_waited_for(others, cards))
    return taken


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Be the only process of this machine that holds a GPU and waits for another one.

    Two of them could hold what the other one waits for. Those that want a single GPU hold none
    while they wait, and end some time.
    """

    def waiting(holder: Holder) -> None:
        print(f"{holder} is taking several GPUs; waiting for that", file=sys.stderr)

    turn = Lock(lock_folder() / "several.lock")
    turn.take(waiting)
    try:
        yield
    finally:
        turn.release()


def _waited_for(places: Sequence[tuple[int, Lock]], cards: Sequence[str]) -> tuple[int, Lock]:
    """Take the first place that is free, or becomes free."""
    found = first_free(places)
    if found is None:
        holders = {str(lock.holder() or "a process unknown") for _, lock in places}
        print(
            f"all {len({position for position, _ in places})} GPUs are taken, by "
            f"{'; '.join(sorted(holders))}; waiting for one. "
            f"{JOBS_PER_GPU}=2 would let two jobs share each",
            file=sys.stderr,
        )
    while found is None:
        time.sleep(1)
        found = first_free(places)
    position, lock = found
    if not lock.real:
        say_without_locks(lock.path)
    print(f"GPU {position + 1} of {len(cards)}: {cards[position]}", file=sys.stderr)
    return position, lock


def places_on(cards: Sequence[str], per_card: int) -> list[tuple[int, str]]:
    """Return ``(position, name of the lock)`` of every place for a job, in the order to try.

    A second place on a card comes after the first ones of all cards.
    """
    return [
        (position, f"{re.sub('[^A-Za-z0-9-]', '_', card)}.{place}.lock")
        for place in range(per_card)
        for position, card in enumerate(cards)
    ]


def first_free(places: Iterable[tuple[int, Lock]]) -> tuple[int, Lock] | None:
    """Take the first lock that is free; None where none is."""
    return next(((position, lock) for position, lock in places if lock.try_take()), None)


def jobs_per_card() -> int:
    """Return how many jobs may share a GPU: one, or as the environment says.

    Raises
    ------
    UserError
        Where the environment says something that is no number of jobs.
    """
    text = os.environ.get(JOBS_PER_GPU, "1")
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"{JOBS_PER_GPU}={text}: is no number of jobs; write {JOBS_PER_GPU}=2")
    return int(text)


def lock_folder() -> Path:
    """Return the folder of the locks: of this machine, and of this user."""
    return Path(tempfile.gettempdir()) / f"disobey-gpus-{os.getuid()}"
