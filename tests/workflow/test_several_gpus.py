"""Training by several processes in the real Snakemake; without GPUs they use the CPU."""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from disobey.stores.manifest import read_manifest

from .conftest import SMALL, Workflow, wait_until

pytestmark = pytest.mark.workflow

SHOWS_GPUS = Path(__file__).with_name("snakemake_with_gpus.py")


@dataclass
class WithGpus(Workflow):
    """A folder on a machine that seems to have GPUs."""

    def command(self, *words):
        return [sys.executable, str(SHOWS_GPUS), *super().command(*words)[3:]]

    def measured(self, manifest):
        return read_manifest(self.folder / manifest).record["measured"]


@pytest.fixture
def two_gpus(tmp_path):
    workflow = WithGpus(tmp_path)
    words = "device: auto\ngpus: 2"
    workflow.study.write_text(SMALL.read_text().replace("device: cpu", words))
    return workflow


def test_two_processes_train_and_another_number_of_them_makes_nothing_stale(two_gpus, monkeypatch):
    """After Ctrl-C during training, the run continues from one saved state."""
    two_gpus.edit("epochs: 3", "epochs: 30")
    run = two_gpus.planned("train")[0]
    log = two_gpus.folder / f"results/logs/train/{Path(run).stem}.log"
    temporary = two_gpus.folder / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    # A state after each step, so that much remains to be done, on any machine, after the first.
    monkeypatch.setenv("DISOBEY_SAVE_EVERY", "0")
    process = two_gpus.start(run)
    wait_until(lambda: list(two_gpus.folder.glob("results/checkpoints/*/*.pt")), "a state")
    monkeypatch.delenv("DISOBEY_SAVE_EVERY")
    os.killpg(process.pid, signal.SIGINT)  # like a terminal
    output, _ = process.communicate()
    assert process.returncode != 0, output
    assert log.read_text().count("stopped by SIGINT at step") == 1, log.read_text()

    done = two_gpus.snakemake(run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert log.read_text().count("resumed at step") == 1
    assert two_gpus.measured(run)["processes"] == 2
    assert not list(temporary.glob("torchelastic_*"))
    for words in ("gpus: 1", "gpus: 3"):
        two_gpus.edit("gpus: 2", words)
        assert two_gpus.would_run(run) == set()
        two_gpus.edit(words, "gpus: 2")
