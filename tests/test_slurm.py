"""Calls of SLURM's commands, which are made up here, so that no SLURM is needed."""

import os
import sys
from types import SimpleNamespace

import pytest

from disobey.errors import OutOfTime, UserError
from disobey.lease import cancel_left_jobs, start_again
from disobey.stages import command

A_RUN = "459d4321-7b47-4157-9650-3bdd71eca54c"


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """SLURM's commands: what squeue prints can be set, and all calls are noted."""
    calls, printed = tmp_path / "calls", tmp_path / "printed"
    printed.touch()
    calls.touch()
    for name in ("squeue", "scontrol", "scancel"):
        script = tmp_path / "bin" / name
        script.parent.mkdir(exist_ok=True)
        text = f'#!/bin/sh\necho "{name} $*" >> {calls}\n'
        script.write_text(text + (f"cat {printed}\n" if name == "squeue" else ""))
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    changed = ("scontrol", "scancel")

    def fails(name):
        with open(tmp_path / "bin" / name, "a") as script:
            script.write("exit 1\n")

    return SimpleNamespace(
        fails=fails,
        prints=printed.write_text,
        changes=lambda: [c for c in calls.read_text().splitlines() if c.startswith(changed)],
    )


def test_lines_of_squeue_that_are_no_jobs_are_left_out(slurm, tmp_path):
    slurm.prints(
        f"CLUSTER: big\n\nWelcome | to big\n41|{A_RUN}|{tmp_path}\n42|my-job|{tmp_path}\n"
        f"43|{A_RUN}|/elsewhere\n44|site-{A_RUN}|{tmp_path}\n"
    )
    cancel_left_jobs(tmp_path)
    assert slurm.changes() == ["scancel 41 44"]


def test_nothing_is_cancelled_or_said_where_no_job_is_left(slurm, tmp_path, capsys):
    slurm.prints(f"42|my-job|{tmp_path}\n43|{A_RUN}|/elsewhere\n")
    cancel_left_jobs(tmp_path)
    assert slurm.changes() == [] and capsys.readouterr().err == ""


def test_a_job_that_slurm_does_not_put_back_is_not_started_again(slurm, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_JOB_ID", "41")
    slurm.prints(f"{A_RUN}\n")
    slurm.fails("scontrol")
    assert not start_again()
    assert slurm.changes() == ["scontrol requeue 41"]
    said = capsys.readouterr().err
    assert said.startswith("disobey: scontrol failed (") and "is not started again\n" in said
    assert "goes on from the saved state" not in said


def test_a_job_of_snakemakes_is_started_again(slurm, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_JOB_ID", "41")
    slurm.prints(f"{A_RUN}\n")
    assert start_again()
    assert slurm.changes() == ["scontrol requeue 41"]
    assert "SLURM starts job 41 again" in capsys.readouterr().err


@pytest.mark.parametrize(("job", "name"), [("41", "my-allocation"), (None, A_RUN)])
def test_no_other_job_is(job, name, slurm, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if job:
        monkeypatch.setenv("SLURM_JOB_ID", job)
    slurm.prints(f"{name}\n")
    assert not start_again()
    assert slurm.changes() == []


@pytest.mark.parametrize(("error", "times"), [(OutOfTime("x"), 1), (UserError("x"), 0)])
def test_only_a_training_that_saved_before_its_limit_is(error, times, monkeypatch, tmp_path):
    asked = []
    stage = SimpleNamespace(__doc__="", run=lambda job: (_ for _ in ()).throw(error))
    monkeypatch.setitem(sys.modules, "disobey.stages.table", stage)
    monkeypatch.setattr(command, "start_again", lambda: asked.append(1))
    output = str(tmp_path / "t.csv.json")
    assert command.main("table", ["--spec", "{}", "--output", output]) == 2
    assert len(asked) == times
