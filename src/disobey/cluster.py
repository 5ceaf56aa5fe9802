"""Groups of small jobs that a cluster runs as one job, their members one after another.

Jobs are grouped in rounds: data, eigendirections of the data, all teachers, then all students that
learn from them together with references and placebos, and last the analyses. A job reads only from
earlier rounds or its own group, so no group waits for itself. The finished members of a group are
kept when it fails, reaches its time limit or is cancelled; the next attempt makes the others.
"""

import functools
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from disobey.stores.layout import BESIDE
from disobey.stores.manifest import broken_store
from disobey.study.jobs import Name, Plan, PlannedJob

# Both are our choice.
LEAST_SECONDS = 600.0  # shortest group, unless it is the only one of its round
SECONDS_TO_START = 2.0  # start of a member's process; the node has the files cached


@dataclass
class _Unit:
    """Jobs that are kept in one group: the jobs of one run, or of one setting."""

    jobs: list[Name] = field(default_factory=list)
    seconds: float = 0.0


def groups_of(plan: Plan, seconds: Callable[[str, str], float]) -> dict[Name, str]:
    """Return the name of each job's group, without the jobs that are submitted by themselves.

    Groups depend only on the plan and on the estimated ``seconds`` of a job, given its stage and
    key, and not on which stores exist.
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
    """Divide units into chunks of at least `LEAST_SECONDS`; a unit that long is its own chunk."""
    chunks = [[unit] for unit in units if unit.seconds >= LEAST_SECONDS]
    short: list[_Unit] = []
    for unit in units:
        if unit.seconds < LEAST_SECONDS:
            short.append(unit)
        if _seconds(short) >= LEAST_SECONDS:
            chunks.append(short)
            short = []
    if short and chunks:
        min(chunks, key=_seconds).extend(short)
    elif short:
        chunks.append(short)
    return chunks


def _seconds(units: Sequence[_Unit]) -> float:
    return sum(unit.seconds for unit in units)


def _places(plan: Plan) -> dict[Name, tuple[str, str]]:
    """Return the round and the unit of each job that can be grouped."""
    above = _depths(plan)
    places = {name: _place(plan, job, *above) for name, job in plan.jobs.items()}
    return {name: place for name, place in places.items() if place is not None}


def _place(
    plan: Plan, job: PlannedJob, depths: Mapping[Name, int], teachers: set[str]
) -> tuple[str, str] | None:
    spec = json.loads(job.spec)
    if job.stage in ("prepare", "labels"):
        data = job.key if job.stage == "prepare" else spec["data"]
        # Snakemake requires equal string resources (the user's files) within a group.
        files = [data for data, files in plan.files.items() if files]
        return f"data-{files.index(data)}" if data in files else "data", data
    if job.stage == "basis" and "run" not in spec:
        return "bases", job.key
    if job.stage in ("train", "dump", "views", "basis"):
        run = job.key if job.stage == "train" else spec["run"]
        depth = depths["train", run]
        # References and placebos teach no student, so they run with the first students.
        number = depth - 1 if depth > 1 or run in teachers else 1
        called = f"students-{number}" if number else "teachers"
        return (called if job.stage in ("train", "dump") else f"views-of-{called}"), run
    if job.stage in ("confidence", *BESIDE):
        return "analyses", job.key
    return None


def _depths(plan: Plan) -> tuple[dict[Name, int], set[str]]:
    """Return the length of the longest chain of trainings up to each job, and all teachers."""
    depths: dict[Name, int] = {}
    teachers: set[str] = set()
    runs: dict[str, set[str]] = {}  # the runs that a store depends on, by its manifest
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


# Each cluster job has one "turn", and a member takes it, so members run one after another: the
# memory is the largest member's, the time is the sum. The Snakefile limits the scope to the group.
TURN = "turn"
# Start time of the Snakemake that submits jobs; the jobs inherit its environment.
BEGAN = "DISOBEY_RUN_BEGAN"


def run_groups(workflow: Any, groups: Mapping[Name, str]) -> None:
    """Let ``workflow`` run each group as one job of the cluster.

    Snakemake knows its settings only when it calls `execute`, not while it reads the Snakefile. It
    calls it where jobs are submitted, and twice in each job: for the group and for its members.
    """
    workflow.register_resource(TURN, 1)
    execute = workflow.execute

    def execute_together(executor_plugin: Any, *rest: Any, **named: Any) -> Any:
        # Otherwise each unconnected part of a group would be a job of its own.
        workflow.group_settings.group_components = dict(Counter(groups.values()))
        run = functools.partial(execute, executor_plugin, *rest, **named)
        if executor_plugin.common_settings.dryrun_exec:
            return run()
        _keep_what_is_finished()
        if workflow.remote_exec:
            # The other members run even if one fails.
            workflow.execution_settings.keep_going = True
            _leave_out_finished(workflow)
            return run()
        os.environ[BEGAN] = repr(_now())
        try:
            return run()
        finally:  # also after Ctrl-C, which cancels the jobs
            _note_what_is_finished(workflow)

    workflow.execute = execute_together


def manifests_to_make(workflow: Any, *, left: bool = False) -> set[str]:
    """Return the manifests of the jobs that this Snakemake runs, or only of unfinished ones."""
    jobs = workflow.dag.needrun_jobs(exclude_finished=left)
    return {str(job.output[-1]) for job in jobs if job.output}


def made_in_this_run(output: Sequence[object]) -> bool:
    """Return whether a job's store was finished since the Snakemake that submits jobs began.

    The manifest is the last ``output``. Rules of a workflow that uses this one as a module may have
    no output, or a folder as output.
    """
    began = os.environ.get(BEGAN)
    if began is None or not output:
        return False
    path = Path(str(output[-1]))
    return path.is_file() and path.stat().st_mtime >= float(began) and broken_store(path) is None


def _leave_out_finished(workflow: Any) -> None:
    """Skip jobs that an earlier attempt finished; exit the process if none is left."""
    settings = workflow.dag_settings
    targets = list(settings.target_jobs)

    def finished(target: Any) -> bool:
        # Not by the rule's name, which differs when this workflow is used as a module.
        rule = workflow.get_rule(target.rulename)
        return made_in_this_run(rule.expand_output(target.wildcards_dict)[0])

    left = [target for target in targets if not finished(target)]
    if len(left) < len(targets):
        said = f"disobey: {len(targets) - len(left)} of {len(targets)} jobs are finished already"
        print(said, file=sys.stderr, flush=True)
    if targets and not left:
        os._exit(0)  # without targets Snakemake would make everything
    settings.target_jobs = left


def _keep_what_is_finished() -> None:
    """Keep the finished outputs of a group that fails: Snakemake would delete all its outputs."""
    from snakemake.jobs import Job

    cleanup = Job.cleanup

    async def cleanup_unfinished(job: Any, skip_outputs: Any) -> None:
        if not made_in_this_run(job.output):
            await cleanup(job, skip_outputs)

    Job.cleanup = cleanup_unfinished


def _note_what_is_finished(workflow: Any) -> None:
    """Let Snakemake record the provenance of finished members of cancelled groups."""
    for job in list(workflow.dag.needrun_jobs()):
        if made_in_this_run(job.output):
            workflow.async_run(workflow.persistence.finished(job))


def _now() -> float:
    """Return the time by the clock of the file system, which dates the manifests."""
    with tempfile.NamedTemporaryFile(dir=".snakemake") as file:
        return os.fstat(file.fileno()).st_mtime
