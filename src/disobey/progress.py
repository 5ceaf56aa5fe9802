"""The remaining time of a run, estimated only from measured times of similar jobs.

`ProgressLine` prints it after Snakemake's ``3 of 29 steps``. It is a logging handler rather than a
plugin of Snakemake, because every profile would have to name a plugin, and the well-known one
(``rich``) shows no remaining time and prints nothing without a terminal.
"""

import functools
import json
import logging
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from disobey.numbers import NBSP, duration
from disobey.provenance import canonical
from disobey.study.jobs import Plan, PlannedJob

# The parts of a spec that determine how long a training takes; temperature and seeds do not.
RECIPE = ("epochs", "steps", "batch", "precision", "compile", "optimizer", "evaluate")
DISTILLATION = ("live", "views", "switch")
EVERY = 10.0  # seconds between two lines [our choice]: short jobs end by the dozen


class Durations:
    """Measured seconds of a plan's finished jobs by kind; jobs of a kind differ e.g. in seeds.

    Manifests are read when a job of their kind is first requested. With a ``device``, only
    trainings on it count, without the rest of their jobs.
    """

    def __init__(self, plan: Plan, device: str | None = None) -> None:
        self._plan, self._device = plan, device
        self._seconds: dict[str, list[float]] = {}

    def of(self, job: PlannedJob) -> float | None:
        """Return the median duration of jobs of the same kind, or None if none was measured."""
        known = self._of_kind(self._kinds[job.manifest])
        return statistics.median(known) if known else None

    def learn(self, job: PlannedJob, seconds: float) -> None:
        """Record the duration of a job."""
        self._of_kind(self._kinds[job.manifest]).append(seconds)

    def _of_kind(self, kind: str) -> list[float]:
        if kind not in self._seconds:
            alike = (manifest for manifest, other in self._kinds.items() if other == kind)
            found = (seconds_in(manifest, self._device) for manifest in alike)
            self._seconds[kind] = [seconds for seconds in found if seconds is not None]
        return self._seconds[kind]

    @functools.cached_property
    def _kinds(self) -> dict[str, str]:
        """The kind of each job, by manifest: as text, all that jobs of similar length share."""
        specs = {name: json.loads(job.spec) for name, job in self._plan.jobs.items()}
        return {
            self._plan.jobs[name].manifest: f"{name[0]} {canonical(_facts(name[0], spec, specs))}"
            for name, spec in specs.items()
        }


def _facts(
    stage: str, spec: Mapping[str, Any], specs: Mapping[tuple[str, str], Mapping[str, Any]]
) -> dict[str, Any]:
    if stage == "train":
        facts = {key: spec[key] for key in ("data", "model", "augment") if key in spec}
        facts["recipe"] = {key: spec["recipe"].get(key) for key in RECIPE}
        facts["tracked"] = "progress" in spec
        if "distill" in spec:
            facts["teacher"] = [key for key in DISTILLATION if key in spec["distill"]]
        return facts
    if stage in ("dump", "views"):
        return {"data": spec["data"], "model": specs["train", spec["run"]]["model"]}
    return dict(spec) if stage in ("prepare", "pretrained", "classify", "basis") else {}


def seconds_in(manifest: str, device: str | None = None) -> float | None:
    """Return the duration of a manifest's job; None if the manifest does not contain it.

    With a device, return the duration of a training on that device.
    """
    try:
        record = json.loads(Path(manifest).read_text(encoding="utf-8"))
        if device is None:
            return float(record["seconds"])
        of_training = float(record["measured"]["training_seconds"])
        return of_training if record["device"] == device else None
    except (OSError, ValueError, KeyError, TypeError):  # unfinished, or an older version's
        return None


@dataclass(frozen=True)
class Left:
    """The number of remaining jobs, of those of unknown duration, and the time of all others.

    ``longest_chain`` is the time of the longest chain of jobs that depend on each other: a lower
    bound for any number of machines.
    """

    jobs: int
    unknown: int
    seconds: float
    longest_chain: float

    def wall(self, at_once: float) -> float:
        """Return the seconds that the jobs take if ``at_once`` of them run at a time."""
        return max(self.longest_chain, self.seconds / at_once)

    def in_words(self, seconds: float) -> str:
        """Format a duration, with a remark on the jobs that it leaves out."""
        if not self.unknown:
            return f"about {plain_duration(seconds)}"
        jobs = "1 job" if self.unknown == 1 else f"{self.unknown:,} jobs"
        return f"at least {plain_duration(seconds)}, without {jobs} like none measured so far"


def left_of(jobs: Iterable[PlannedJob], seconds: Mapping[str, float | None]) -> Left:
    """Add up the remaining jobs, given upstream first; unknown ``seconds`` are None."""
    chain: dict[str, float] = {}
    for job in jobs:
        before = max((chain[path] for path in job.inputs if path in chain), default=0.0)
        chain[job.manifest] = before + (seconds[job.manifest] or 0.0)
    known = [own for own in seconds.values() if own is not None]
    longest = max(chain.values(), default=0.0)
    return Left(len(seconds), len(seconds) - len(known), sum(known), longest)


def plain_duration(seconds: float) -> str:
    """Format a duration as ``1 h 02 min``, with plain spaces."""
    return duration(seconds).replace(NBSP, " ")


class ProgressLine(logging.Handler):
    """Follow Snakemake's log records and print the estimated remaining time.

    Parameters
    ----------
    to_make : callable
        Returns the manifests of the jobs that this call of Snakemake runs; called at the first job.
    local : bool
        Whether jobs run on this machine as soon as Snakemake starts them. On a cluster they wait in
        a queue, so their durations are taken from their manifests.
    stream, clock : TextIO, callable
        By default standard error, and a clock that returns seconds.
    """

    def __init__(
        self,
        plan: Plan,
        to_make: Callable[[], Iterable[str]],
        *,
        local: bool = True,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(logging.INFO)
        self._to_make, self._local = to_make, local
        self._stream, self._clock = stream, clock
        self._jobs = {job.manifest: job for job in plan.jobs.values()}
        self._durations = Durations(plan)
        self._begun: float | None = None
        self._said = -EVERY
        self._todo: set[str] = set()
        self._by_number: dict[int, str] = {}
        self._running: dict[str, float] = {}
        self._failed: set[str] = set()
        self._work = 0.0  # seconds of finished jobs

    def emit(self, record: logging.LogRecord) -> None:
        """Record an event of a job; print at most every `EVERY` seconds."""
        try:
            follow = getattr(self, f"_on_{getattr(record, 'event', None)}", None)
            if follow is not None:
                follow(vars(record))
        except Exception:  # a message must not end the work
            self.handleError(record)

    def _on_job_info(self, record: dict[str, Any]) -> None:
        if self._begun is None:
            self._begun = self._clock()
            self._todo = {path for path in self._to_make() if path in self._jobs}
            for job in self._jobs.values():  # before any of them writes its manifest
                self._durations.of(job)
        manifest = record["output"][-1] if record["output"] else ""
        if manifest in self._jobs:
            self._by_number[record["jobid"]] = manifest
            self._running[manifest] = self._clock()
            self._failed.discard(manifest)

    def _on_job_error(self, record: dict[str, Any]) -> None:
        manifest = self._by_number.get(record["jobid"])
        if manifest is not None:
            self._running.pop(manifest, None)
            self._failed.add(manifest)

    def _on_job_finished(self, record: dict[str, Any]) -> None:
        manifest = self._by_number.get(record["job_id"])
        if manifest is None:
            return
        self._todo.discard(manifest)
        wall = self._clock() - self._running.pop(manifest, self._clock())
        seconds = wall if self._local else seconds_in(manifest)
        if seconds is not None:
            self._durations.learn(self._jobs[manifest], seconds)
            self._work += seconds

    def _on_progress(self, record: dict[str, Any]) -> None:
        now, done, total = self._clock(), record["done"], record["total"]
        if self._begun is None or (now - self._said < EVERY and done < total):
            return
        self._said = now
        words = f"disobey: {done:,} of {total:,} jobs ({done / total:.0%})"
        elapsed = plain_duration(now - self._begun)
        ending = (
            f" in {elapsed}"
            if done == total
            else f", {elapsed} so far, time left: {self._left(now)}"
        )
        print(words + ending, file=self._stream or sys.stderr, flush=True)

    def _left(self, now: float) -> str:
        """Return the time left in words, at the rate of this call so far."""
        left = self._what_is_left(now)
        if left.unknown == left.jobs:
            return "unknown: nothing like the other jobs has been measured yet"
        under_way = sum(now - start for start in self._running.values()) if self._local else 0.0
        at_once = (self._work + under_way) / max(now - (self._begun or 0.0), 1e-9)
        return left.in_words(left.wall(at_once)) if at_once else "unknown"

    def _what_is_left(self, now: float) -> Left:
        seconds: dict[str, float | None] = {}
        blocked = set(self._failed)  # and all jobs that depend on them
        for manifest, job in self._jobs.items():
            if not blocked.isdisjoint(job.inputs):
                blocked.add(manifest)
            if manifest in self._todo and manifest not in blocked:
                whole = self._durations.of(job)
                since = now - self._running.get(manifest, now) if self._local else 0.0
                seconds[manifest] = None if whole is None else max(0.0, whole - since)
        return left_of((self._jobs[manifest] for manifest in seconds), seconds)
