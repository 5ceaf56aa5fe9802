"""Locks between real processes are exclusive, and released when their holder ends in any way."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from disobey.locks import Lock, Seen, look_at


def process(code, *words, **environment):
    """Start Python; it prints a line when it is ready."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, words)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | environment,
    )  # fmt: skip


HOLD = """
    import sys
    from pathlib import Path
    from disobey.locks import Lock
    lock = Lock(Path(sys.argv[1]))
    print(lock.try_take(), flush=True)
    sys.stdin.readline()
    lock.release(remove=True)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "lock"


@pytest.fixture
def holder(path):
    """Another process that holds the lock."""
    with process(HOLD, path, SLURM_JOB_ID="41") as other:
        assert other.stdout.readline() == "True\n"
        yield other
        other.kill()


def test_a_lock_is_held_by_one_process(path, holder):
    assert not Lock(path).try_take()
    holder.communicate("\n")
    assert Lock(path).try_take()


def test_it_is_free_as_soon_as_its_holder_is_killed(path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert path.exists()  # what kill -9 leaves is no lock
    assert Lock(path).try_take()


def test_it_says_who_holds_it(path, holder):
    found = Lock(path).held_by()
    assert (found.pid, found.host, found.slurm_job) == (holder.pid, os.uname().nodename, "41")
    assert str(found).startswith(f"SLURM job 41, process {holder.pid} on ")
    holder.communicate("\n")
    assert Lock(path).held_by() is None


def test_looking_at_a_lock_creates_nothing(path):
    assert Lock(path).held_by() is None
    assert not path.parent.exists()


def test_a_program_that_the_holder_started_does_not_keep_it(path):
    code = """
        import subprocess, sys
        from pathlib import Path
        from disobey.locks import Lock
        lock = Lock(Path(sys.argv[1]))
        assert lock.try_take()
        print(subprocess.Popen(["sleep", "900"], close_fds=False).pid, flush=True)
        sys.stdin.readline()
    """
    with process(code, path) as parent:
        orphan = int(parent.stdout.readline())
        try:
            parent.kill()
            parent.wait()
            assert Lock(path).try_take()
        finally:
            os.kill(orphan, signal.SIGKILL)


def test_waiting_tells_for_whom_and_ends_when_it_is_gone(path, holder):
    told = []

    def waiting(found):
        told.append(found.pid)
        holder.kill()

    Lock(path).take(waiting, every=0.05)
    assert told == [holder.pid]


def test_no_two_hold_it_though_each_removes_the_file(path):
    """The file of a lock may go only in a way that nobody locks what is no longer there."""
    count = path.with_name("count")
    path.parent.mkdir()
    count.write_text("0")
    code = """
        import sys
        from pathlib import Path
        from disobey.locks import Lock
        count = Path(sys.argv[2])
        for _ in range(100):
            lock = Lock(Path(sys.argv[1]))
            lock.take(lambda holder: None, every=0.0001)
            count.write_text(str(int(count.read_text()) + 1))
            lock.release(remove=True)
    """
    others = [process(code, path, count) for _ in range(4)]
    assert [other.wait(900) for other in others] == [0, 0, 0, 0]
    assert count.read_text() == "400"
    assert not path.exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_no_obstacle(number, path, monkeypatch):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    lock = Lock(path)
    assert lock.try_take()
    assert not lock.real
    lock.release(remove=True)


def test_a_file_that_another_machine_removed_is_opened_again(path, monkeypatch):
    real, calls = fcntl.flock, []

    def stale_once(file, how):
        calls.append(how)
        if len(calls) == 1:
            raise OSError(errno.ESTALE, "stale file handle")
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", stale_once)
    lock = Lock(path)
    assert lock.try_take() and lock.real
    lock.release()
    calls.clear()
    assert look_at(path) == Seen()


def test_other_failures_are_not_taken_for_a_lock(path, monkeypatch):
    def flock(*_):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="input/output"):
        Lock(path).try_take()
    with pytest.raises(OSError, match="input/output"):
        look_at(path)


def test_a_full_disk_is_no_reason_to_have_no_lock(path, monkeypatch):
    def pwrite(*_):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "pwrite", pwrite)
    lock = Lock(path)
    assert lock.try_take()
    assert not Lock(path).try_take()
    assert Lock(path).holder() is None
