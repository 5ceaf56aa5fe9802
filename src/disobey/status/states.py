"""The state of every job of a study, from what is on disk; nothing is written.

==========  ======================================================================================
done        its manifest exists and agrees with the plan (`disobey.study.staleness`)
running     a living process holds its lock, on whatever machine
stale       its manifest exists, and ``why`` has reasons to make it again
stopped     no manifest, and its log ends with a signal that asked it to stop, such as Ctrl-C; the
            next call goes on, a training where it was
failed      no manifest, and a killed process left its name in the job's lock, or the job's log
            ends with an error
missing     all others: not yet begun, or waiting in a queue
==========  ======================================================================================
"""

import re
import time
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from disobey.lease import LEASE
from disobey.locks import Holder, Seen, look_at
from disobey.status.durations import Durations, Left, left_of
from disobey.stores.layout import lock_of, log_of
from disobey.stores.manifest import Manifest
from disobey.study.digests import CodeDigests
from disobey.study.jobs import Plan, PlannedJob
from disobey.study.staleness import Manifests, why

TAIL = 64 << 10  # bytes: errors and the last state of a bar are at the end of a log
# ``43%|####3     | 86/200 [00:12<00:16, 7.03step/s, loss=0.4]``, as tqdm writes it
BAR = re.compile(
    r"\d+%\|.*?\| (?P<done>\d+)/(?P<total>\d+) \[(?P<elapsed>[\d:]+)<(?P<left>[\d:]+|\?)"
    r"(?:, *(?P<rate>[\d.]+)(?P<unit>step/s|s/step))?"
)
TRACEBACK = "Traceback (most recent call last)"
# A training says how far it came and where its state is; other jobs just end.
STOPPED = re.compile(r"disobey train: stopped by SIG\w+ at step |KeyboardInterrupt$")


class State(StrEnum):
    """What a job can be."""

    DONE = "done"
    RUNNING = "running"
    STALE = "stale"
    STOPPED = "stopped"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True)
class Bar:
    """How far a training is, as its log says.

    Attributes
    ----------
    done, total : int
        Steps.
    left, whole : float or None
        Seconds until its end, and of all steps, at the rate of its last steps.
    """

    done: int
    total: int
    left: float | None
    whole: float | None


@dataclass(frozen=True)
class JobStatus:
    """The state of one job.

    Attributes
    ----------
    job : PlannedJob
    state : State
    log : Path
        Whether it exists or not.
    reasons : tuple of str
        Why a stale job would run again.
    error : str or None
        The line that says most about why a job failed or stopped.
    bar : Bar or None
        Of a running training.
    holder : Holder or None
        The process of a running job.
    """

    job: PlannedJob
    state: State
    log: Path
    reasons: tuple[str, ...] = ()
    error: str | None = None
    bar: Bar | None = None
    holder: Holder | None = None


@dataclass(frozen=True)
class StudyStatus:
    """The state of a study.

    Attributes
    ----------
    plan : Plan
    jobs : dict of JobStatus, by stage and key
    snakemake : Seen
        The lease: whether a Snakemake is at work in this folder, and which.
    left : Left
        Of all jobs that are not done.
    at_once : float or None
        How many seconds of jobs the Snakemake at work gets done in a second, on average so far;
        None if none is at work.
    locks : bool
        False if the file system has no locks, so that running jobs may not be seen.
    """

    plan: Plan
    jobs: dict[tuple[str, str], JobStatus]
    snakemake: Seen
    left: Left
    at_once: float | None = None
    locks: bool = True

    def of(self, state: State) -> list[JobStatus]:
        """Return the jobs of one state, upstream first."""
        return [job for job in self.jobs.values() if job.state == state]


def study_status(plan: Plan, digests: CodeDigests) -> StudyStatus:
    """Return how far a study is now."""
    manifests = Manifests()
    reasons = why(plan, digests, manifests)
    locks = {job.manifest: look_at(lock_of(job.manifest)) for job in plan.jobs.values()}
    jobs = {
        name: _status(job, tuple(reasons.get(name, ())), manifests, locks[job.manifest])
        for name, job in plan.jobs.items()
    }
    lease = look_at(LEASE)
    real = lease.real and all(seen.real for seen in locks.values())
    at_once = _at_once(jobs, manifests, lease)
    return StudyStatus(plan, jobs, lease, _left(plan, jobs), at_once, real)


def _status(
    job: PlannedJob, reasons: tuple[str, ...], manifests: Manifests, lock: Seen
) -> JobStatus:
    log = Path(log_of(job.stage, job.key))
    if lock.held:
        bar = last_bar(log) if job.stage == "train" else None
        return JobStatus(job, State.RUNNING, log, bar=bar, holder=lock.holder)
    if manifests.get(job.manifest) is not None:
        return JobStatus(job, State.STALE if reasons else State.DONE, log, reasons)
    said, is_error = last_words(log, job.stage)
    if said is not None and STOPPED.match(said):
        return JobStatus(job, State.STOPPED, log, error=said)
    if is_error:
        return JobStatus(job, State.FAILED, log, error=said)
    if lock.holder is not None:
        words = f"was killed, perhaps for its memory: {lock.holder}"
        return JobStatus(job, State.FAILED, log, error=words)
    return JobStatus(job, State.MISSING, log)


def last_words(log: Path, stage: str) -> tuple[str | None, bool]:
    """Return the line of a log that says most about why its job ended, and if it is an error.

    An error of ours is one line, ``disobey <stage>: ...``; of a traceback the last line counts.
    """
    lines = [line for line in _lines(log) if line.strip() and not BAR.search(line)]
    own = [line for line in lines if line.startswith(f"disobey {stage}: ")]
    if own:
        return own[-1].strip(), True
    starts = [index for index, line in enumerate(lines) if TRACEBACK in line]
    if starts:  # its frames are indented; the message may have further lines
        raised = [line for line in lines[starts[-1] + 1 :] if not line[0].isspace()]
        return (raised or lines[-1:])[0].strip(), True
    return (lines[-1].strip() if lines else None), False


def last_bar(log: Path) -> Bar | None:
    """Return the newest state of a job's bar, or None if its log has none."""
    found = None
    for line in _lines(log):
        found = BAR.search(line) or found
    if found is None:
        return None
    done, total, rate = int(found["done"]), int(found["total"]), float(found["rate"] or 0)
    if not rate:
        return Bar(done, total, None, None)
    per_step = 1 / rate if found["unit"] == "step/s" else rate
    return Bar(done, total, (total - done) * per_step, total * per_step)


def _lines(log: Path) -> list[str]:
    """Return the lines at the end of a log; a bar that was rewritten in place has many."""
    try:
        with open(log, "rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - TAIL))
            return re.split(r"[\r\n]+", stream.read().decode("utf-8", "replace"))
    except OSError:
        return []


def _left(plan: Plan, jobs: Mapping[tuple[str, str], JobStatus]) -> Left:
    """Return what is left, by the times in manifests and the bars of running trainings."""
    durations = Durations.measured(plan)
    for found in jobs.values():
        if found.bar and found.bar.whole is not None and durations.of(found.job) is None:
            durations.learn(found.job, found.bar.whole)
    todo = [found for found in jobs.values() if found.state != State.DONE]
    seconds = {found.job.manifest: _seconds_left(found, durations) for found in todo}
    return left_of((found.job for found in todo), seconds)


def _seconds_left(found: JobStatus, durations: Durations) -> float | None:
    if found.bar is not None and found.bar.left is not None:
        return found.bar.left
    whole = durations.of(found.job)
    if whole is None or found.holder is None:
        return whole
    return max(0.0, whole - (time.time() - _stamp(found.holder.since)))


def _at_once(
    jobs: Mapping[tuple[str, str], JobStatus], manifests: Manifests, lease: Seen
) -> float | None:
    """Return the work per second since the Snakemake at work began."""
    if not lease.held or lease.holder is None:
        return None
    begun, now, work = _stamp(lease.holder.since), time.time(), 0.0
    for found in jobs.values():
        manifest = manifests.get(found.job.manifest)
        if found.holder is not None:
            work += now - max(begun, _stamp(found.holder.since))
        elif found.state == State.DONE and isinstance(manifest, Manifest):
            written = time.strptime(manifest.record["written"], "%Y-%m-%dT%H:%M:%SZ")
            work += manifest.record["seconds"] if timegm(written) >= begun else 0.0
    return work / (now - begun) if now > begun else None


def _stamp(since: str) -> float:
    """Return the time stamp of what a lock's holder wrote."""
    return timegm(time.strptime(since, "%Y-%m-%d %H:%M:%S UTC"))
