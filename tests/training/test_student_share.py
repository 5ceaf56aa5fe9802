"""A run that is trained on a share of the examples: what it sees, and what its stores say."""

import numpy as np
import pytest
import torch

from disobey.data.label_noise import seen_share
from disobey.data.prepared import read_labels
from disobey.data.raw import RawData, in_memory
from disobey.errors import UserError
from disobey.provenance import spec_id
from disobey.stores.reader import read_arrays
from disobey.training.loop import Training, batches
from disobey.training.objective import Targets, build_objective
from disobey.training.teachers import StoredLogits

from .conftest import raw_images
from .test_loop import SGD, equal, linear

SEEN = np.array([1, 3, 4, 7, 8, 9])


def trained(toy, rows=None, seen=None):
    """A linear student, of all toy examples that it is given, or of those that it sees."""
    teacher = torch.from_numpy(np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32))
    label = toy.label if rows is None else toy.label[rows]
    inputs = type(toy)(**vars(toy)).inputs
    if rows is not None:
        inputs = type(toy)(length=None, batch=lambda index: toy.vectors[rows][index])
        teacher = teacher[rows]
    targets = Targets(label, StoredLogits(teacher), seen)
    distill = {"temperature": 2.0, "weight": 0.5, "switch": {"order": "one_hot_first", "at": 0.5}}
    spec = {"recipe": SGD | {"epochs": 3}, "distill": distill}
    model = linear()
    history = Training(
        model, inputs, targets, build_objective(spec, targets), spec["recipe"], 5
    ).run()
    return model, history


def test_a_share_is_trained_as_if_there_were_no_other_examples(toy):
    """Bit by bit: length, schedule, teacher's rows and labels are those of the seen examples."""
    model, history = trained(toy, seen=SEEN)
    alone, alone_history = trained(toy, rows=SEEN)
    assert equal(model, alone)
    assert history.train_loss == alone_history.train_loss
    assert not equal(model, trained(toy)[0])


def test_a_share_of_all_is_the_training_without_one(toy):
    assert equal(trained(toy, seen=np.arange(10))[0], trained(toy)[0])


def test_every_seen_example_and_no_other_comes_once_in_an_epoch():
    length = np.random.default_rng(0).integers(1, 20, 100)
    seen = np.arange(0, 100, 3)
    for lengths in (None, length):
        shown = torch.cat(batches(seen, 4, 0, 2, lengths))
        assert sorted(shown.tolist()) == seen.tolist()


def test_a_share_keeps_the_share_of_each_class():
    label = np.repeat(np.arange(3), (200, 50, 10))
    seen = seen_share(label, 0.7)
    assert np.bincount(label[seen]).tolist() == [140, 35, 7]
    assert (seen == seen_share(label, 0.7)).all()


# --- the stages ----------------------------------------------------------------------------------

EXAMPLES = 60
MEMORISING = {
    "model": {"family": "mlp", "hidden": [64]},
    "recipe": {"optimizer": "adam", "lr": 0.01, "epochs": 25, "batch": 10, "schedule": "constant",
               "evaluate": {"points": 2, "examples": 40}},
}  # fmt: skip


@pytest.fixture
def noise(workplace, monkeypatch):
    """Images that have nothing to do with their labels: these can only be memorised."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (EXAMPLES + 9, 8, 8, 1)).astype(np.uint8)
    label, ids = np.arange(EXAMPLES + 9) % 3, np.arange(EXAMPLES + 9)
    halves = slice(None, EXAMPLES), slice(EXAMPLES, None)
    raw = RawData(*(in_memory(pixels[h], label[h], ids[h]) for h in halves), tuple("abc"))
    return workplace.prepare(monkeypatch, raw)


def labels_call(data, **spec):
    spec = {"data": data, **spec}
    return "labels", "labels", spec_id("given", spec), spec, ("data", data)


def test_a_run_memorises_the_examples_that_its_logits_call_seen_and_no_others(workplace, noise):
    noisy = {"label_noise": {"rate": 0.3, "seed": 1}}
    plain = workplace.made(*labels_call(noise, **noisy))
    shared = workplace.made(*labels_call(noise, student_share=0.5, **noisy))
    given, of_share = (read_arrays(workplace.path("labels", id), "train") for id in (plain, shared))
    assert "seen" not in given
    np.testing.assert_array_equal(given["label"], of_share["label"])
    spec = workplace.run_spec(noise, labels=shared, **MEMORISING)
    inputs = ("data", noise), ("labels", shared)
    run = workplace.made("train", "runs", spec_id("run", spec), spec, *inputs)
    dump = {"run": run, "data": noise, "labels": shared}
    workplace.made("dump", "logits", run, dump, ("runs", run), *inputs)
    stored = read_arrays(workplace.path("logits", run), "train")
    assert "seen" not in read_arrays(workplace.path("logits", run), "test")
    seen = stored["seen"] == 1
    assert seen.sum() == EXAMPLES / 2 and (stored["seen"] == of_share["seen"]).all()
    met = stored["logits"].argmax(1) == stored["label"]
    assert met[seen].all() and met[~seen].mean() < 0.7
    # So are the accuracies during training: of seen examples, though more are requested.
    path = workplace.path("runs", run) / "history.nc"
    assert read_arrays(path, "evaluate")["train_accuracy"][-1] == 1


def test_labels_of_other_examples_are_refused(workplace, noise, monkeypatch):
    labels = workplace.path("labels", workplace.made(*labels_call(noise, student_share=0.5)))
    given, clean, ids = read_labels(workplace.path("data", noise), labels, "train")
    assert len(given) == len(clean) == len(ids) == EXAMPLES
    raw = raw_images(EXAMPLES + 1, 9)
    other = workplace.path("data", workplace.prepare(monkeypatch, raw, "other"))
    with pytest.raises(UserError, match=f"{labels}: holds labels of other examples than {other}"):
        read_labels(other, labels, "train")


def test_a_share_that_leaves_a_class_out_is_refused(workplace, noise, capsys):
    assert workplace.call(*labels_call(noise, student_share=0.02)) == 2
    said = capsys.readouterr().err
    assert "student_share: 0.02 leaves out class 'b', which has 20 training examples" in said
    assert "write 0.05 or more" in said
    assert workplace.call(*labels_call(noise, student_share=0.05)) == 0
