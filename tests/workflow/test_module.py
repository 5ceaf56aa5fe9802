"""The workflow runs from another folder: as a module of another workflow, or by its path."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from disobey.errors import UserError
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.workflow import default_study, open_workflow, study_file_of

from . import forked
from .conftest import NO_SLURM, PATIENCE, REPOSITORY, SMALL, jobs_in

OUTER = f"""
module disobey:
    snakefile: "{REPOSITORY}/Snakefile"
    config: {{"study_file": "study.yaml"}}
use rule * from disobey as disobey_*
use rule train from disobey as disobey_train with:
    threads: 2
rule mine:
    input: rules.disobey_all.input
    output: "mine.txt"
    shell: "ls results > {{output}}"
"""


def dry_run(folder, *words):
    return forked.run(
        "snakemake", "--dry-run", "--cores", "1", "--printshellcmds", *words,
        folder=folder, environment=os.environ | NO_SLURM, timeout=PATIENCE,
    )  # fmt: skip


def test_another_workflow_uses_it_as_a_module_with_names_of_its_own(tmp_path):
    (tmp_path / "Snakefile").write_text(OUTER)
    (tmp_path / "study.yaml").write_text(SMALL.read_text())
    done = dry_run(tmp_path, "mine")
    assert done.returncode == 0, done.stdout + done.stderr
    rules = {job.partition(" ")[0] for job in jobs_in(done.stdout)}
    assert "mine" in rules and all(rule.startswith("disobey_") for rule in rules - {"mine"})
    lines = [line for line in done.stdout.splitlines() if " -m disobey " in line]
    assert any(" -m disobey train --spec " in line for line in lines)
    assert any(" -m disobey figure --from-stdin " in line for line in lines)


def test_it_runs_by_its_path_on_the_study_of_the_folder(tmp_path):
    (tmp_path / "config.yaml").write_text(SMALL.read_text())
    done = dry_run(tmp_path, "--snakefile", str(REPOSITORY / "workflow/Snakefile"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rule all:" in done.stdout and "results/small/report.html" in done.stdout


class Base(SimpleNamespace):
    def join(self, name):
        return SimpleNamespace(get_path_or_uri=lambda secret_free: f"{self.folder}/{name}")


def test_without_a_study_in_the_folder_the_one_beside_the_snakefile_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    workflow = SimpleNamespace(current_basedir=Base(folder="/there"))
    assert default_study(workflow) == "/there/config.yaml"
    (tmp_path / "config.yaml").touch()
    assert default_study(workflow) == "config.yaml"


def outer(*files, main=False, config=None):
    return SimpleNamespace(
        modifier=SimpleNamespace(is_main_snakefile=lambda: main),
        config_settings=SimpleNamespace(configfiles=[], config=config or {}),
        configfiles=list(files),
    )


def test_a_module_takes_its_study_from_one_file(tmp_path):
    config = yaml.safe_load(SMALL.read_text())
    assert str(study_file_of(outer(), {"study_file": "a.yaml"})) == "a.yaml"
    assert study_file_of(outer(SMALL, config={"mine": 1}), config) == SMALL
    for workflow, given in (
        (outer(), config),
        (outer(SMALL), config | {"seeds": [7]}),
        (outer(SMALL, SMALL), config),
    ):
        with pytest.raises(UserError, match=r"config: \{\"study_file\": \"my-study.yaml\"\}"):
            study_file_of(workflow, given)


def test_the_main_workflow_refuses_values_on_the_command_line():
    with pytest.raises(UserError, match="a study is one file"):
        study_file_of(outer(SMALL, main=True, config={"seeds": [0]}), {})


def test_the_main_workflow_refuses_two_studies():
    words = f"--configfile {SMALL} b.yaml: a study is one file; name one of them"
    with pytest.raises(UserError, match=re.escape(words)):
        study_file_of(outer(SMALL, "b.yaml", main=True), {})


def test_modules_of_one_workflow_run_one_study():
    from snakemake.exceptions import WorkflowError

    workflow, jobs = outer(), object()
    workflow.disobey = {Path("a.yaml"): jobs}
    assert open_workflow(workflow, {"study_file": "a.yaml"}) is jobs
    with pytest.raises(WorkflowError, match=r"b\.yaml: a workflow runs one study, and a\.yaml is"):
        open_workflow(workflow, {"study_file": "b.yaml"})


@pytest.mark.parametrize("main", [True, False])
def test_only_the_snakemake_that_the_user_calls_tidies_up(main, tmp_path, monkeypatch, capsys):
    """The Snakemake of a job removes nothing, and runs its commands unchanged."""
    from snakemake.resources import Resources

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("disobey.workflow._prepare_children", lambda workflow: None)
    plan = make_plan(load_study(SMALL))
    broken = next(job.manifest for job in plan.jobs.values())
    (tmp_path / broken).parent.mkdir(parents=True)
    (tmp_path / broken).write_text("{")

    def execute():
        pass

    workflow = outer(SMALL, main=True)
    vars(workflow).update(
        is_main_process=main, remote_exec=False, check_envvars=False, execute=execute,
        _prepare_dag=execute, global_resources=Resources(),
        deployment_settings=SimpleNamespace(deployment_method=()),
        resource_settings=SimpleNamespace(default_resources=None, nodes=None),
    )  # fmt: skip
    assert open_workflow(workflow, {}).plan.jobs == plan.jobs
    said = f"disobey: will be made again: {broken}: is not a manifest\n"
    assert capsys.readouterr().err == (said if main else "")
    assert (tmp_path / broken).exists() != main
    assert (workflow.execute is execute) != main and (workflow._prepare_dag is execute) != main
