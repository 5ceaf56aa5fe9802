"""``why`` says in plain words what changed; which jobs it names is held to Snakemake elsewhere."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from disobey import code_digest
from disobey.stages.command import main as run_stage
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
    """Not those whose spec or an input changed, too, nor those that have a broken store."""
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
    asked.stdout.close()  # before it has printed anything
    assert asked.stderr.read() == b""
    assert asked.wait() == 1


def test_a_page_with_many_inputs_is_one_line_that_can_be_read(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([str(REPOSITORY / "config.yaml")]) == 0
    line = next(row for row in capsys.readouterr().out.splitlines() if row.startswith("report "))
    assert line.count(";") == SHOWN and re.search(r"; and \d+ more$", line)
