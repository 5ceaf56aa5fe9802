"""Models that were made elsewhere, in the real workflow: what their bytes make stale."""

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
    """A folder with a study of logits and of checkpoints that lie beside it."""
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
