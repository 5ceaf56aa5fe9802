"""Groups on a cluster as Snakemake calls for them; no job runs here (tests/slurm submits some)."""

import asyncio
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from disobey.cluster import BEGAN, TURN, run_groups

# A rule as it is called where a workflow uses this one as a module, and two of that workflow.
SNAKEFILE = """
rule disobey_train:
    output: "results/runs/{run}/weights", manifest="results/runs/{run}.json"
    shell: "false"
rule plots:
    output: directory("plots")
    shell: "false"
rule upload:
    shell: "false"
"""
GROUPS = {("train", "old"): "a", ("train", "new"): "a", ("train", "broken"): "b"}


def store(run, seconds):
    """Make the store of a run at a time."""
    weights = Path(f"results/runs/{run}/weights")
    weights.parent.mkdir(parents=True)
    weights.write_text("abc")
    record = {"id": run, "spec": {}, "spec_hash": "", "content": ""}
    record["files"] = {f"{run}/weights": {"bytes": 3, "sha256": ""}}
    manifest = Path(f"results/runs/{run}.json")
    manifest.write_text(json.dumps(record))
    os.utime(manifest, (seconds, seconds))


@pytest.fixture
def workflow(tmp_path, monkeypatch):
    """The real Snakemake's; the stores ``new`` and ``broken`` were written since its run began."""
    monkeypatch.setenv("SLURM_CONF", os.devnull)
    monkeypatch.setenv(BEGAN, "1500000000.25")
    monkeypatch.chdir(tmp_path)
    for name in (".snakemake", "plots"):
        Path(name).mkdir()
    Path("Snakefile").write_text(SNAKEFILE)
    for run, seconds in (("old", 1500000000.0), ("new", 1500000000.25), ("broken", 1600000000.0)):
        store(run, seconds)
    Path("results/runs/broken/weights").write_text("ab")

    from snakemake import api
    from snakemake.jobs import Job
    from snakemake.settings import types

    monkeypatch.setattr(Job, "cleanup", Job.cleanup)  # and back to what it was
    with api.SnakemakeApi(types.OutputSettings()) as snakemake:
        resources = types.ResourceSettings(cores=1)
        made = snakemake.workflow(resources, snakefile=Path("Snakefile"))._workflow
        made.execution_settings = types.ExecutionSettings()
        made.group_settings = types.GroupSettings()
        made.dag_settings = types.DAGSettings()
        made._dag = SimpleNamespace(needrun_jobs=lambda: [])
        made.execute = lambda plugin: "executed"
        yield made


def submits(workflow, **common):
    run_groups(workflow, GROUPS)
    settings = SimpleNamespace(**{"dryrun_exec": False} | common)
    return workflow.execute(SimpleNamespace(common_settings=settings))


def runs_in_a_job(workflow, *targets):
    """Call it as SLURM's job of a group does; return the targets that are left to run."""
    from snakemake.target_jobs import parse_target_jobs_cli_args
    from snakemake_interface_executor_plugins.settings import ExecMode

    workflow.workflow_settings.exec_mode = ExecMode.REMOTE
    workflow.dag_settings.target_jobs = parse_target_jobs_cli_args(targets)
    assert submits(workflow) == "executed"
    return [":".join([t.rulename, *t.wildcards_dict.values()])
            for t in workflow.dag_settings.target_jobs]  # fmt: skip


def test_the_members_of_a_group_are_one_job_and_take_turns(workflow):
    assert submits(workflow) == "executed"
    assert workflow.group_settings.group_components == {"a": 2, "b": 1}
    assert workflow.global_resources[TURN].value == 1


def test_jobs_are_told_when_the_run_began_by_the_clock_of_their_files(workflow):
    def execute(plugin):
        Path("later").touch()
        return float(os.environ[BEGAN])

    Path("earlier").touch()
    workflow.execute = execute
    assert Path("earlier").stat().st_mtime <= submits(workflow) <= Path("later").stat().st_mtime


def test_a_dry_run_begins_nothing(workflow):
    assert submits(workflow, dryrun_exec=True) == "executed"
    assert os.environ[BEGAN] == "1500000000.25"


def test_a_second_attempt_leaves_out_what_the_first_one_finished(workflow, capsys):
    runs = [f"disobey_train:run={run}" for run in ("old", "new", "broken", "none")]
    left = runs_in_a_job(workflow, *runs, "upload:", "plots:")
    assert left == [
        "disobey_train:old", "disobey_train:broken", "disobey_train:none", "upload", "plots",
    ]  # fmt: skip
    assert capsys.readouterr().err == "disobey: 1 of 6 jobs are finished already\n"
    assert workflow.execution_settings.keep_going
    assert os.environ[BEGAN] == "1500000000.25"


def test_an_attempt_to_which_nothing_is_left_ends_well(workflow, monkeypatch):
    """Without a target Snakemake would make everything."""

    def leave(status):
        raise SystemExit(status)

    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(SystemExit) as left:
        runs_in_a_job(workflow, "disobey_train:run=new")
    assert left.value.code == 0


def test_all_is_to_be_made_where_nobody_says_when_the_run_began(workflow, monkeypatch):
    monkeypatch.delenv(BEGAN)
    left = runs_in_a_job(workflow, "disobey_train:run=new")
    assert left == ["disobey_train:new"]


def jobs(workflow):
    """Return a job of each kind, with what Snakemake calls its outputs."""
    rules = [("disobey_train", {"run": run}) for run in ("old", "new", "broken", "none")]
    rules += [("plots", {}), ("upload", {})]
    return [
        SimpleNamespace(name=words.get("run", rule),
                        output=workflow.get_rule(rule).expand_output(words)[0])
        for rule, words in rules
    ]  # fmt: skip


def test_a_failed_group_keeps_what_its_members_finished(workflow, monkeypatch):
    from snakemake.jobs import Job

    removed = []

    async def cleanup(job, skip_outputs):
        removed.append((job.name, skip_outputs))

    monkeypatch.setattr(Job, "cleanup", cleanup)
    submits(workflow)
    os.environ[BEGAN] = "1500000000.25"
    for job in jobs(workflow):
        asyncio.run(Job.cleanup(job, {"kept"}))
    others = ["old", "broken", "none", "plots", "upload"]
    assert removed == [(name, {"kept"}) for name in others]


def test_a_run_that_is_ended_notes_what_its_groups_have_finished(workflow):
    """A member whose group was cancelled: Snakemake has not seen it end."""
    noted = []

    async def finished(job):
        noted.append(job.name)

    def execute(plugin):
        store("made", float(os.environ[BEGAN]))
        raise KeyboardInterrupt

    made = SimpleNamespace(name="made", output=["results/runs/made.json"])
    workflow._dag.needrun_jobs = lambda: [*jobs(workflow), made]
    workflow._persistence = SimpleNamespace(finished=finished)
    workflow.execute = execute
    with pytest.raises(KeyboardInterrupt):
        submits(workflow)
    assert noted == ["made"]
