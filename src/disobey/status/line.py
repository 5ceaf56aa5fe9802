"""One line after Snakemake's ``3 of 29 steps``: time so far, and time left by measured durations.

This is a logging handler and not a plugin of Snakemake: every profile would have to name a plugin,
and the well-known one (``rich``) shows no time left and prints nothing without a terminal.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from disobey.status.durations import Durations, Left, left_of, plain_duration, seconds_in
from disobey.study.jobs import Plan

# Seconds between two lines [our choice]: short jobs end by the dozen.
EVERY = 10.0


class ProgressLine(logging.Handler):
    """Follow Snakemake's log records and print how long the rest will take.

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
            self._durations = Durations.measured(self._plan)
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
        ending = (
            f" in {elapsed}"
            if done == total
            else f", {elapsed} so far, time left: {self._left(now)}"
        )
        print(words + ending, file=self._stream or sys.stderr, flush=True)

    def _left(self, now: float) -> str:
        """Return how long the rest takes, in words, at the rate of this call so far."""
        left = self._what_is_left(now)
        if left.unknown == left.jobs:
            return "unknown: nothing like the other jobs has been measured yet"
        under_way = sum(now - start for start in self._running.values()) if self._local else 0.0
        assert self._begun is not None
        at_once = (self._work + under_way) / max(now - self._begun, 1e-9)
        return f"{left.in_words(left.wall(at_once))}" if at_once else "unknown"

    def _what_is_left(self, now: float) -> Left:
        assert self._durations is not None
        seconds: dict[str, float | None] = {}
        blocked = set(self._failed)  # and all that is made from it
        for manifest, job in self._jobs.items():
            if not blocked.isdisjoint(job.inputs):
                blocked.add(manifest)
            if manifest in self._todo and manifest not in blocked:
                whole = self._durations.of(job)
                since = now - self._running.get(manifest, now) if self._local else 0.0
                seconds[manifest] = None if whole is None else max(0.0, whole - since)
        return left_of((self._jobs[manifest] for manifest in seconds), seconds)
