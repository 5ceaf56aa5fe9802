"""One process for each store, though jobs outlive a Snakemake that was killed.

Such an orphan still writes the files that a job of the next run is to make. The job waits for it,
and takes over what it made: the finished store, or a training's saved states.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from disobey import provenance
from disobey.errors import UserError
from disobey.locks import Holder, Lock, say_without_locks
from disobey.slurm import cancel
from disobey.stores.layout import lock_of, states_of
from disobey.stores.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    from disobey.job import Job

# Stages that save a state when they are asked to stop; the others are short.
RESUMABLE = ("train",)


@contextlib.contextmanager
def alone(job: "Job") -> Iterator[None]:
    """Hold the lock of the job's store, after waiting for whoever holds it.

    Without locks on the file system the job goes on and leaves leftovers where they are.
    """

    def waiting(holder: Holder) -> None:
        print(f"{job.output}: {holder} still makes it; waiting for that", file=sys.stderr)
        if job.stage in RESUMABLE:
            ask_to_stop(holder)

    lock = Lock(lock_of(job.output))
    lock.take(waiting)
    if not lock.real:
        say_without_locks(lock.path)
    job.alone = lock.real
    try:
        yield
    finally:
        lock.release(remove=True)


def ask_to_stop(holder: Holder) -> None:
    """Cancel the SLURM job that holds a lock: it saves its state, and its node is free again.

    Only from another SLURM job: a job that SLURM has started again bears its old number.
    """
    mine = os.environ.get("SLURM_JOB_ID")
    if not mine or not holder.slurm_job or holder.slurm_job == mine:
        return
    print(f"cancelling SLURM job {holder.slurm_job}: it saves its state", file=sys.stderr)
    cancel([holder.slurm_job])


def made_meanwhile(job: "Job") -> bool:
    """Return whether another process has made this very store, and all of it is there.

    Snakemake removes a job's outputs before it starts the job, so what is there was made since.
    The files are touched: Snakemake wants outputs to be newer than inputs.
    """
    try:
        found = read_manifest(job.output)
        same = (
            found.spec == job.spec
            and found.record.get("code") == job.code
            and found.record.get("inputs") == {str(m.path): m.content for m in job.inputs}
            and found.record.get("versions") == provenance.versions()
        )
        if not same or job.by_hand:
            return False
        for path in [found.file(name) for name in found.record["files"]]:
            path.touch()
    except UserError:
        return False
    job.output.touch()
    print(
        f"{job.output}: is there already, of the same spec, code and inputs; nothing to do "
        f"(delete it to make it again)",
        file=sys.stderr,
    )
    return True


def drop_states(inputs: Iterable[Manifest]) -> None:
    """Remove the saved states of the trainings that a finished job has read.

    Until then they stay, though the training is over: Snakemake deletes its store when it has not
    seen the job end.
    """
    for manifest in inputs:
        record = manifest.record
        if record.get("stage") != "train":
            continue
        contents = record["inputs"].values()
        folder = states_of(manifest.id, record["code"], record["versions"]["torch"], contents)
        lock = Lock(lock_of(manifest.path))
        if folder.is_dir() and lock.try_take():
            shutil.rmtree(folder, ignore_errors=True)
            lock.release(remove=True)
