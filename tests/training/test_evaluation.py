"""Recorded accuracies are right, and recording does not change the training."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from disobey.stores.reader import read_arrays, read_attributes
from disobey.training.checkpoint import Checkpoints
from disobey.training.evaluation import Chosen, Evaluation

from .conftest import raw_images, raw_texts
from .test_checkpoint import EXAMPLES, Stopped, outcome, stop_at, training

MLP = {"family": "mlp", "hidden": [6]}
TEXT = {"family": "roberta", "hidden": 16, "layers": 1, "heads": 2, "dropout": 0.3}
SOURCE = {"tokenizer": {"vocabulary": 270, "max_tokens": 24}}
RECIPE = {"optimizer": "sgd", "lr": 0.05, "steps": 9, "batch": 16, "schedule": "constant"}
AUGMENTED = {
    "augment": {"crop_padding": 1, "flip": True},
    "seeds": {"initialisation": 0, "order": 0, "views": 3, "draw": 1},
}
EVALUATE = {"evaluate": {"points": 4, "examples": 1000}}


def history(workplace, run):
    return read_arrays(workplace.path("runs", run) / "history.nc", "evaluate")


def weights(workplace, run):
    return load_file(workplace.path("runs", run) / "model.safetensors")


def accuracy_of_logits(workplace, run, data, model=()):
    """From the stored logits of all examples, as they are without augmentation."""
    store = workplace.path("logits", workplace.dump(run, data, model))
    found = {}
    for split in ("train", "test"):
        arrays = read_arrays(store, split)
        found[split] = np.mean(arrays["logits"].argmax(1) == arrays["label"])
    return found


@pytest.mark.parametrize(
    ("raw", "source", "changes"),
    [
        (raw_images, {}, {}),
        (raw_images, {}, {"model": MLP}),
        (raw_images, {}, AUGMENTED),
        (raw_texts, SOURCE, {"model": TEXT}),
    ],
    ids=["batch normalisation", "mlp", "augmented", "dropout"],
)
def test_a_training_is_bit_equal_with_and_without(raw, source, changes, workplace, monkeypatch):
    data = workplace.prepare(monkeypatch, raw(), **source)
    plain = workplace.train(data, recipe=RECIPE, **changes)
    evaluated = workplace.train(data, recipe=RECIPE | EVALUATE, **changes)
    expected, found = weights(workplace, plain), weights(workplace, evaluated)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    last = {
        split: history(workplace, evaluated)[f"{split}_accuracy"][-1] for split in ("train", "test")
    }
    assert last == accuracy_of_logits(workplace, evaluated, data, changes.get("model", ()))


def test_each_point_is_the_accuracy_of_the_weights_after_that_many_steps(workplace, monkeypatch):
    """Which a training of so many steps ends with, where the learning rate is constant."""
    data = workplace.prepare(monkeypatch, raw_images())
    found = history(workplace, workplace.train(data, model=MLP, recipe=RECIPE | EVALUATE))
    assert found["step"].tolist() == [1, 2, 4, 9]
    for point, steps in enumerate([1, 2, 4]):
        run = workplace.train(data, model=MLP, recipe=RECIPE | {"steps": steps})
        expected = accuracy_of_logits(workplace, run, data)
        assert found["train_accuracy"][point] == expected["train"]
        assert found["test_accuracy"][point] == expected["test"]
    assert len(set(found["test_accuracy"])) > 2


def test_more_points_than_steps_are_all_steps(workplace, monkeypatch):
    data = workplace.prepare(monkeypatch, raw_images())
    how = {"evaluate": {"points": 100, "examples": 7}}
    run = workplace.train(data, recipe=RECIPE | how)
    assert history(workplace, run)["step"].tolist() == list(range(1, 10))
    counts = read_attributes(workplace.path("runs", run) / "history.nc", "evaluate")
    assert (counts["train_examples"], counts["test_examples"]) == (7, 7)


def test_the_chosen_examples_are_the_same_each_time_and_pair_inputs_with_labels(toy):
    labels = np.arange(10)  # of example i it is i

    class Rows:
        length = None

        @staticmethod
        def batch(index):
            return index

    first, again = (Chosen(Rows(), labels, 6, "test") for _ in range(2))
    positions = first.batch(torch.arange(6))
    assert torch.equal(positions, first.label) and torch.equal(first.label, again.label)
    assert len(set(positions.tolist())) == 6
    assert not torch.equal(first.label, Chosen(Rows(), labels, 6, "train").label)


def evaluated(kind):
    run = training(kind)
    given = run.targets.label.numpy()
    splits = {"train": Chosen(run.inputs, given, 9, "train"),
              "test": Chosen(run.inputs, given, EXAMPLES, "test")}  # fmt: skip
    run.tracker = Evaluation(run.model, splits, 6, len(run.rates), run.tracker)
    return run


@pytest.mark.parametrize("kind", ["image", "text", "switched", "views"])
@pytest.mark.parametrize("step", [2, 5])
def test_a_training_stopped_between_points_ends_as_one_without_them(kind, step, tmp_path):
    """Other recordings are equal too; no point is lost or repeated."""
    plain, whole, first = training(kind), evaluated(kind), evaluated(kind)
    plain.run()
    whole.run()
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(Stopped):
        first.run(stop_at(step, first, checkpoints))
    torch.manual_seed(99)
    second = evaluated(kind)
    checkpoints.resume(second)
    second.run()
    assert second.tracker.accuracy == whole.tracker.accuracy
    assert [len(values) for values in whole.tracker.accuracy.values()] == [
        len(whole.tracker.steps)
    ] * 2
    second.tracker = second.tracker.beside
    (found, history), (expected, expected_history) = outcome(second), outcome(plain)
    assert history == expected_history
    assert all(torch.equal(found[name], expected[name]) for name in expected)
