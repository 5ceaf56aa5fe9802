"""How long jobs take, judged by similar jobs that were measured. Nothing is guessed."""

import contextlib
import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from disobey.numbers import NBSP, duration
from disobey.provenance import canonical
from disobey.study.jobs import Plan, PlannedJob

# What decides how long a training takes; temperature and seeds do not.
RECIPE = ("epochs", "steps", "batch", "precision", "compile", "optimizer")
DISTILLATION = ("live", "views", "switch")


class Durations:
    """Measured seconds of jobs, by kind: jobs of a kind differ in seeds and the like.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._kinds: dict[str, str] = {}
        self._seconds: dict[str, list[float]] = {}

    @classmethod
    def measured(cls, plan: Plan) -> "Durations":
        """Return what the manifests of a plan's finished jobs say."""
        durations = cls(plan)
        for job in plan.jobs.values():
            seconds = seconds_in(job.manifest)
            if seconds is not None:
                durations.learn(job, seconds)
        return durations

    def learn(self, job: PlannedJob, seconds: float) -> None:
        """Record how long a job took."""
        self._seconds.setdefault(self.kind(job), []).append(seconds)

    def of(self, job: PlannedJob) -> float | None:
        """Return the median of jobs of the same kind, or None if none was measured."""
        known = self._seconds.get(self.kind(job))
        return statistics.median(known) if known else None

    def kind(self, job: PlannedJob) -> str:
        """Return what jobs of about the same length have in common, as text."""
        if job.manifest not in self._kinds:
            facts = self._facts(job.stage, json.loads(job.spec))
            self._kinds[job.manifest] = f"{job.stage} {canonical(facts)}"
        return self._kinds[job.manifest]

    def _facts(self, stage: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        if stage == "train":
            facts = {key: spec[key] for key in ("data", "model", "augment") if key in spec}
            facts["recipe"] = {key: spec["recipe"].get(key) for key in RECIPE}
            facts["tracked"] = "progress" in spec
            if "distill" in spec:
                facts["teacher"] = [key for key in DISTILLATION if key in spec["distill"]]
            return facts
        if stage in ("dump", "views"):
            run = json.loads(self._plan.jobs["train", spec["run"]].spec)
            return {"data": spec["data"], "model": run["model"]}
        return dict(spec) if stage in ("prepare", "pretrained", "classify", "basis") else {}


def seconds_in(manifest: str) -> float | None:
    """Return how long the job of a manifest took, or None if the manifest does not say."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return float(json.loads(Path(manifest).read_text(encoding="utf-8"))["seconds"])
    return None


@dataclass(frozen=True)
class Left:
    """What is left of a study.

    Attributes
    ----------
    jobs : int
    unknown : int
        How many of them resemble no measured job.
    seconds : float
        The sum over all others.
    longest_chain : float
        The sum along the longest chain of jobs that wait for each other: no machine is faster.
    """

    jobs: int
    unknown: int
    seconds: float
    longest_chain: float

    def wall(self, at_once: float) -> float:
        """Return the seconds that ``at_once`` jobs at a time take."""
        return max(self.longest_chain, self.seconds / at_once)

    def in_words(self, seconds: float) -> str:
        """Return a duration with a remark on the jobs that it leaves out."""
        if not self.unknown:
            return f"about {plain_duration(seconds)}"
        jobs = "1 job" if self.unknown == 1 else f"{self.unknown:,} jobs"
        return f"at least {plain_duration(seconds)}, without {jobs} like none measured so far"


def left_of(jobs: Iterable[PlannedJob], seconds: Mapping[str, float | None]) -> Left:
    """Add up what is left.

    Parameters
    ----------
    jobs : iterable of PlannedJob
        The jobs to be made, upstream first.
    seconds : mapping
        How long each still takes, by manifest; None where that is not known.
    """
    chain: dict[str, float] = {}
    count = unknown = 0
    for job in jobs:
        own = seconds[job.manifest]
        count, unknown = count + 1, unknown + (own is None)
        before = max((chain[path] for path in job.inputs if path in chain), default=0.0)
        chain[job.manifest] = before + (own or 0.0)
    total = sum(filter(None, (seconds[path] for path in chain)))
    return Left(count, unknown, total, max(chain.values(), default=0.0))


def plain_duration(seconds: float) -> str:
    """Return ``1 h 02 min`` with spaces that every terminal knows."""
    return duration(seconds).replace(NBSP, " ")
