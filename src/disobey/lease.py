"""A lease that lets one Snakemake at a time work in a folder.

Snakemake's own locks are files. ``kill -9`` leaves them behind, and then every call is refused
until ``--unlock``. The kernel drops the lease when its process ends. While no process holds it,
Snakemake's locks are stale, and SLURM jobs of this folder are left over from a killed run.
"""

import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from disobey.errors import UserError
from disobey.locks import Lock, say_without_locks
from disobey.stores.layout import lock_of

LEASE = Path(".snakemake/lease")
SNAKEMAKES_LOCKS = Path(".snakemake/locks")
LOOKING_SECONDS = 60.0  # [our choice]: longer than any call of `looking_around` takes


@contextlib.contextmanager
def looking_around() -> Iterator[bool]:
    """Hold the lease briefly; yield True if it was free, so that no Snakemake works here.

    If it was free, Snakemake's stale locks are removed.
    """
    lease = Lock(LEASE)
    free = lease.try_take(anonymous=True)
    try:
        if free and lease.real:
            remove_stale_locks()
        yield free
    finally:
        lease.release()


@contextlib.contextmanager
def working() -> Iterator[bool]:
    """Hold the lease while Snakemake works in this folder; yield whether locks work here.

    Raises a UserError, with advice, if another Snakemake works in the folder.
    """
    lease = Lock(LEASE)
    deadline = time.monotonic() + LOOKING_SECONDS
    while not lease.try_take():
        holder = lease.holder()  # None while another process is in `looking_around`
        if holder is not None or time.monotonic() > deadline:
            # A script's background jobs ignore SIGINT.
            stop = f"kill -INT {holder.pid}" if holder else "end it"
            wait = f"; kill -TERM {holder.pid} lets its running jobs end first" if holder else ""
            raise UserError(
                f"{os.getcwd()}: another snakemake works in this folder, "
                f"{holder or 'a process that does not say who it is'}. Wait until it has finished, "
                f"or stop it ({stop}; training saves its state{wait}); then call the same command "
                f"again"
            )
        time.sleep(0.1)
    try:
        if lease.real:
            remove_stale_locks()
        else:
            say_without_locks(LEASE)
        yield lease.real
    finally:
        lease.release()


def remove_stale_locks() -> None:
    """Remove Snakemake's locks; call it only while the lease is held."""
    if SNAKEMAKES_LOCKS.is_dir() and any(SNAKEMAKES_LOCKS.iterdir()):
        shutil.rmtree(SNAKEMAKES_LOCKS)
        print("disobey: an earlier run was killed here; this one goes on from it", file=sys.stderr)


def work_alone(workflow: Any, manifests: Iterable[str]) -> None:
    """Let ``workflow`` execute jobs, which may make ``manifests``, only under the lease.

    While a Snakefile is read, a run cannot be distinguished from ``--lint``, ``--report`` or
    ``--unlock``. Snakemake calls `execute` only for runs and dry runs, so the lease is taken there.
    If another run holds it, the wrapped method raises a WorkflowError.
    """
    from snakemake.exceptions import WorkflowError

    execute = workflow.execute

    @functools.wraps(execute)
    def execute_alone(executor_plugin: Any, *rest: Any, **named: Any) -> Any:
        run = functools.partial(execute, executor_plugin, *rest, **named)
        if executor_plugin.common_settings.dryrun_exec or not workflow.execution_settings.lock:
            return run()
        with contextlib.ExitStack() as stack:
            try:
                alone = stack.enter_context(working())
            except UserError as error:
                raise WorkflowError(str(error)) from None
            if executor_plugin.name == "slurm" and alone:  # else they may be another Snakemake's
                cancel_left_jobs(Path.cwd())
            for line in left_at_work(manifests):
                print(f"disobey: {line}", file=sys.stderr)
            return run()

    workflow.execute = execute_alone


def left_at_work(manifests: Iterable[str]) -> list[str]:
    """Describe the jobs of an earlier run that are still at work on ``manifests``."""
    held = ((name, Lock(lock_of(name)).held_by()) for name in manifests)
    return [
        f"{holder}, left by an earlier run, still makes {name}; the job of this run waits for it"
        for name, holder in held
        if holder is not None
    ]


# Snakemake names all SLURM jobs of a run by the run's random UUID, optionally after a prefix.
NAME_OF_A_RUN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def cancel_left_jobs(folder: Path) -> None:
    """Cancel and print this user's SLURM jobs of ``folder`` that an earlier Snakemake submitted.

    Call it only while the lease shows that no other Snakemake works there. When its turn came, a
    job that still waits in the queue would delete and remake stores that this run has made.
    """
    asked = ("squeue", "--me", "--noheader", "--format", "%i|%j|%Z")
    listed = _said(*asked, otherwise="jobs left in the queue are not looked for")
    # Lines without these columns are a banner or the name of a cluster.
    jobs = [line.split("|", 2) for line in (listed or "").splitlines() if line.count("|") >= 2]
    left = [
        job for job, name, place in jobs if NAME_OF_A_RUN.search(name) and Path(place) == folder
    ]
    if left:
        print(
            f"disobey: cancelling SLURM jobs {', '.join(left)} that an earlier run left; "
            f"training saves its state",
            file=sys.stderr,
        )
        cancel(left)


def cancel(jobs: Sequence[str]) -> None:
    """Call ``scancel``; only print its errors, since the caller waits for the jobs to end."""
    _said("scancel", *jobs, otherwise="waiting for the job to end by itself")


def start_again() -> bool:
    """Requeue the SLURM job of this process; return whether SLURM does so.

    The job keeps its number, so the Snakemake that submitted it keeps waiting for it and counts no
    failure. Only a job that Snakemake submitted is requeued.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if not job or not is_of_a_run(job):
        return False
    if _said("scontrol", "requeue", job, otherwise="the job is not started again") is None:
        return False
    print(f"SLURM starts job {job} again; it goes on from the saved state", file=sys.stderr)
    return True


def is_of_a_run(job: str) -> bool:
    """Return whether Snakemake submitted a SLURM job; others may be a user's own allocation.

    It asks ``squeue``, since inside a job ``SLURM_JOB_NAME`` is the name of a step.
    """
    asked = ("squeue", "--jobs", job, "--noheader", "--format", "%j")
    name = _said(*asked, otherwise=f"SLURM job {job} is left as it is")
    return name is not None and NAME_OF_A_RUN.search(name.strip()) is not None


def _said(*words: str, otherwise: str) -> str | None:
    """Return the output of a command; if it fails, print ``otherwise`` and return None."""
    nothing, pipe = subprocess.DEVNULL, subprocess.PIPE
    try:
        done = subprocess.run(words, check=True, timeout=60, stdin=nothing, stdout=pipe, text=True)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"disobey: {words[0]} failed ({error}); {otherwise}", file=sys.stderr)
        return None
    return done.stdout
