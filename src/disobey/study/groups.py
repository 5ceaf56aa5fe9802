"""Which jobs of a plan a cluster runs as one: small ones together, one after another. Pure.

Jobs are grouped in rounds: data, eigendirections of the data, all teachers, then all students that
learn from them together with references and placebos, and last the analyses. A job reads from
earlier rounds, or from its own group, and from nothing else, so no group waits for itself.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from disobey.stores.layout import BESIDE
from disobey.study.jobs import Plan, PlannedJob

Name = tuple[str, str]  # stage and key

# Both are our choice.
LEAST_SECONDS = 600.0  # of a group, unless it is the only one of its round
SECONDS_TO_START = 2.0  # a member's process, whose files the node has read already


@dataclass
class _Unit:
    """Jobs that stay in one group: those of one run, or of one setting."""

    jobs: list[Name] = field(default_factory=list)
    seconds: float = 0.0


def groups_of(plan: Plan, seconds: Callable[[str, str], float]) -> dict[Name, str]:
    """Return the name of each job's group; a job that is submitted by itself has none.

    Parameters
    ----------
    plan : Plan
    seconds : callable
        Estimates how long the job of a stage and a key takes.

    Returns
    -------
    dict
        Which groups there are depends on the plan and the estimates alone, not on what is made.
    """
    rounds: dict[str, dict[str, _Unit]] = {}
    for name, place in _places(plan).items():
        unit = rounds.setdefault(place[0], {}).setdefault(place[1], _Unit())
        unit.jobs.append(name)
        unit.seconds += seconds(*name) + SECONDS_TO_START
    return {
        name: f"{round_}-{number}"
        for round_, units in rounds.items()
        for number, chunk in enumerate(_chunks(list(units.values())), start=1)
        for unit in chunk
        for name in unit.jobs
    }


def _chunks(units: Sequence[_Unit]) -> list[list[_Unit]]:
    """Return the units in chunks that are long enough; a unit that is so itself is a chunk."""
    chunks = [[unit] for unit in units if unit.seconds >= LEAST_SECONDS]
    chunk: list[_Unit] = []
    for unit in units:
        if unit.seconds >= LEAST_SECONDS:
            continue
        chunk.append(unit)
        if sum(member.seconds for member in chunk) >= LEAST_SECONDS:
            chunks.append(chunk)
            chunk = []
    if not chunk or not chunks:
        return [*chunks, chunk] if chunk else chunks
    min(chunks, key=lambda chunk: sum(unit.seconds for unit in chunk)).extend(chunk)
    return chunks


def _places(plan: Plan) -> dict[Name, tuple[str, str]]:
    """Return the round of each job that is grouped, and the unit that it belongs to."""
    depths, teachers = _depths(plan)
    found = {}
    for name, job in plan.jobs.items():
        place = _place(plan, job, json.loads(job.spec), depths, teachers)
        if place is not None:
            found[name] = place
    return found


def _place(
    plan: Plan,
    job: PlannedJob,
    spec: Mapping[str, Any],
    depths: Mapping[Name, int],
    teachers: set[str],
) -> tuple[str, str] | None:
    if job.stage in ("prepare", "labels"):
        data = job.key if job.stage == "prepare" else spec["data"]
        # Snakemake groups only jobs whose resources that are words are equal: the user's files.
        files = [data for data, files in plan.files.items() if files]
        return f"data-{files.index(data)}" if data in files else "data", data
    if job.stage == "basis" and "run" not in spec:
        return "bases", job.key
    if job.stage in ("train", "dump", "views", "basis"):
        run = job.key if job.stage == "train" else spec["run"]
        depth = depths["train", run]
        # References and placebos, which nobody learns from, run with the first students.
        number = depth - 1 if depth > 1 or run in teachers else 1
        called = f"students-{number}" if number else "teachers"
        return (called if job.stage in ("train", "dump") else f"views-of-{called}"), run
    if job.stage in ("confidence", *BESIDE):
        return "analyses", job.key
    return None


def _depths(plan: Plan) -> tuple[dict[Name, int], set[str]]:
    """Return how many trainings stand above each job, its own included; and who teaches others."""
    depths: dict[Name, int] = {}
    teachers: set[str] = set()
    runs: dict[str, set[str]] = {}  # that a store comes from, by its manifest
    makers = {job.manifest: name for name, job in plan.jobs.items()}
    for name, job in plan.jobs.items():
        above = set().union(*(runs[path] for path in job.inputs))
        depths[name] = max((depths[makers[path]] for path in job.inputs), default=0)
        if job.stage == "train":
            teachers |= above
            depths[name] += 1
            above = {job.key}
        runs[job.manifest] = above
    return depths, teachers
