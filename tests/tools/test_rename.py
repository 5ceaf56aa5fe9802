"""Results with ids of eight digits get their current names, and nothing is lost."""

import json
from pathlib import Path

import pytest
from made_stores import make

from disobey import provenance
from disobey.locks import Lock
from disobey.stages.command import main as run_stage
from disobey.stores.manifest import read_manifest
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.staleness import CodeDigests, why
from disobey.tools.rename import PAGES, main

STUDY = """
study: small
seeds: [0]
device: cpu
datasets: {d: {source: builtin, name: digits, label_noise: {rate: 0.1}}}
models: {m: {family: mlp, hidden: [4]}}
recipes: {r: {optimizer: sgd, lr: 0.1, epochs: 1}}
settings: {s: {dataset: d, teacher: m, student: m, recipe: r, distill: {temperature: 2}}}
"""
MADE = ("prepare", "labels", "train", "dump")


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A folder whose data and trainings have ids of eight digits."""
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(STUDY)
    digests = CodeDigests()
    with provenance.eight_digits():
        plan = make_plan(load_study("study.yaml"))
        for (stage, _), job in plan.jobs.items():
            if stage in MADE:
                words = ["--spec", job.spec, "--code", digests.of(job), "--output", job.manifest]
                assert run_stage(stage, [*words, "--inputs", *job.inputs]) == 0
    return plan


def stale(study="study.yaml"):
    return {stage for stage, _ in why(make_plan(load_study(study)), CodeDigests())}


def contents():
    """Return the bytes of every result file except the manifests."""
    return sorted(
        path.read_bytes()
        for path in Path("results").rglob("*")
        if path.is_file() and path.suffix != ".json"
    )


def test_renamed_results_are_up_to_date_with_every_byte(old, capsys):
    before, times = contents(), {Path(job.manifest).stat().st_mtime_ns
                                 for job in old.jobs.values() if job.stage in MADE}  # fmt: skip
    assert set(MADE) <= stale()
    assert main(["study.yaml"]) == 0
    count = sum(stage in MADE for stage, _ in old.jobs)
    assert capsys.readouterr().out == f"renamed {count} stores\n"
    assert stale().isdisjoint(MADE)
    assert contents() == before
    new = make_plan(load_study("study.yaml"))
    for job in new.jobs.values():
        if job.stage in MADE:
            manifest = read_manifest(job.manifest)
            assert manifest.id in job.key
            assert all(manifest.file(name).is_file() for name in manifest.record["files"])
            assert Path(job.manifest).stat().st_mtime_ns in times
    left = {job.manifest for job in old.jobs.values()} - {job.manifest for job in new.jobs.values()}
    assert not any(Path(path).exists() for path in left)


def test_renaming_again_or_for_another_study_changes_nothing(old, capsys):
    assert main(["study.yaml"]) == 0
    made = {path: path.stat().st_mtime_ns for path in Path("results").rglob("*")}
    Path("other.yaml").write_text(STUDY.replace("study: small", "study: other"))
    assert main(["study.yaml", "other.yaml"]) == 0
    assert capsys.readouterr().out.endswith("renamed 0 stores\n")
    assert {path: path.stat().st_mtime_ns for path in Path("results").rglob("*")} == made


def test_a_store_of_another_spec_keeps_its_name(old):
    job = next(job for job in old.jobs.values() if job.stage == "train")
    path = Path(job.manifest)
    record = json.loads(path.read_text())
    record["spec"] = record["spec"] | {"seed": 99}
    record["spec_hash"] = provenance.spec_hash(record["spec"])
    path.write_text(json.dumps(record))
    assert main(["study.yaml"]) == 0
    assert path.exists() and all((path.parent / name).exists() for name in record["files"])


def test_a_call_that_is_interrupted_loses_nothing(old, monkeypatch):
    before = contents()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("disobey.tools.rename._remove", stopped)
        main(["study.yaml"])
    assert stale().isdisjoint(MADE)  # the old names are kept: prune lists them
    assert sorted(set(contents())) == sorted(set(before))
    assert main(["study.yaml"]) == 0
    assert stale().isdisjoint(MADE)


def stopped(manifest):
    raise KeyboardInterrupt


def test_a_call_that_is_interrupted_between_files_and_manifest_goes_on(old, monkeypatch):
    before = contents()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("disobey.tools.rename.rewrite", lambda manifest, *_: stopped(manifest))
        main(["study.yaml"])
    data = next(job for job in make_plan(load_study("study.yaml")).jobs.values())
    assert Path(data.manifest.removesuffix(".json")).exists() and not Path(data.manifest).exists()
    assert main(["study.yaml"]) == 0
    assert stale().isdisjoint(MADE)
    assert contents() == before


def test_nothing_is_renamed_while_snakemake_works(old, capsys):
    lease = Lock(Path(".snakemake/lease"))
    assert lease.try_take()
    before = sorted(Path("results").rglob("*"))
    assert main(["study.yaml"]) == 2
    lease.release()
    assert "another snakemake works in this folder" in capsys.readouterr().err
    assert sorted(Path("results").rglob("*")) == before


def test_of_a_finished_study_the_pages_alone_are_made_again(tmp_path, monkeypatch, capsys):
    """Analyses, tables and figures keep their names; their manifests name the current ids."""
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(STUDY)
    with provenance.eight_digits():
        plan = make_plan(load_study("study.yaml"))
    for job in plan.jobs.values():
        make(job, CodeDigests())
    new = make_plan(load_study("study.yaml"))
    both = {job.manifest for job in plan.jobs.values()} & {
        job.manifest for job in new.jobs.values()
    }
    assert {f"results/small/{kind}" for kind in ("analysis", "tables", "figures")} <= {
        str(Path(path).parent) for path in both
    }
    assert main(["study.yaml"]) == 0
    assert capsys.readouterr().out == f"renamed {len(plan.jobs) - len(both)} stores\n"
    assert stale() == set(PAGES)
    assert all(Path(path.removesuffix(".json")).exists() for path in both if "figures" not in path)
