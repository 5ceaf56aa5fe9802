"""Models trained elsewhere, in the real workflow: changes of their bytes make jobs stale."""

import numpy as np
import pytest

from tests.test_comparisons import FILES, save_files, save_image_model

from .conftest import Workflow

pytestmark = pytest.mark.workflow

CHECKPOINTS = """\
  hub:
    source: huggingface
    dataset: digits
    teachers: [{folder: m0}, {folder: m1}]
    students: [{folder: m2}, {folder: m3}]
    splits: [test]
datasets:
  digits: {source: builtin, name: digits, subset: {train: 40, test: 60}}
"""
ANALYSES = ["results/own/analysis/both.nc.json", "results/own/analysis/hub.nc.json"]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with a study of logits and checkpoints, and these files."""
    monkeypatch.chdir(tmp_path)
    workflow = Workflow(tmp_path)
    workflow.study.write_text(f"study: own\nseeds: [0, 1]\ndevice: cpu\n{FILES}{CHECKPOINTS}")
    save_files()
    for seed in range(4):
        save_image_model(tmp_path / f"m{seed}", seed)
    return workflow


def stages(jobs):
    return sorted(job.partition(" ")[0] for job in jobs)


def test_what_others_made_is_read_once_and_again_only_when_its_bytes_change(own):
    everything = ["classify"] * 4 + ["compared", "confidence", "confidence", "prepare"]
    assert stages(own.would_run(*ANALYSES)) == everything
    result = own.snakemake(*ANALYSES)
    assert result.returncode == 0, result.stdout + result.stderr
    assert own.would_run(*ANALYSES) == set()
    for folder in ("m0", "m2"):
        (own.folder / folder).rename(own.folder / f"{folder}-moved")
    text = own.study.read_text().replace("m0}", "m0-moved}").replace("m2}", "m2-moved}")
    own.study.write_text(text)
    assert own.would_run(*ANALYSES) == set()
    with np.load("s1.npz") as arrays:
        changed = {**arrays, "test": arrays["test"] + 1e-3}
    np.savez("s1.npz", **changed)
    assert stages(own.would_run(*ANALYSES)) == ["compared", "confidence"]
    save_image_model(own.folder / "m1", 9)
    assert stages(own.would_run(*ANALYSES)) == [
        "classify", "compared", "confidence", "confidence",
    ]  # fmt: skip


TAUGHT = """\
study: own
seeds: [0, 1]
device: cpu
datasets: {digits: {source: builtin, name: digits, subset: {train: 60, test: 50}}}
models: {small: {family: mlp, hidden: [8]}}
recipes: {short: {optimizer: sgd, lr: 0.1, batch: 20, epochs: 1}}
teachers: {mine: {source: logits, files: [t0.npz, t1.npz]}}
settings:
  it:
    {dataset: digits, teacher: {external: mine}, student: small, recipe: short,
     distill: {temperature: 4}}
"""
ANALYSIS = "results/own/analysis/it.nc.json"


def test_students_of_a_teacher_from_elsewhere_run_again_only_when_its_bytes_change(own):
    own.study.write_text(TAUGHT)
    rng = np.random.default_rng(0)
    for seed in range(2):
        np.savez(f"t{seed}.npz", train=rng.normal(size=(60, 10)), test=rng.normal(size=(50, 10)))
    everything = [*["compared"] * 2, "confidence", *["dump"] * 4, "prepare", *["train"] * 4]
    assert stages(own.would_run(ANALYSIS)) == everything
    result = own.snakemake(ANALYSIS)
    assert result.returncode == 0, result.stdout + result.stderr
    assert own.would_run(ANALYSIS) == set()
    (own.folder / "t1.npz").rename(own.folder / "moved.npz")
    own.edit("t1.npz", "moved.npz")
    assert own.would_run(ANALYSIS) == set()
    own.edit("mine", "theirs")  # two replacements: the entry, and the setting that names it
    renamed = own.would_run(ANALYSIS)
    assert stages(renamed) == ["confidence"]  # it contains the teacher's name in tables and figures
    np.savez("moved.npz", train=rng.normal(size=(60, 10)), test=rng.normal(size=(50, 10)))
    expected = ["compared", "confidence", "dump", "train"]  # the other student has the same teacher
    assert stages(own.would_run(ANALYSIS)) == expected
