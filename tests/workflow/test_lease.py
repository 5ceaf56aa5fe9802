"""A folder has at most one run at a time, and a killed run does not block the next."""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from disobey import lease
from disobey.lease import LEASE, left_at_work, looking_around, working
from disobey.locks import Lock
from disobey.stores.layout import lock_of

from .conftest import TINY, Workflow, wait_until

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A folder with a running Snakemake, stopped so that it cannot finish too early."""
    workflow = Workflow(tmp_path_factory.mktemp("busy").resolve())
    shutil.copy(TINY, workflow.study)
    running = workflow.start()
    wait_until(lambda: list(workflow.folder.glob("results/*/.*.json.lock")), "no job at work")
    os.killpg(running.pid, signal.SIGSTOP)
    workflow.running = running
    yield workflow
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()


def test_a_second_run_is_refused_and_told_whom_to_wait_for(busy):
    second = busy.snakemake()
    printed = second.stdout + second.stderr
    assert second.returncode != 0
    told = rf"{busy.folder}: another snakemake works in this folder, process {busy.running.pid} on "
    assert re.search(told, printed)
    assert f"kill -INT {busy.running.pid}" in printed
    assert "Traceback" not in printed
    assert "Select jobs to execute" not in printed  # Snakemake prints this before it starts jobs


@pytest.mark.parametrize("words", [("--dry-run",), ("--summary",), ("--lint",)])
def test_whoever_only_looks_is_let_in_and_takes_nothing_away(words, busy):
    locks = sorted(busy.folder.glob(".snakemake/locks/*"))
    assert busy.snakemake(*words).returncode == 0
    assert sorted(busy.folder.glob(".snakemake/locks/*")) == locks
    assert busy.running.poll() is None


def test_the_next_run_needs_no_unlock_after_kill_9(fresh):
    first = fresh.start()
    wait_until(lambda: list(fresh.folder.glob("results/*/.*.json.lock")))
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert list(fresh.folder.glob(".snakemake/locks/*"))
    again = fresh.snakemake("--until", "prepare")
    first.communicate()
    printed = again.stdout + again.stderr
    assert again.returncode == 0, printed
    assert "an earlier run was killed here; this one goes on from it" in printed
    assert not list(fresh.folder.glob(".snakemake/locks/*"))


# --- the lease itself -----------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_looking_around_in_peace_removes_stale_locks(folder, capsys):
    stale = folder / ".snakemake/locks/0.input.lock"
    stale.parent.mkdir(parents=True)
    stale.touch()
    with looking_around() as nobody_works:
        assert nobody_works
    assert not stale.exists()
    assert "an earlier run was killed here" in capsys.readouterr().err


def test_looking_around_while_another_works_leaves_its_locks(folder):
    with working():
        lock = folder / ".snakemake/locks/0.input.lock"
        lock.parent.mkdir()
        lock.touch()
        with looking_around() as nobody_works:
            assert not nobody_works
        assert lock.exists()


def test_a_run_that_begins_while_another_looks_around_waits_for_the_moment(folder):
    code = (
        "import time\nfrom disobey.lease import looking_around\n"
        "with looking_around():\n    print('looking', flush=True)\n"
        "    time.sleep(1)\n    open('looked', 'x')"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with working():
            assert (folder / "looked").exists()


def test_without_locks_in_the_file_system_the_run_says_so_and_goes_on(folder, monkeypatch, capsys):
    def flock(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    locks = folder / ".snakemake/locks/0.input.lock"
    locks.parent.mkdir(parents=True)
    locks.touch()
    with looking_around(), working():
        assert locks.exists()  # another run might be active here
    assert "has no locks, so nothing keeps two runs apart" in capsys.readouterr().err


@pytest.mark.parametrize("real", [True, False])
def test_jobs_in_the_queue_are_cancelled_only_where_no_other_run_can_be_theirs(
    folder, monkeypatch, real
):
    cancelled = []
    monkeypatch.setattr(lease, "cancel_left_jobs", cancelled.append)
    monkeypatch.setattr(lease, "working", lambda: contextlib.nullcontext(real))
    workflow = SimpleNamespace(
        execute=lambda plugin: "executed", execution_settings=SimpleNamespace(lock=True)
    )
    lease.work_alone(workflow, [])
    slurm = SimpleNamespace(name="slurm", common_settings=SimpleNamespace(dryrun_exec=False))
    assert workflow.execute(slurm) == "executed"
    assert bool(cancelled) == real


def test_the_lease_ends_with_the_work(folder):
    with working():
        assert Lock(LEASE).held_by().pid == os.getpid()
    assert Lock(LEASE).held_by() is None


def test_jobs_left_at_work_are_named_with_what_they_make(folder):
    manifests = ["results/runs/a.json", "results/runs/b.json"]
    lock = Lock(lock_of(manifests[1]))
    assert lock.try_take()
    (line,) = left_at_work(manifests)
    assert line.startswith(f"process {os.getpid()} on ") and "still makes results/runs/b" in line
    lock.release(remove=True)
    assert left_at_work(manifests) == []
