"""How Snakemake runs the groups of `disobey.study.groups` on a cluster.

A group is one job of the cluster. What it has finished stays when the job fails, is stopped by its
time limit or is cancelled: its next attempt makes the other members alone.
"""

import functools
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from disobey.stores.manifest import broken_store
from disobey.study.jobs import Plan

Name = tuple[str, str]  # stage and key

# A member takes the only one that a cluster's job has, so members run one after another: memory is
# that of the largest, time the sum. The Snakefile limits it to the group.
TURN = "turn"
# When the Snakemake that submits jobs began; they get its environment.
BEGAN = "DISOBEY_RUN_BEGAN"


def run_groups(workflow: Any, groups: Mapping[Name, str], plan: Plan) -> None:  # noqa: ANN401
    """Let ``workflow`` run each group as one job of the cluster.

    Snakemake has its settings when it calls `execute`, and not while the Snakefile is read. It does
    so where jobs are submitted and twice in each job: once for the group, once for its members.
    """
    workflow.register_resource(TURN, 1)
    execute = workflow.execute

    def execute_together(executor_plugin: Any, *rest: Any, **named: Any) -> Any:  # noqa: ANN401
        # Otherwise what does not hang together would be a job each.
        workflow.group_settings.group_components = dict(Counter(groups.values()))
        run = functools.partial(execute, executor_plugin, *rest, **named)
        if executor_plugin.common_settings.dryrun_exec:
            return run()
        _keep_what_is_finished()
        if workflow.remote_exec:
            # A member that fails does not keep the others from their turn.
            workflow.execution_settings.keep_going = True
            _leave_out_finished(workflow.dag_settings, plan)
            return run()
        os.environ[BEGAN] = repr(_now())
        try:
            return run()
        finally:  # also after Ctrl-C, which cancels the jobs
            _note_what_is_finished(workflow)

    workflow.execute = execute_together


def manifests_to_make(workflow: Any) -> set[str]:  # noqa: ANN401
    """Return the manifests of all jobs that this call of Snakemake runs."""
    jobs = workflow.dag.needrun_jobs(exclude_finished=False)
    return {str(job.output[-1]) for job in jobs if job.output}


def made_in_this_run(manifest: str) -> bool:
    """Return whether a store was finished since the Snakemake that submits jobs began."""
    path, began = Path(manifest), os.environ.get(BEGAN)
    if began is None or not path.exists():
        return False
    return path.stat().st_mtime >= float(began) and broken_store(path) is None


def _leave_out_finished(settings: Any, plan: Plan) -> None:  # noqa: ANN401
    """Leave out what an attempt before this one has finished; end where nothing is left to do."""
    targets = list(settings.target_jobs)

    def finished(target: Any) -> bool:  # noqa: ANN401
        job = plan.jobs.get((target.rulename, "/".join(target.wildcards_dict.values())))
        return job is not None and made_in_this_run(job.manifest)

    left = [target for target in targets if not finished(target)]
    if len(left) < len(targets):
        said = f"disobey: {len(targets) - len(left)} of {len(targets)} jobs are finished already"
        print(said, file=sys.stderr, flush=True)
    if targets and not left:
        os._exit(0)  # without targets Snakemake would make everything
    settings.target_jobs = left


def _keep_what_is_finished() -> None:
    """Keep what a group has finished where it fails: Snakemake deletes the outputs of all."""
    from snakemake.jobs import Job

    cleanup = Job.cleanup

    async def cleanup_unfinished(job: Any, skip_outputs: Any) -> None:  # noqa: ANN401
        if not made_in_this_run(str(job.output[-1])):
            await cleanup(job, skip_outputs)

    Job.cleanup = cleanup_unfinished


def _note_what_is_finished(workflow: Any) -> None:  # noqa: ANN401
    """Let Snakemake note of members of groups that were cancelled what they were made from."""
    for job in list(workflow.dag.needrun_jobs()):
        if job.output and made_in_this_run(str(job.output[-1])):
            workflow.async_run(workflow.persistence.finished(job))


def _now() -> float:
    """Return the time by the clock of the file system, which dates the manifests."""
    with tempfile.NamedTemporaryFile(dir=".snakemake") as file:
        return os.fstat(file.fileno()).st_mtime
