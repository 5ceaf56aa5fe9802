"""Locks that are released when the process that holds them ends, however it ends.

A lock is a `flock <https://man7.org/linux/man-pages/man2/flock.2.html>`_ on a small file. The
kernel drops it when its holder dies, so no lock is ever left behind; the content of the file is
only information. Child processes do not inherit the lock: Python closes its files in programs that
it starts.
"""

import contextlib
import errno
import fcntl
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

# Errors of flock on file systems without locks, such as some mounts of NFS and Lustre.
WITHOUT_LOCKS = (
    errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL,
)  # fmt: skip


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock, its machine, start time (UTC), and SLURM job if any."""

    pid: int
    host: str
    since: str
    slurm_job: str | None = None

    @classmethod
    def this_process(cls) -> "Holder":
        """Return a holder that is this process, starting now."""
        now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        return cls(os.getpid(), platform.node(), now, os.environ.get("SLURM_JOB_ID"))

    def __str__(self) -> str:
        job = f"SLURM job {self.slurm_job}, " if self.slurm_job else ""
        return f"{job}process {self.pid} on {self.host} since {self.since}"


class Lock:
    """One lock on the file ``path``, which is created with its folder when needed.

    ``real`` is False after it was taken on a file system without locks, where it has no effect.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.real = True
        self._file: int | None = None

    def try_take(self, *, anonymous: bool = False) -> bool:
        """Take the lock if no other process holds it; return whether it is held now.

        ``anonymous`` leaves the file empty, for a lock that is held only for a moment.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                return False
            except OSError as error:
                os.close(file)
                if error.errno == errno.ESTALE:  # NFS: another machine removed it after open
                    continue
                if error.errno not in WITHOUT_LOCKS:
                    raise
                self.real = False
                return True
            if self._is_still(file):
                self._file = file
                self._write("" if anonymous else json.dumps(asdict(Holder.this_process())))
                return True
            os.close(file)  # its last holder removed it between open and flock: try again

    def take(self, waiting: Callable[[Holder], None], every: float = 0.5) -> None:
        """Wait for the lock and take it; try each ``every`` seconds, so that signals are handled.

        ``waiting`` is called once with each holder, as soon as that holder is known.
        """
        told = None
        while not self.try_take():
            holder = self.holder()
            if holder is not None and holder != told:
                waiting(holder)
                told = holder
            time.sleep(every)

    def release(self, *, remove: bool = False) -> None:
        """Release the lock, and delete its file if ``remove``. Does nothing if it is not held."""
        if self._file is None:
            return
        if remove:  # while held: processes that opened it before notice that it is gone
            self.path.unlink(missing_ok=True)
        else:
            self._write("")
        os.close(self._file)
        self._file = None

    def holder(self) -> Holder | None:
        """Return the holder written in the file; None if the file is empty or truncated."""
        try:
            return Holder(**json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def held_by(self) -> Holder | None:
        """Return the present holder, or None if the lock is free; create nothing."""
        if not self.path.exists():
            return None
        free = self.try_take(anonymous=True)
        if free:
            self.release()
        return None if free else self.holder()

    def _is_still(self, file: int) -> bool:
        """Return whether the open file is still the file at the path."""
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return False
        mine = os.fstat(file)
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)

    def _write(self, text: str) -> None:
        assert self._file is not None
        with contextlib.suppress(OSError):  # the disk may be full; the lock holds all the same
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, text.encode(), 0)


@dataclass(frozen=True)
class Seen:
    """A lock as `look_at` found it.

    ``held`` is True if a living process of any machine holds it. ``holder`` is the process that
    last wrote into it, living or killed. Without ``real`` locks on the file system, ``held`` is
    unreliable.
    """

    held: bool = False
    holder: Holder | None = None
    real: bool = True


def look_at(path: Path) -> Seen:
    """Return the state of the lock at ``path`` without changing it.

    It takes a shared lock for an instant and writes nothing, whereas `Lock.held_by` would empty the
    file of a free lock and so lose the name of a killed process.
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
        if error.errno == errno.ESTALE:  # NFS: another machine removed it after open
            return Seen()
        if error.errno not in WITHOUT_LOCKS:
            raise
        return Seen(real=False)
    finally:
        os.close(file)
    return Seen(holder=Lock(path).holder())


def say_without_locks(path: Path) -> None:
    """Print one line saying that the file system of ``path`` has no locks."""
    print(
        f"{path.parent}: this file system has no locks, so nothing keeps two runs apart; "
        f"call snakemake in this folder one at a time",
        file=sys.stderr,
    )
