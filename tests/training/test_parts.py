"""A run depends on the code of what its spec asks for, and on nothing else that is optional."""

import importlib

import netCDF4
import pytest

from disobey.provenance import spec_id
from disobey.stores.layout import SNAPSHOT
from disobey.training.parts import modules_of
from tests.training.conftest import raw_images

ONE_HOT = {"recipe": {"epochs": 2}}
DISTILL = {"teacher": "t", "temperature": 4, "weight": 1}
AUGMENT = {"augment": {"flip": True}}
SWITCH = {"order": "one_hot_first", "at": 0.5}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (ONE_HOT, []),
        (ONE_HOT | {"distill": DISTILL}, ["losses.distillation", "teachers.one_view"]),
        (
            ONE_HOT | {"distill": DISTILL | {"switch": SWITCH}},
            ["losses.distillation", "switch", "teachers.one_view"],
        ),
        (
            ONE_HOT | {"distill": {"loss": "label_smoothing", "weight": 0.1}},
            ["losses.distillation"],
        ),
        (ONE_HOT | AUGMENT, ["augmented"]),
        (
            ONE_HOT | AUGMENT | {"distill": DISTILL},
            ["losses.distillation", "augmented", "teachers.views"],
        ),
        (
            ONE_HOT | AUGMENT | {"distill": DISTILL | {"live": True}},
            ["losses.distillation", "augmented", "teachers.live"],
        ),
        ({"recipe": {"epochs": 2, "compile": True}}, ["compiled"]),
        ({"recipe": {"epochs": 2, "cuda_graph": True}}, ["graphed"]),
        (ONE_HOT | {"progress": {"basis": "b", "layers": {}}}, ["progress"]),
        (ONE_HOT | {"model": {"pretrained": "p"}}, ["pretrained_start"]),
        ({"recipe": {"epochs": 2, "evaluate": {"points": 3}}}, ["evaluation"]),
        ({"recipe": {"epochs": 2, "snapshots": [1]}}, ["snapshots"]),
    ],
)
def test_a_spec_names_what_it_uses(spec, expected):
    found = [root.partition(":")[0] for root in modules_of(spec)]
    assert list(found) == [f"disobey.training.{name}" for name in expected]
    for module in found:
        importlib.import_module(module)


def test_snapshots_lie_before_the_end_of_a_training_in_steps(workplace, monkeypatch, capsys):
    """50 images in batches of 16 are four steps an epoch."""
    data = workplace.prepare(monkeypatch, raw_images())
    recipe = workplace.run_spec(data)["recipe"] | {"snapshots": [1, 2]}
    del recipe["epochs"]
    spec = workplace.run_spec(data, recipe=recipe | {"steps": 8})
    assert workplace.call("train", "runs", spec_id("run", spec), spec, ("data", data)) == 2
    assert (
        "recipe: the snapshot after 2 epochs does not lie before the end of 8 steps, of which an "
        "epoch of this data has 4; remove it from snapshots, or write more steps"
    ) in capsys.readouterr().err
    run = workplace.path("runs", workplace.train(data, recipe=recipe | {"steps": 9}))
    assert all((run / SNAPSHOT.format(epoch=epoch)).stat().st_size for epoch in (1, 2))


def test_the_history_of_an_untracked_run_says_that_nothing_was_tracked(workplace, monkeypatch):
    data = workplace.prepare(monkeypatch, raw_images())
    run = workplace.train(data)
    with netCDF4.Dataset(workplace.path("runs", run) / "history.nc") as history:
        group = history["progress"]
        assert group.basis == "" and not group.groups and not group.variables
