"""How long jobs take, by those like them that were measured; nothing is guessed."""

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from disobey.provenance import canonical
from disobey.stores.layout import BESIDE
from disobey.study.jobs import Plan, PlannedJob

# Of a recipe and a distillation, what a step or their number depends on; a temperature does not.
LENGTH = ("epochs", "steps", "batch", "precision", "compile", "optimizer")
WAYS_TO_SEE = ("live", "views", "switch")
# Short, and about as long whatever they draw: where none of a kind was measured, any of the stage.
SHORT = ("labels", *BESIDE, "confidence", "table", "figure", "explorer", "report")


class Durations:
    """Measured seconds of jobs, by kind: a kind's jobs differ in seeds and the like.

    Parameters
    ----------
    plan : Plan
        All jobs that are asked about.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._kinds: dict[str, str] = {}
        self._seconds: dict[str, list[float]] = {}

    def learn(self, job: PlannedJob, seconds: float) -> None:
        """Take note of how long a job took."""
        for kind in (self.kind(job), job.stage):
            self._seconds.setdefault(kind, []).append(seconds)

    def of(self, job: PlannedJob) -> float | None:
        """Return the median of jobs of the same kind; None where none was measured."""
        known = self._seconds.get(self.kind(job))
        if known is None and job.stage in SHORT:
            known = self._seconds.get(job.stage)
        return statistics.median(known) if known else None

    def kind(self, job: PlannedJob) -> str:
        """Return what jobs of one length have in common, as text."""
        if job.manifest not in self._kinds:
            facts = self._facts(job.stage, json.loads(job.spec))
            self._kinds[job.manifest] = f"{job.stage} {canonical(facts)}"
        return self._kinds[job.manifest]

    def _facts(self, stage: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        if stage == "train":
            distill = spec.get("distill")
            facts = {key: spec[key] for key in ("data", "model", "augment") if key in spec}
            facts["recipe"] = {key: spec["recipe"].get(key) for key in LENGTH}
            facts["tracked"] = "progress" in spec
            if distill is not None:
                facts["teacher"] = [key for key in WAYS_TO_SEE if key in distill]
            return facts
        if stage in ("dump", "views"):
            run = json.loads(self._plan.jobs["train", spec["run"]].spec)
            return {"data": spec["data"], "model": run["model"]}
        if stage == "confidence":
            data = self._plan.examples_of(spec["teachers"][0])
            return {"data": data, "seeds": len(spec["seeds"])}
        kinds = {"labels": ("data",), "table": ("table",), "figure": ("figure",)}
        if stage in kinds:
            return {key: spec[key] for key in kinds[stage]}
        return {} if stage in SHORT else dict(spec)  # of a data source and a basis, only its own


@dataclass(frozen=True)
class Left:
    """What is left of a study.

    Attributes
    ----------
    jobs : int
    unknown : int
        How many of them are like nothing that was measured.
    seconds : float
        Of all others, added up.
    longest_chain : float
        Of those that wait for each other: no machine is faster than this.
    """

    jobs: int
    unknown: int
    seconds: float
    longest_chain: float

    def wall(self, at_once: float) -> float:
        """Return the seconds that ``at_once`` jobs at a time take."""
        return max(self.longest_chain, self.seconds / at_once)


def left_of(jobs: Iterable[PlannedJob], seconds: Mapping[str, float | None]) -> Left:
    """Add up what is left.

    Parameters
    ----------
    jobs : iterable of PlannedJob
        Those to be made, upstream first.
    seconds : mapping
        By manifest, how long each still takes; None where that is not known.
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
