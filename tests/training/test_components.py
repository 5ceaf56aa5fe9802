"""A run depends on the code of the components in its spec, and on no other optional code."""

import netCDF4
import pytest

from disobey.provenance import spec_id
from disobey.stores.layout import SNAPSHOT
from disobey.training.components import component, components
from tests.training.conftest import raw_images

RECIPE = {"recipe": {"epochs": 2}, "model": {"family": "mlp"}}
DISTILL = {"teacher": "t", "temperature": 4, "weight": 1}
AUGMENT = {"augment": {"flip": True}}
AUGMENTED = ["inputs:augmented_training_inputs", "inputs:show_views"]
SWITCH = {"order": "one_hot_first", "at": 0.5}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (RECIPE, []),
        (RECIPE | {"distill": DISTILL}, ["losses:kl", "teachers:stored_logits"]),
        (
            RECIPE | {"distill": DISTILL | {"switch": SWITCH}},
            ["losses:kl", "schedules:switched_weights", "teachers:stored_logits"],
        ),
        (
            RECIPE | {"distill": {"loss": "label_smoothing", "weight": 0.1}},
            ["losses:label_smoothing"],
        ),
        (RECIPE | AUGMENT, AUGMENTED),
        (
            RECIPE | AUGMENT | {"distill": DISTILL},
            ["losses:kl", *AUGMENTED, "teachers:stored_views"],
        ),
        (
            RECIPE | AUGMENT | {"distill": DISTILL | {"live": True}},
            ["losses:kl", *AUGMENTED, "teachers:live_teacher"],
        ),
        (RECIPE | {"recipe": {"compile": True}}, ["compiled:compiled_forward"]),
        (RECIPE | {"recipe": {"cuda_graph": True}}, ["compiled:graphed_training"]),
        (RECIPE | {"progress": {"basis": "b", "layers": {}}}, ["progress:make_tracker"]),
        (RECIPE | {"recipe": {"evaluate": {"points": 3}}}, ["evaluation:make_evaluation"]),
        (RECIPE | {"recipe": {"snapshots": [1]}}, ["checkpoint:Snapshots"]),
    ],
)
def test_a_spec_names_what_it_uses(spec, expected):
    assert list(components(spec).values()) == [f"disobey.training.{name}" for name in expected]
    for name in components(spec):
        assert callable(component(spec, name))


def test_a_pretrained_model_starts_from_its_checkpoint():
    spec = RECIPE | {"model": {"family": "pretrained", "pretrained": "p"}}
    assert component(spec, "start").__module__ == "disobey.models.pretrained"
    assert component(RECIPE, "start") is None


def test_snapshots_lie_before_the_end_of_a_training_in_steps(workplace, monkeypatch, capsys):
    """50 images in batches of 16 are four steps an epoch."""
    data = workplace.prepare(monkeypatch, raw_images())
    recipe = workplace.run_spec(data)["recipe"] | {"snapshots": [1, 2]}
    del recipe["epochs"]
    spec = workplace.run_spec(data, recipe=recipe | {"steps": 8})
    assert workplace.call("train", "runs", spec_id("run", spec), spec, ("data", data)) == 2
    assert (
        "recipe: the snapshot after 2 epochs is not before the end of 8 steps, of which an "
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
