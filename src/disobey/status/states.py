"""The state of every job of a study, from what is on disk; nothing is written.

==========  ======================================================================================
done        its manifest is there and agrees with the plan (`disobey.study.staleness`)
running     its lock is held, on whatever machine; or Snakemake is at work, says that it started
            the job, and the job's log was begun since: the moments before the lock
stale       its manifest is there, and ``why`` has reasons to make it again
stopped     there is no manifest, and the job's log ends with a signal that asked it to stop, most
            often Ctrl-C; the next call goes on, a training where it was
failed      there is no manifest, nobody stopped the job, and either a killed process left its name
            in the job's lock; or the last that Snakemake's logs say of the job is an error, or a
            start by a Snakemake that is gone; or these logs are gone and the job's own log ends
            with an error
missing     all others: not yet begun, or waiting for a queue or for another attempt
==========  ======================================================================================
"""

import time
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from disobey.lease import LEASE
from disobey.locks import Holder
from disobey.status.durations import Durations, Left, left_of
from disobey.status.locks import Seen, look_at
from disobey.status.logs import (
    Bar,
    Event,
    begun,
    ended_badly,
    last_bar,
    last_events,
    last_words,
    snakemakes_logs,
    was_stopped,
)
from disobey.stores.layout import lock_of, log_of
from disobey.stores.manifest import Manifest
from disobey.study.digests import CodeDigests
from disobey.study.jobs import Plan, PlannedJob
from disobey.study.staleness import Manifests, why


class State(StrEnum):
    """What a job can be."""

    DONE = "done"
    RUNNING = "running"
    STALE = "stale"
    STOPPED = "stopped"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True)
class JobStatus:
    """One job as it stands.

    Attributes
    ----------
    job : PlannedJob
    state : State
    reasons : tuple of str
        Of a stale one, why.
    log : Path
        Whether it is there or not.
    error : str or None
        Of a failed or stopped one, the line that says most.
    bar : Bar or None
        Of a training under way.
    holder : Holder or None
        The process of a running one, where it says who it is.
    """

    job: PlannedJob
    state: State
    reasons: tuple[str, ...]
    log: Path
    error: str | None = None
    bar: Bar | None = None
    holder: Holder | None = None


@dataclass(frozen=True)
class StudyStatus:
    """A study as it stands.

    Attributes
    ----------
    plan : Plan
    jobs : dict of JobStatus, by stage and key
    snakemake : Seen
        The lease: whether a Snakemake is at work in this folder, and which.
    left : Left
        Of all jobs that are not done.
    at_once : float or None
        How many jobs' seconds the Snakemake at work gets done in a second, on the average so far;
        None where none is at work or it has only just begun.
    locks : bool
        False where the file system has no locks, so that running jobs may not be seen.
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


@dataclass
class _Signs:
    """What was found beside the manifests."""

    locks: dict[str, Seen]
    events: Mapping[str, Event] = field(default_factory=dict)
    at_work: Path | None = None  # the log of the Snakemake that is at work


def study_status(plan: Plan, digests: CodeDigests) -> StudyStatus:
    """Return how a study stands now."""
    manifests = Manifests()
    reasons = why(plan, digests, manifests)
    locks = {job.manifest: look_at(lock_of(job.manifest)) for job in plan.jobs.values()}
    lease = look_at(LEASE)
    signs = _Signs(locks, _events(plan, manifests, locks), _log_at_work(lease))
    jobs = {
        name: _status(job, tuple(reasons.get(name, ())), manifests, signs)
        for name, job in plan.jobs.items()
    }
    left = _left(plan, jobs, manifests)
    real = lease.real and all(seen.real for seen in locks.values())
    return StudyStatus(plan, jobs, lease, left, _at_once(jobs, manifests, lease), real)


def _events(plan: Plan, manifests: Manifests, locks: Mapping[str, Seen]) -> Mapping[str, Event]:
    """Ask Snakemake's logs about the jobs that have begun and made nothing."""
    return last_events(
        job.manifest
        for job in plan.jobs.values()
        if manifests.get(job.manifest) is None
        and (locks[job.manifest].holder or Path(log_of(job.stage, job.key)).exists())
    )


def _log_at_work(lease: Seen) -> Path | None:
    """Return the log of the Snakemake that holds the lease.

    One that was refused since has left a newer log.
    """
    if not lease.held:
        return None
    since = time.time()
    if lease.holder is not None:
        since = _stamp(lease.holder.since) + 1
    return next((log for log in snakemakes_logs() if begun(log) <= since), None)


def _status(
    job: PlannedJob, reasons: tuple[str, ...], manifests: Manifests, signs: _Signs
) -> JobStatus:
    log, lock = Path(log_of(job.stage, job.key)), signs.locks[job.manifest]
    made = manifests.get(job.manifest) is not None
    event = None if made else signs.events.get(job.manifest)
    if lock.held or _begins(event, log, signs):
        bar = last_bar(log) if job.stage == "train" else None
        holder = lock.holder if lock.held else None
        return JobStatus(job, State.RUNNING, (), log, bar=bar, holder=holder)
    if made:
        return JobStatus(job, State.STALE if reasons else State.DONE, reasons, log)
    if _failed(event, job, log, lock, signs):
        state = State.STOPPED if was_stopped(log, job.stage) else State.FAILED
        return JobStatus(job, state, (), log, error=_error(event, job, log, lock))
    return JobStatus(job, State.MISSING, (), log)


def _begins(event: Event | None, log: Path, signs: _Signs) -> bool:
    """Return whether a job was started a moment ago and has not come to its lock yet."""
    if event is None or event.kind != "started" or event.log != signs.at_work:
        return False
    try:
        return log.stat().st_mtime >= begun(event.log)
    except OSError:
        return False  # submitted, and waiting for its turn


def _failed(event: Event | None, job: PlannedJob, log: Path, lock: Seen, signs: _Signs) -> bool:
    if lock.holder is not None:
        return True
    if event is None:
        return ended_badly(log, job.stage)
    return event.kind == "failed" or (event.kind == "started" and event.log != signs.at_work)


def _error(event: Event | None, job: PlannedJob, log: Path, lock: Seen) -> str:
    """Return one line on why a job failed."""
    said = last_words(log, job.stage)
    if said and (ended_badly(log, job.stage) or not (lock.holder or (event and event.message))):
        return said
    if lock.holder is not None:
        return f"was killed: {lock.holder}"
    if event is not None and event.message:
        return event.message
    return "ended without a word; perhaps it was killed"


def _left(plan: Plan, jobs: Mapping[tuple[str, str], JobStatus], manifests: Manifests) -> Left:
    """Return what is left, by the times in manifests and by the bars of trainings under way."""
    durations = Durations(plan)
    for job in plan.jobs.values():
        manifest = manifests.get(job.manifest)
        if isinstance(manifest, Manifest) and "seconds" in manifest.record:
            durations.learn(job, manifest.record["seconds"])
    for found in jobs.values():
        whole = found.bar.whole if found.bar else None
        if whole is not None and durations.of(found.job) is None:
            durations.learn(found.job, whole)
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
    """Return the work per second since the Snakemake at work began, starting of jobs included."""
    if not lease.held or lease.holder is None:
        return None
    begun, now, work = _stamp(lease.holder.since), time.time(), []
    for found in jobs.values():
        manifest = manifests.get(found.job.manifest)
        if found.state != State.DONE or not isinstance(manifest, Manifest):
            continue
        if timegm(time.strptime(manifest.record["written"], "%Y-%m-%dT%H:%M:%SZ")) >= begun:
            work.append(manifest.record["seconds"])
    running = [found.holder.since for found in jobs.values() if found.holder is not None]
    under_way = sum(now - max(begun, _stamp(since)) for since in running)
    return (sum(work) + under_way) / (now - begun) if now > begun else None


def _stamp(since: str) -> float:
    """Return the time stamp of what a lock's holder wrote."""
    return timegm(time.strptime(since, "%Y-%m-%d %H:%M:%S UTC"))
