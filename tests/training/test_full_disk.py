"""A disk that is really full: a small file system of its own, filled by a file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from disobey.errors import DiskFull
from disobey.provenance import spec_id
from disobey.stores.writer import NetcdfWriter, atomic
from disobey.training.checkpoint import Checkpoints, CheckpointSaver
from disobey.training.weights import save_weights

from .conftest import Workplace, raw_images
from .test_checkpoint import outcome, training

SIZE = 8 << 20


class Disk:
    """A file system of 8 MiB."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, free: int = 0) -> None:
        """Leave ``free`` bytes, up to a page."""
        with open(self.folder / "filler", "wb") as filler:
            used = sum(f.stat().st_blocks * 512 for f in self.folder.rglob("*") if f.is_file())
            filler.write(bytes(max(0, SIZE - used - free)))

    def clear(self) -> None:
        (self.folder / "filler").unlink()


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no mount here: {error}")
    if done.returncode:
        pytest.skip(f"a small file system may not be mounted here: {done.stderr.strip()}")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def two_million(path):
    with NetcdfWriter(path) as writer:
        writer.write("train", "logits", ("example",), torch.arange(2e6).numpy())


def in_slabs(path):
    with NetcdfWriter(path) as writer:
        variable = writer.declare("train", "logits", ("example",), (2_000_000,), "f4")
        for start in range(0, 2_000_000, 100_000):
            variable[start : start + 100_000] = torch.arange(1e5).numpy()


WRITERS = {
    "netCDF": two_million,
    "netCDF, slab by slab": in_slabs,
    "safetensors": lambda path: save_weights(torch.nn.Linear(1000, 2000), path),
    "torch": lambda path: torch.save(torch.arange(2e6), path),
    "text": lambda path: path.write_text("x" * 8_000_000),
}


@pytest.mark.parametrize("free", [0, 5_000_000])
@pytest.mark.parametrize("kind", WRITERS)
def test_each_kind_of_file_says_that_the_disk_is_full_and_leaves_nothing(kind, free, disk):
    store = disk.folder / "store"
    store.write_text("old")
    disk.fill(free)
    words = r"store: no space is left .*call the same command again"
    with pytest.raises(DiskFull, match=words), atomic(store) as temporary:
        WRITERS[kind](temporary)
    assert store.read_text() == "old"
    assert sorted(path.name for path in disk.folder.iterdir()) == ["filler", "store"]


def test_another_failure_is_not_called_a_full_disk(disk):
    with pytest.raises(ValueError, match="wrong"), atomic(disk.folder / "store"):
        raise ValueError("wrong")


def test_states_that_do_not_fit_do_not_end_training_and_the_older_ones_stay(disk, capsys):
    whole = training("image")
    whole.run()
    run = training("image")
    checkpoints = Checkpoints(disk.folder / "states")
    keeper = CheckpointSaver(checkpoints, run, every=0)
    there = {}

    def after_step():
        if run.step == 4:
            disk.fill()
        if run.step == 7:
            disk.clear()
        keeper.after_step()
        there[run.step] = [int(path.stem) for path in sorted(checkpoints.folder.glob("*.pt"))]

    run.run(after_step)
    assert there == {
        1: [1], 2: [1, 2], 3: [2, 3], 4: [2, 3], 5: [2, 3], 6: [2, 3], 7: [3, 7], 8: [7, 8],
        9: [8, 9],
    }  # fmt: skip
    said = capsys.readouterr().err
    for step in (4, 5, 6):
        assert f"step {step}: the state could not be saved, training goes on; the last one is of " \
            "step 3. " in said  # fmt: skip
    (weights, history), (expected, expected_history) = outcome(run), outcome(whole)
    assert history == expected_history
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


@pytest.fixture
def workplace(disk, tmp_path, monkeypatch):
    """Stores on the small disk; saved states lie in the working directory, on a large one."""
    monkeypatch.chdir(tmp_path)
    return Workplace(disk.folder)


def spec_and_call(workplace, monkeypatch):
    data = workplace.prepare(monkeypatch, raw_images())
    spec = workplace.run_spec(data)
    return spec, (spec_id("run", spec), spec, ("data", data))


def test_a_finished_training_that_cannot_be_stored_is_kept(
    workplace, disk, tmp_path, monkeypatch, capsys
):
    _, call = spec_and_call(workplace, monkeypatch)
    disk.fill()
    assert workplace.call("train", "runs", *call) == 2
    said = capsys.readouterr().err
    assert "model.safetensors: no space is left on its disk" in said
    assert not list(disk.folder.rglob(".*"))
    disk.clear()
    assert workplace.call("train", "runs", *call) == 0
    assert "resumed at step 8 from" in capsys.readouterr().err  # two epochs of four steps: all


def test_logits_that_do_not_fit_are_made_by_the_same_command_later(
    workplace, disk, monkeypatch, capsys
):
    data = workplace.prepare(monkeypatch, raw_images())
    run = workplace.train(data)
    disk.fill()
    call = ("dump", "logits", run, {"run": run, "data": data}, ("runs", run), ("data", data))
    assert workplace.call(*call) == 2
    assert f"{run}.nc: no space is left on its disk" in capsys.readouterr().err
    disk.clear()
    assert workplace.call(*call) == 0


def test_a_log_on_a_full_disk_does_not_end_a_job(workplace, monkeypatch):
    spec, (id, _, data) = spec_and_call(workplace, monkeypatch)
    output = f"{workplace.path('runs', id)}.json"
    words = ["train", "--spec", json.dumps(spec), "--device", "auto", "--output", output]
    words += ["--inputs", f"{workplace.path(*data)}.json"]
    with open("/dev/full", "w") as log:
        done = subprocess.run([sys.executable, "-m", "disobey", *words], stdout=log, stderr=log)
    assert done.returncode == 0
    assert Path(output).is_file()
