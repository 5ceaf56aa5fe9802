"""A job that outlives its Snakemake, and the next job that must make the same store."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from disobey import code_digest
from disobey.errors import UserError
from disobey.locks import Holder, Lock
from disobey.provenance import spec_id
from disobey.stages.command import ask_to_stop, main
from disobey.stores.layout import lock_of
from disobey.training import checkpoint
from disobey.training.loop import Training

from .conftest import raw_images

pytestmark = pytest.mark.slow

LONG = 1_000_000  # epochs; more than a test may take


class Scene:
    """One training that several processes are called to make."""

    def __init__(self, workplace, folder, monkeypatch):
        self.workplace, self.folder = workplace, folder
        self.data = workplace.prepare(monkeypatch, raw_images())
        self.processes = []

    def plan(self, epochs):
        recipe = {"optimizer": "sgd", "lr": 0.05, "epochs": epochs, "batch": 16,
                  "schedule": "constant"}  # fmt: skip
        self.spec = self.workplace.run_spec(self.data, recipe=recipe)
        self.run = spec_id("run", self.spec)
        self.manifest = self.workplace.path("runs", f"{self.run}.json")

    def words(self, code="c0de"):
        data = f"{self.workplace.path('data', self.data)}.json"
        return ["train", "--spec", json.dumps(self.spec), "--code", code, "--inputs", data,
                "--output", str(self.manifest), "--device", "cpu"]  # fmt: skip

    def start(self, **environment):
        """Start a training in its own process."""
        log = self.folder / f"log-{len(self.processes)}"
        with open(log, "w") as stream:
            self.processes.append(subprocess.Popen(
                [sys.executable, "-m", "disobey", *self.words()], stderr=stream, cwd=self.folder,
                env=os.environ | {"DISOBEY_SAVE_EVERY": "0"} | environment,
            ))  # fmt: skip
        return self.processes[-1], log

    def states(self):
        return sorted(self.folder.glob("results/checkpoints/*/*.pt"))


PATIENCE = 900  # seconds; only to end a test that hangs


def wait_until(true):
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def scene(workplace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Scene(workplace, tmp_path, monkeypatch)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()


def test_the_second_waits_and_goes_on_from_the_first_ones_state(scene):
    scene.plan(epochs=LONG)
    first, _ = scene.start()
    wait_until(scene.states)
    second, log = scene.start()
    wait_until(lambda: "waiting for" in log.read_text())
    said = rf"{scene.run}\.json: process {first.pid} on \S+ since .* still makes it; waiting for"
    assert re.search(said, log.read_text())
    first.send_signal(signal.SIGTERM)
    assert first.wait(PATIENCE) == 2
    wait_until(lambda: "resumed at step" in log.read_text())
    second.kill()


def test_what_an_orphan_finished_is_not_made_again(scene, capsys):
    scene.plan(epochs=2)
    assert main("train", scene.words()[1:]) == 0
    record = scene.manifest.read_text()
    times = [path.stat().st_mtime_ns for path in scene.manifest.with_suffix("").iterdir()]
    assert main("train", scene.words()[1:]) == 0
    assert "is there already, of the same spec, code and inputs" in capsys.readouterr().err
    assert scene.manifest.read_text() == record
    # Snakemake refuses outputs that are older than inputs
    after = [path.stat().st_mtime_ns for path in scene.manifest.with_suffix("").iterdir()]
    assert min(after) > max(times)


def other_code(scene):
    return scene.words(code="0ther")


def damaged(scene):
    path = scene.manifest.with_suffix("") / "history.nc"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    return scene.words()


def other_versions(scene):
    record = json.loads(scene.manifest.read_text())
    record["versions"]["torch"] = "1.0"
    scene.manifest.write_text(json.dumps(record))
    return scene.words()


def code_unknown(scene):
    record = json.loads(scene.manifest.read_text()) | {"code": "by-hand"}
    scene.manifest.write_text(json.dumps(record))
    return scene.words(code="by-hand")


@pytest.mark.parametrize("change", [other_code, damaged, other_versions, code_unknown])
def test_what_is_not_the_same_is_made_again(change, scene, capsys):
    scene.plan(epochs=2)
    main("train", scene.words()[1:])
    weights = scene.manifest.with_suffix("") / "model.safetensors"
    kept = weights.with_name("kept")
    os.link(weights, kept)  # so that the file system cannot give its number to the next file
    words = change(scene)
    assert main("train", words[1:]) == 0
    assert "is there already" not in capsys.readouterr().err
    after = json.loads(scene.manifest.read_text())
    assert not weights.samefile(kept)
    assert after["code"] == words[words.index("--code") + 1]


def test_states_stay_until_the_model_was_read(scene, monkeypatch):
    """Snakemake deletes the store of a job that it has not seen end, say an orphan's."""
    monkeypatch.setenv("DISOBEY_SAVE_EVERY", "0")
    scene.plan(epochs=2)
    assert main("train", scene.words()[1:]) == 0
    assert len(scene.states()) == 1
    scene.workplace.dump(scene.run, scene.data)
    assert not list(scene.folder.glob("results/checkpoints/*"))


def test_states_of_accepted_code_go_too(scene, monkeypatch):
    monkeypatch.setenv("DISOBEY_SAVE_EVERY", "0")
    scene.plan(epochs=2)
    assert main("train", scene.words()[1:]) == 0
    record = json.loads(scene.manifest.read_text())
    for code in ("once", "twice"):  # as `disobey accept` writes it
        change = {"from": record["code"], "to": code}
        record |= {"code": code, "accepted": [*record.get("accepted", []), change]}
    scene.manifest.write_text(json.dumps(record))
    scene.workplace.dump(scene.run, scene.data)
    assert not list(scene.folder.glob("results/checkpoints/*"))


def test_a_call_by_hand_goes_on_from_its_own_codes_states_alone(scene, monkeypatch, capsys):
    scene.plan(epochs=2)
    monkeypatch.setenv("DISOBEY_SAVE_EVERY", "0")
    words, step = scene.words(code="by-hand")[1:], checkpoint.CheckpointSaver.after_step

    def stop_at_3(keeper):
        step(keeper)
        if keeper.training.step == 3:
            raise UserError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.CheckpointSaver, "after_step", stop_at_3)
        assert main("train", words) == 2
    with monkeypatch.context() as patch:
        patch.setattr(code_digest, "loaded_modules", lambda: {"disobey.training.loop": "edited"})
        patch.setattr(checkpoint.CheckpointSaver, "after_step", stop_at_3)
        assert main("train", words) == 2
    assert "resumed" not in capsys.readouterr().err
    assert main("train", words) == 0
    assert "resumed at step 3" in capsys.readouterr().err
    assert len(list(scene.folder.glob("results/checkpoints/*"))) == 1  # the other code's


def test_states_of_a_training_at_work_are_not_taken_away(scene, monkeypatch):
    monkeypatch.setenv("DISOBEY_SAVE_EVERY", "0")
    scene.plan(epochs=2)
    assert main("train", scene.words()[1:]) == 0
    lock = Lock(lock_of(scene.manifest))
    assert lock.try_take()
    scene.workplace.dump(scene.run, scene.data)
    assert len(scene.states()) == 1
    lock.release()


def test_what_a_killed_job_left_half_written_goes(scene, monkeypatch):
    scene.plan(epochs=LONG)
    process, _ = scene.start()
    wait_until(scene.states)
    process.kill()
    process.wait()
    (state,) = scene.states()[-1:]
    (scene.manifest.with_suffix("")).mkdir()
    left = [
        path.with_name(f".{path.name}.{process.pid}.tmp")
        for path in (state, scene.manifest.with_suffix("") / "history.nc", scene.manifest)
    ]
    for path in left:
        path.touch()
    other = scene.manifest.with_name(f".other.json.{process.pid}.tmp")
    other.touch()
    monkeypatch.setattr(Training, "run", lambda self, after_step: self.history)  # ends at once
    assert main("train", scene.words()[1:]) == 0
    assert not any(path.exists() for path in left)
    assert other.exists()  # somebody else's, who may be writing it


# --- SLURM ----------------------------------------------------------------------------------


A_RUN = "459d4321-7b47-4157-9650-3bdd71eca54c"


def command(folder, name, line):
    script = folder / name
    script.write_text(f"#!/bin/sh\n{line}\n")
    script.chmod(0o755)


@pytest.fixture
def scancel(tmp_path, monkeypatch):
    """Return the ids of cancelled jobs, of a scancel that only notes them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command(folder, "scancel", f'echo "$@" >> {folder}/cancelled')
    command(folder, "squeue", f"echo {A_RUN}")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    cancelled = folder / "cancelled"
    return lambda: cancelled.read_text().split() if cancelled.exists() else []


def test_on_slurm_the_earlier_job_is_cancelled(scene, scancel):
    scene.plan(epochs=LONG)
    scene.start(SLURM_JOB_ID="41")
    wait_until(scene.states)
    scene.start(SLURM_JOB_ID="42")
    wait_until(scancel)
    assert scancel() == ["41"]


@pytest.mark.parametrize(
    ("mine", "its"), [(None, "41"), ("41", "41"), ("42", None)], ids=["local", "requeued", "orphan"]
)
def test_no_other_job_is_cancelled(mine, its, scancel, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if mine:
        monkeypatch.setenv("SLURM_JOB_ID", mine)
    ask_to_stop(Holder(1, "node", "now", its))
    assert scancel() == []


@pytest.mark.parametrize("line", ["echo my-allocation", "exit 1"])
def test_an_allocation_of_the_users_own_is_not_cancelled(line, scancel, monkeypatch, tmp_path):
    """A Snakemake in it was killed and left a training; other work may run beside it."""
    command(tmp_path / "bin", "squeue", line)
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    ask_to_stop(Holder(1, "node", "now", "41"))
    assert scancel() == []


def test_where_scancel_fails_the_job_waits(scancel, monkeypatch, tmp_path, capsys):
    command(tmp_path / "bin", "scancel", "exit 1")
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    ask_to_stop(Holder(1, "node", "now", "41"))
    assert "waiting for the job to end by itself" in capsys.readouterr().err
