"""Locks that end with the process that holds them, however it ends.

A lock is a `flock <https://man7.org/linux/man-pages/man2/flock.2.html>`_ on a small file. The
kernel drops it when its holder dies, so no lock is ever left behind; the content of the file is for
people only. Child processes do not inherit it: Python closes its files in programs that it starts.
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
    """The process that holds a lock, its machine, since when (UTC), and its SLURM job if any."""

    pid: int
    host: str
    since: str
    slurm_job: str | None = None

    @classmethod
    def this_process(cls) -> "Holder":
        """Return this very process, from now on."""
        now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        return cls(os.getpid(), platform.node(), now, os.environ.get("SLURM_JOB_ID"))

    def __str__(self) -> str:
        job = f"SLURM job {self.slurm_job}, " if self.slurm_job else ""
        return f"{job}process {self.pid} on {self.host} since {self.since}"


class Lock:
    """One lock on the file ``path``, which is created with its folder when needed.

    It is not ``real`` after it was taken on a file system without locks: nothing protects then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.real = True
        self._file: int | None = None

    def try_take(self, *, anonymous: bool = False) -> bool:
        """Take the lock if nobody else holds it; return whether it is held now.

        ``anonymous`` leaves the file empty: held for a moment only, nobody needs to know by whom.
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
            os.close(file)  # its last holder removed it between open and flock: once more

    def take(self, waiting: Callable[[Holder], None], every: float = 0.5) -> None:
        """Take the lock; try ``every`` so many seconds, since signals must be heeded meanwhile.

        ``waiting`` is called once with each holder, as soon as it is known.
        """
        told = None
        while not self.try_take():
            holder = self.holder()
            if holder is not None and holder != told:
                waiting(holder)
                told = holder
            time.sleep(every)

    def release(self, *, remove: bool = False) -> None:
        """Release the lock; ``remove`` takes the file away too. Does nothing if it is not held."""
        if self._file is None:
            return
        if remove:  # while it is held: whoever opened it before sees that it is gone
            self.path.unlink(missing_ok=True)
        else:
            self._write("")
        os.close(self._file)
        self._file = None

    def holder(self) -> Holder | None:
        """Return who wrote into the file; None if nobody did or it was cut short."""
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
        """Return whether the open file is the one that the path names."""
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

    It is ``held`` if a living process of any machine holds it. ``holder`` wrote into it: a living
    process, or one that was killed. Without ``real`` locks on the file system nobody can tell.
    """

    held: bool = False
    holder: Holder | None = None
    real: bool = True


def look_at(path: Path) -> Seen:
    """Return the state of the lock at ``path`` without changing it.

    It takes a shared lock for an instant and writes nothing: `Lock.held_by` would empty the file
    of a free lock, and with it the name of a process that was killed.
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
    """Say in one line that the file system of ``path`` has no locks."""
    print(
        f"{path.parent}: this file system has no locks, so nothing keeps two runs apart; "
        f"call snakemake in this folder one at a time",
        file=sys.stderr,
    )
