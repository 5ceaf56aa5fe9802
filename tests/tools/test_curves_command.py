"""The command ``curves`` exports training curves as a table and for TensorBoard."""

import calendar
import sys
import time
import types
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest

from disobey.__main__ import main
from disobey.stores.manifest import read_manifest
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from tests.test_slices import run_in_process

STUDY = """\
study: curved
seeds: [0]
datasets: {digits: {source: builtin, name: digits, subset: {train: 40, test: 20}}}
models: {mlp: {family: mlp, hidden: [4]}}
recipes: {short: {optimizer: sgd, lr: 0.1, batch: 10, epochs: 3, evaluate: {points: 3}}}
settings:
  self: {dataset: digits, teacher: mlp, student: mlp, recipe: short, distill: {temperature: 4}}
"""


EVALUATED = ", evaluate: {points: 3}"


@pytest.fixture(params=[EVALUATED])
def run(request, tmp_path, monkeypatch):
    """The teacher of a study in which nothing else is trained."""
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(STUDY.replace(EVALUATED, request.param))
    plan = make_plan(load_study("study.yaml"))
    (run,) = plan.settings["self"].teachers
    for name in [job for job in plan.jobs if job[0] == "train" and job[1] != run]:
        del plan.jobs[name]
    run_in_process(plan, ("prepare", "train"))
    return run


def test_the_table_has_every_number_of_the_history_with_its_time(run, capsys):
    assert main(["curves", "study.yaml", "--to", "csv"]) == 0
    assert capsys.readouterr().out == "1 trainings: results/curved/curves.csv\n"
    table = pd.read_csv("results/curved/curves.csv")
    assert set(table.run) == {run}
    with netCDF4.Dataset(f"results/runs/{run}/history.nc") as file:
        loss, seconds = (file[name][...].data for name in ("train_loss", "seconds"))
        steps, test = (file["evaluate"][name][...].data for name in ("step", "test_accuracy"))
    found = table[table.name == "train_loss"]
    assert found["at"].tolist() == [1, 2, 3] and set(found.unit) == {"epoch"}
    assert found.value.to_numpy() == pytest.approx(loss, rel=1e-8)
    written = read_manifest(f"results/runs/{run}.json").record["written"]
    ended = calendar.timegm(time.strptime(written, "%Y-%m-%dT%H:%M:%SZ"))
    times = ended - seconds.sum() + np.cumsum(seconds)
    assert found.time.to_numpy() == pytest.approx(times, rel=0, abs=1e-3)
    along = table[(table.name == "test_accuracy") & (table.unit == "step")]
    assert along["at"].tolist() == steps.tolist()
    assert along.value.to_numpy() == pytest.approx(test, rel=1e-8)


@pytest.mark.parametrize("run", [""], indirect=True)
def test_without_accuracies_along_training_the_table_has_its_epochs(run):
    assert main(["curves", "study.yaml"]) == 0
    table = pd.read_csv("results/curved/curves.csv")
    assert set(table.unit) == {"epoch"} and {"train_loss", "seconds"} <= set(table.name)
    assert (table.groupby("name")["at"].agg(list).map(tuple) == (1, 2, 3)).all()


def test_tensorboard_is_given_each_number_at_its_step_and_time(run, monkeypatch):
    given = []

    class SummaryWriter:
        def __init__(self, folder):
            self.folder = Path(folder)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def add_scalar(self, *of):
            given.append((self.folder.name, *of))

    stub = types.ModuleType("torch.utils.tensorboard")
    stub.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stub)
    assert main(["curves", "study.yaml", "--to", "tensorboard"]) == 0
    losses = [one for one in given if one[1] == "epoch/train_loss"]
    assert [(name, at) for name, _, _, at, _ in losses] == [(run, 1), (run, 2), (run, 3)]
    assert all(when > 1.7e9 for *_, when in losses)


def test_without_tensorboard_or_trainings_it_says_what_to_do(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert main(["curves", "study.yaml", "--to", "tensorboard"]) == 2
    assert "pip install 'disobey[tensorboard]', or write --to csv" in capsys.readouterr().err
    Path(f"results/runs/{run}.json").unlink()
    assert main(["curves", "study.yaml"]) == 2
    assert "study.yaml: no training has finished yet" in capsys.readouterr().err
