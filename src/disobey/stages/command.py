"""The command of a stage: its options, the lock of its store, and the manifest at the end.

Jobs outlive a killed Snakemake, and such an orphan still writes files that a job of the next run
must make. This job waits for the orphan and takes over its work: the finished store, or the saved
states of a training.
"""

import argparse
import contextlib
import importlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from disobey import provenance
from disobey.errors import OutOfTime, UserError
from disobey.gpus import PLACES, take_card
from disobey.job import BY_HAND, Job
from disobey.lease import cancel, is_of_a_run, start_again
from disobey.locks import Holder, Lock, say_without_locks
from disobey.stores.layout import lock_of, states_of
from disobey.stores.manifest import Manifest, read_manifest
from disobey.stores.writer import FULL

# Stages that save a state when they receive a request to stop; the others are short.
RESUMABLE = ("train",)


@contextlib.contextmanager
def store_locked(job: "Job") -> Iterator[None]:
    """Hold the lock of the job's store, after waiting for its current holder.

    If the file system has no locks, the job continues without one and keeps leftover files.
    """

    def waiting(holder: Holder) -> None:
        print(f"{job.output}: {holder} still makes it; waiting for that", file=sys.stderr)
        if job.stage in RESUMABLE:
            ask_to_stop(holder)

    lock = Lock(lock_of(job.output))
    lock.take(waiting)
    if not lock.real:
        say_without_locks(lock.path)
    job.locked = lock.real
    try:
        yield
    finally:
        lock.release(remove=True)


def ask_to_stop(holder: Holder) -> None:
    """Cancel the SLURM job that holds a lock: it saves its state and frees its node.

    This job must be another SLURM job, because a job that SLURM restarts keeps its number, and the
    holder must be submitted by Snakemake, because a user's allocation may run other work.
    """
    mine = os.environ.get("SLURM_JOB_ID")
    if not mine or not holder.slurm_job or holder.slurm_job == mine:
        return
    if not is_of_a_run(holder.slurm_job):
        return
    print(f"cancelling SLURM job {holder.slurm_job}: it saves its state", file=sys.stderr)
    cancel([holder.slurm_job])


def made_meanwhile(job: "Job") -> bool:
    """Return True if another process has completed this job's store, and touch its files.

    Snakemake removes a job's outputs before it starts the job, so existing files were made since.
    They are touched because Snakemake requires outputs to be newer than inputs.
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

    They outlive the training because Snakemake deletes its store if it has not seen the job end.
    """
    for manifest in inputs:
        record = manifest.record
        if record.get("stage") != "train":
            continue
        contents = record["inputs"].values()
        # The code that the training ran with, whatever code was accepted since.
        code = record["accepted"][0]["from"] if record.get("accepted") else record["code"]
        folder = states_of(manifest.id, code, record["versions"]["torch"], contents)
        lock = Lock(lock_of(manifest.path))
        if folder.is_dir() and lock.try_take():
            shutil.rmtree(folder, ignore_errors=True)
            lock.release(remove=True)


# Stages whose store ids end with digits from their specs.
NAMED_BY_SPEC = ("pretrained", "prepare", "labels", "train", "basis", "compared", "classify")


def parser(stage: str, summary: str) -> argparse.ArgumentParser:
    """Return the command-line parser that all stages share."""
    made = argparse.ArgumentParser(prog=f"python -m disobey {stage}", description=summary)
    made.add_argument("--spec", type=_json, help="specification of the job, as JSON")
    made.add_argument("--code", default=BY_HAND, help="digest of the code for the manifest")
    made.add_argument("--files", type=_json, default={}, help="the user's files by split, as JSON")
    made.add_argument("--inputs", nargs="*", default=[], help="manifests of the upstream stores")
    made.add_argument(
        "--from-stdin",
        action="store_true",
        help="read spec (one line) and upstream manifests (one per line) from standard input",
    )
    made.add_argument("--output", required=True, type=Path, help="the manifest to write")
    made.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    made.add_argument("--threads", type=int, default=1)
    made.add_argument(
        "--places",
        type=int,
        default=PLACES,
        help=f"number of the {PLACES} places on a GPU that the job takes",
    )
    made.add_argument("--study-file", type=Path, help="study file to which the page links")
    made.add_argument("--source", help="location of the files whose content the spec names")
    return made


def parsed(stage: str, summary: str, arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of a call; spec and inputs, of any length, may be on standard input."""
    line = parser(stage, summary)
    options = line.parse_args(arguments)
    if options.from_stdin == (options.spec is not None):
        line.error("give either --spec or --from-stdin")
    if options.from_stdin:
        spec, *options.inputs = sys.stdin.read().splitlines() or [""]
        try:
            options.spec = _json(spec)
        except argparse.ArgumentTypeError as error:
            line.error(f"standard input, line 1: {error}")
    return options


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("is not a JSON object")
    return value


def main(stage: str, arguments: Sequence[str]) -> int:
    """Run one stage; return its exit status (2 if the user has to change something)."""
    module = importlib.import_module(f"disobey.stages.{stage}")
    options = parsed(stage, module.__doc__ or "", arguments)
    try:
        job = Job(
            stage,
            options.spec,
            options.code,
            tuple(read_manifest(path) for path in options.inputs),
            options.output,
            options.device,
            options.threads,
            options.files,
            options.source,
            study_file=options.study_file,
            take_card=partial(take_card, places=options.places),
        )
        _check_id(job)
        if _several_processes():
            from disobey.training.distributed import make_distributed  # torch is slow to load

            make_distributed(job, module.run, make)
        else:
            make(job, module.run)
    except UserError as error:
        print(f"disobey {stage}: {error}", file=sys.stderr)
        if isinstance(error, OutOfTime):
            start_again()
        return 2
    except OSError as error:  # outside of writing the store
        if error.errno not in FULL:
            raise
        print(f"disobey {stage}: {error}; free some space and call again", file=sys.stderr)
        return 2
    return 0


def _several_processes() -> bool:
    """Return True if torchrun started several processes; some clusters set WORLD_SIZE anyway."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.environ["WORLD_SIZE"] != "1"


def make(job: Job, run: Callable[[Job], None]) -> None:
    """Make the store of a job, unless another process has made it meanwhile."""
    with store_locked(job):
        started = time.time()
        if not made_meanwhile(job):
            run(job)
            job.record(started)
            if job.by_hand and job.states is not None:  # no later job would look for them
                shutil.rmtree(job.states, ignore_errors=True)
    drop_states(job.inputs)


def _check_id(job: Job) -> None:
    """Refuse to write the store of a spec under another spec's id."""
    digits = provenance.spec_digits(job.spec)
    named = job.stage in NAMED_BY_SPEC
    if named and not job.id.endswith(f"-{digits}"):
        raise UserError(
            f"--output {job.output}: the id of this spec ends with -{digits}; another spec may "
            f"not be stored under the name {job.id}"
        )
