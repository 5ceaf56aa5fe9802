"""One Snakemake at a time in a folder, and no stale lock after one that was killed.

Snakemake's own locks are files that ``kill -9`` leaves behind, and then each call is refused until
somebody calls ``--unlock``. The kernel drops a lease: while nobody holds it, those files are stale.
"""

import contextlib
import functools
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from disobey.errors import UserError
from disobey.locks import Lock, say_without_locks
from disobey.slurm import cancel_left_jobs
from disobey.stores.layout import lock_of

LEASE = Path(".snakemake/lease")
SNAKEMAKES_LOCKS = Path(".snakemake/locks")
A_MOMENT = 60.0  # seconds [our choice]: longer than any call takes to look around


@contextlib.contextmanager
def looking_around() -> Iterator[bool]:
    """Hold the lease for a moment; yield whether it was free, and so nobody works here."""
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

    Raises
    ------
    UserError
        When another one does, with what to do about it.
    """
    lease = Lock(LEASE)
    deadline = time.monotonic() + A_MOMENT
    while not lease.try_take():
        holder = lease.holder()  # None: somebody looks around for a moment
        if holder is not None or time.monotonic() > deadline:
            # What a script puts into the background heeds no SIGINT.
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


def work_alone(workflow: Any, manifests: Iterable[str]) -> None:  # noqa: ANN401
    """Let ``workflow`` execute jobs only under the lease.

    While a Snakefile is read nothing tells a run from ``--lint``, ``--report`` or ``--unlock``.
    Snakemake calls `execute` for runs and dry runs alone, so this is where the lease is taken.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        Of the main process.
    manifests : iterable of str
        All that the run may make.

    Raises
    ------
    snakemake.exceptions.WorkflowError
        By the wrapped method, when another run holds the lease.
    """
    from snakemake.exceptions import WorkflowError

    execute = workflow.execute

    @functools.wraps(execute)
    def execute_alone(executor_plugin: Any, *rest: Any, **named: Any) -> Any:  # noqa: ANN401
        run = functools.partial(execute, executor_plugin, *rest, **named)
        if executor_plugin.common_settings.dryrun_exec or not workflow.execution_settings.lock:
            return run()
        with contextlib.ExitStack() as stack:
            try:
                alone = stack.enter_context(working())
            except UserError as error:
                raise WorkflowError(str(error)) from None
            if executor_plugin.name == "slurm" and alone:  # or they may be another Snakemake's
                cancel_left_jobs(Path.cwd())
            for line in left_at_work(manifests):
                print(f"disobey: {line}", file=sys.stderr)
            return run()

    workflow.execute = execute_alone


def left_at_work(manifests: Iterable[str]) -> list[str]:
    """Return in words which jobs of an earlier run are still at work on ``manifests``."""
    held = ((name, Lock(lock_of(name)).held_by()) for name in manifests)
    return [
        f"{holder}, left by an earlier run, still makes {name}; the job of this run waits for it"
        for name, holder in held
        if holder is not None
    ]
