"""One line after Snakemake's ``3 of 29 steps``: time so far, and time left by measured durations.

A handler beside Snakemake's own, not a plugin of it: a plugin is found by the name of a package of
its own and must be asked for in each profile, and the well-known one (``rich``) has no time left,
prints nothing where nobody looks at a terminal, and hides which job began.
"""

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO

from disobey.status.durations import Durations, Left, left_of
from disobey.status.words import about, plain_duration, unlike
from disobey.study.jobs import Plan

# Seconds between two lines [our choice]: short jobs end by the dozen.
EVERY = 10.0


class ProgressLine(logging.Handler):
    """Follows Snakemake's log records and says how long the rest will take.

    Parameters
    ----------
    plan : Plan
        All jobs of the study.
    to_make : callable
        Returns the manifests of the jobs that this call of Snakemake runs; asked once they are
        known.
    local : bool
        Whether jobs run on this machine as soon as Snakemake starts them. Elsewhere they wait in a
        queue, and how long they took is what their manifests say.
    stream : TextIO, optional
        Where to print; standard error if not given.
    clock : callable
        Returns seconds.
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
        self._plan, self._to_make, self._local = plan, to_make, local
        self._stream, self._clock = stream, clock
        self._jobs = {job.manifest: job for job in plan.jobs.values()}
        self._durations: Durations | None = None
        self._begun: float | None = None
        self._said = -EVERY
        self._todo: set[str] = set()
        self._by_number: dict[int, str] = {}
        self._running: dict[str, float] = {}
        self._failed: set[str] = set()
        self._work = 0.0  # seconds of finished jobs

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of a record; print when jobs have ended and it is time."""
        try:
            follow = getattr(self, f"_on_{getattr(record, 'event', None)}", None)
            if follow is not None:
                follow(vars(record))
        except Exception:  # as the module logging has it: a message must not end the work
            self.handleError(record)

    def _on_job_info(self, record: dict[str, Any]) -> None:
        if self._begun is None:
            self._begun = self._clock()
            self._todo = {path for path in self._to_make() if path in self._jobs}
            self._durations = measured(self._plan)
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
        if manifest is None or self._durations is None:
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
        ending = f" in {elapsed}" if done == total else f", {elapsed} so far, {self._left(now)}"
        print(words + ending, file=self._stream or sys.stderr, flush=True)

    def _left(self, now: float) -> str:
        """Return in words how long the rest takes at the rate of this call so far."""
        left = self._what_is_left(now)
        if left.unknown == left.jobs:
            return "time left unknown: nothing like the other jobs has been measured yet"
        under_way = sum(now - start for start in self._running.values()) if self._local else 0.0
        assert self._begun is not None
        at_once = (self._work + under_way) / max(now - self._begun, 1e-9)
        words = f"{about(left, left.wall(at_once))} left" if at_once else "time left unknown"
        if left.unknown:
            words += unlike(left)
        return words

    def _what_is_left(self, now: float) -> Left:
        assert self._durations is not None
        seconds: dict[str, float | None] = {}
        blocked = set(self._failed)  # and what stands on it
        for manifest, job in self._jobs.items():
            if not blocked.isdisjoint(job.inputs):
                blocked.add(manifest)
            if manifest in self._todo and manifest not in blocked:
                whole = self._durations.of(job)
                since = now - self._running.get(manifest, now) if self._local else 0.0
                seconds[manifest] = None if whole is None else max(0.0, whole - since)
        return left_of((self._jobs[manifest] for manifest in seconds), seconds)


def measured(plan: Plan) -> Durations:
    """Return the durations that the manifests of a plan's finished jobs tell."""
    durations = Durations(plan)
    for job in plan.jobs.values():
        seconds = seconds_in(job.manifest)
        if seconds is not None:
            durations.learn(job, seconds)
    return durations


def seconds_in(manifest: str) -> float | None:
    """Return how long the job of a manifest took; None where there is none or it does not say."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return float(json.loads(Path(manifest).read_text(encoding="utf-8"))["seconds"])
    return None
