"""Who is at work, seen without disturbing anybody: locks are looked at, never taken or written.

`disobey.locks.Lock.held_by` empties the file of a lock that is free; what a killed process left in
there is the sign that it was killed.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from disobey.locks import WITHOUT_LOCKS, Holder, Lock


@dataclass(frozen=True)
class Seen:
    """A lock as it was found.

    Attributes
    ----------
    held : bool
        Whether a living process holds it, on this machine or on another one.
    holder : Holder or None
        Who wrote into it: the living one, or one that was killed.
    real : bool
        False on a file system without locks, where nobody can tell.
    """

    held: bool = False
    holder: Holder | None = None
    real: bool = True


def look_at(path: Path) -> Seen:
    """Return who holds the lock at ``path``.

    A shared lock for an instant, on a file opened for reading: it is granted wherever nobody holds
    the lock, and writes nothing. Who tries to take the lock in that instant tries again.
    """
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return Seen()
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Seen(held=True, holder=Lock(path).holder())
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        return Seen(real=False)
    finally:
        os.close(file)
    return Seen(holder=Lock(path).holder())
