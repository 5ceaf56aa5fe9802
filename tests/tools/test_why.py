"""``why`` says what changed; ``accept`` records who vouches that it changes no number.

Other tests compare the jobs that they name with Snakemake's.
"""

import getpass
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from disobey import code_digest
from disobey.__main__ import main as disobey
from disobey.locks import Lock
from disobey.stages.command import main as run_stage
from disobey.stores.manifest import Manifest
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.staleness import CodeDigests, Manifests, stale_by_code, why
from disobey.tools.why import SHOWN, main
from disobey.workflow import Jobs

REPOSITORY = Path(__file__).parents[2]

STUDY = """
study: small
seeds: [0]
datasets: {d: {source: builtin, name: digits, label_noise: {rate: 0.1}}}
models: {m: {family: mlp, hidden: [4]}}
recipes: {r: {optimizer: sgd, lr: 0.1, epochs: 1}}
settings: {s: {dataset: d, teacher: m, student: m, recipe: r, distill: {temperature: 2}}}
"""


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A plan with its data and labels on disk."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(STUDY)
    plan = make_plan(load_study("study.yaml"))
    digests = CodeDigests()
    for (stage, _), job in plan.jobs.items():
        if stage in ("prepare", "labels"):
            words = ["--spec", job.spec, "--code", digests.of(job), "--output", job.manifest]
            assert run_stage(stage, [*words, "--inputs", *job.inputs]) == 0
    return plan, digests, {stage: job for (stage, _), job in plan.jobs.items()}


def reasons(plan, digests, stage):
    return next((words for name, words in why(plan, digests).items() if name[0] == stage), None)


def test_what_is_up_to_date_is_not_named(made):
    plan, digests, _ = made
    assert reasons(plan, digests, "prepare") is None
    assert reasons(plan, digests, "labels") is None
    assert "has not been made" in reasons(plan, digests, "train")


def test_a_store_cut_short_and_its_consumers_are_named(made, tmp_path):
    plan, digests, jobs = made
    store = tmp_path / jobs["prepare"].manifest.removesuffix(".json")
    store.write_bytes(store.read_bytes()[:-1])
    assert "bytes instead of" in reasons(plan, digests, "prepare")[0]
    assert reasons(plan, digests, "labels") == [f"prepare {jobs['prepare'].key} runs again"]


def test_changed_code_is_named_by_module(made, monkeypatch):
    plan, _, _ = made
    changed = "disobey.data.label_noise"
    real, whole = code_digest._definition, code_digest.module_digest

    def edited(module, name):
        found = real(module, name)
        edits = module == changed and name == "noisy_labels"
        return replace(found, digest="other") if edits else found

    monkeypatch.setattr(code_digest, "_definition", edited)
    monkeypatch.setattr(
        code_digest, "module_digest", lambda name: "other" if name == changed else whole(name)
    )
    fresh = CodeDigests()
    assert reasons(plan, fresh, "labels") == [f"its code changed: {changed}"]
    assert reasons(plan, fresh, "prepare") is None


def test_a_module_that_was_not_loaded_is_named_if_no_other_has_changed(made):
    _, digests, jobs = made
    job = jobs["labels"]
    other = "disobey.data.label_noise"
    record = json.loads(Path(job.manifest).read_text())
    del record["modules"][other]
    manifest = Manifest(Path(job.manifest), record)
    assert digests.changed(job, manifest) == [f"{other} (new, or not loaded then)"]
    record["modules"]["disobey.seeds"] = "other"
    assert digests.changed(job, manifest) == ["disobey.seeds"]


def test_data_made_again_since_is_named(made):
    plan, digests, jobs = made
    job = jobs["prepare"]
    path = Path(job.manifest)
    path.write_text(path.read_text().replace('"content": "', '"content": "00'))
    assert reasons(plan, digests, "labels") == [f"{job.manifest} was made again since"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"rate": 0.1', '"rate": 0.2', ": its spec was edited"),
        ('"rate": 0.1', '"rate": NaN', ": is not a manifest (Out of range float values"),
        ('"files": {', '"file": {', ": is not a manifest"),
    ],
)
def test_a_manifest_that_was_edited_is_a_reason_for_snakemake_too(old, new, said, made):
    plan, digests, jobs = made
    job = jobs["labels"]
    path = Path(job.manifest)
    edited = path.read_text().replace(old, new)
    assert edited != path.read_text()
    path.write_text(edited)
    (reason,) = reasons(plan, digests, "labels")
    assert reason.startswith(f"{job.manifest}{said}") and "delete it" not in reason
    snakemake = Jobs(load_study("study.yaml"), plan, "python")
    assert snakemake.stale() == {job.manifest: [reason]}


def test_what_is_not_made_is_nothing_to_force(made):
    plan, _, _ = made
    assert Jobs(load_study("study.yaml"), plan, "python").stale() == {}


def test_only_jobs_that_are_stale_for_their_code_alone_may_be_accepted(made):
    """Jobs whose spec or input changed too, or whose store is broken, are refused."""
    plan, digests, jobs = made
    job = jobs["labels"]
    path, data = Path(job.manifest), Path(jobs["prepare"].manifest)
    other = path.read_text().replace(digests.of(job), "0123")

    def accepted():
        return [name for name, _ in stale_by_code(plan, digests, Manifests())]

    assert accepted() == []
    path.write_text(other)
    assert accepted() == ["labels"]
    changed = replace(job, spec=job.spec.replace('"rate":0.1', '"rate":0.2'))
    assert changed != job
    new = SimpleNamespace(jobs={("labels", job.key): changed})
    assert stale_by_code(new, digests, Manifests()) == {}
    kept = data.read_text()
    data.write_text(kept.replace('"content": "', '"content": "00'))
    assert accepted() == []
    data.write_text(kept)
    path.write_text("{")
    assert accepted() == []


def test_a_reader_that_has_read_enough_gets_no_traceback(tmp_path):
    command = [sys.executable, "-m", "disobey", "why", str(REPOSITORY / "config.yaml")]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    asked = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert asked.stdout is not None and asked.stderr is not None
    asked.stdout.close()  # before anything is printed
    assert asked.stderr.read() == b""
    assert asked.wait() == 1


def test_a_page_with_many_inputs_is_one_line_that_can_be_read(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([str(REPOSITORY / "config.yaml")]) == 0
    line = next(row for row in capsys.readouterr().out.splitlines() if row.startswith("report "))
    assert line.count(";") == SHOWN and re.search(r"; and \d+ more$", line)


# --- accept


@pytest.fixture
def stale(made):
    """The manifest of labels that were made with other code, and the current digest."""
    _, digests, jobs = made
    path = Path(jobs["labels"].manifest)
    record = json.loads(path.read_text())
    assert record["code"] == digests.of(jobs["labels"])
    path.write_text(json.dumps(record | {"code": "earlier"}))
    return path, record["code"]


def accepted(path):
    """Return the code digest in a manifest, and its accepted changes."""
    record = json.loads(path.read_text())
    return record["code"], record.get("accepted", [])


def answer(monkeypatch, said):
    """Simulate input at a terminal, or Ctrl-D; return the list of questions."""
    asked = []

    def typed(question):
        asked.append(question)
        if said is None:
            raise EOFError
        return said

    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", typed)
    return asked


@pytest.mark.parametrize("said", ["", "n", "No", "yesterday", None])
def test_without_a_yes_nothing_is_accepted(stale, monkeypatch, capsys, said):
    path, _ = stale
    asked = answer(monkeypatch, said)
    assert disobey(["accept", "study.yaml"]) == 1
    assert asked == ["Do these edits change no number of these 1 jobs? [y/N] "]
    shown = capsys.readouterr().out
    assert shown.startswith("labels: ") and shown.endswith("\nnothing was accepted\n")
    assert accepted(path) == ("earlier", [])


@pytest.mark.parametrize("said", ["y", " YES "])
def test_after_a_yes_the_job_is_up_to_date(stale, made, monkeypatch, capsys, said):
    path, code = stale
    time = path.stat().st_mtime_ns
    answer(monkeypatch, said)
    assert disobey(["accept", "study.yaml"]) == 0
    assert capsys.readouterr().out.endswith("\naccepted 1 jobs\n")
    found, (change,) = accepted(path)
    assert found == code and (change["from"], change["to"]) == ("earlier", code)
    assert path.stat().st_mtime_ns == time
    assert reasons(made[0], CodeDigests(), "labels") is None
    assert disobey(["accept", "study.yaml"]) == 0
    nothing = "no finished job is stale for its code alone; nothing to accept\n"
    assert capsys.readouterr().out == nothing


def test_nothing_is_accepted_while_snakemake_works(stale, capsys):
    lease = Lock(Path(".snakemake/lease"))
    assert lease.try_take()
    assert disobey(["accept", "study.yaml", "--yes"]) == 2
    lease.release()
    assert "another snakemake works in this folder" in capsys.readouterr().err
    assert accepted(stale[0]) == ("earlier", [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "standard input is not a terminal: add --yes to accept without a question\n"),
        (["--yes", "prepare"], "prepare: no job of this name is stale for its code alone; "),
    ],
)
def test_a_call_that_cannot_be_meant_accepts_nothing(stale, monkeypatch, capsys, words, said):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    assert disobey(["accept", "study.yaml", *words]) == 2
    assert capsys.readouterr().err.startswith(said)
    assert accepted(stale[0]) == ("earlier", [])


def git(monkeypatch, name):
    """Make git return a user name, or fail in some way."""
    real = subprocess.run

    def run(command, **options):
        if command[-1] != "user.name":
            return real(command, **options)
        if isinstance(name, Exception):
            raise name
        return subprocess.CompletedProcess(command, 0 if name else 1, f"{name}\n")

    monkeypatch.setattr(subprocess, "run", run)


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("", "ada"),
        (FileNotFoundError("git"), "ada"),
        (subprocess.TimeoutExpired("git", 20), "ada"),
    ],
)
def test_a_change_is_accepted_by_the_name_that_git_knows_or_the_login(
    stale, monkeypatch, capsys, name, by
):
    git(monkeypatch, name)
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    assert disobey(["accept", "study.yaml", "--yes"]) == 0
    assert accepted(stale[0])[1][0]["by"] == by
    assert disobey(["explain", str(stale[0])]) == 0
    assert f" by {by} at " in capsys.readouterr().out


@pytest.mark.parametrize("error", [KeyError("uid not found"), OSError("No username set")])
def test_a_change_is_accepted_where_the_user_has_neither_name_nor_login(stale, monkeypatch, error):
    def nobody():
        raise error

    git(monkeypatch, "")
    monkeypatch.setattr(getpass, "getuser", nobody)
    assert disobey(["accept", "study.yaml", "--yes"]) == 0
    assert accepted(stale[0])[1][0]["by"] == f"user {os.getuid()}"
