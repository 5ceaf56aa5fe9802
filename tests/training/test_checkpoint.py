"""A training that is stopped anywhere ends bit-equal to an uninterrupted one."""

import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from disobey.errors import OutOfTime, UserError
from disobey.models.registry import build_model
from disobey.provenance import spec_id
from disobey.training import inputs as augmented
from disobey.training.checkpoint import (
    STOPPING,
    Checkpoints,
    CheckpointSaver,
    seconds_between_states,
)
from disobey.training.inputs import ImageInputs, TokenInputs
from disobey.training.loop import Training
from disobey.training.objective import Targets, build_objective
from disobey.training.progress import Basis, LayerTracker, TrackedLayer

from .conftest import raw_images

CPU = torch.device("cpu")
EXAMPLES, BATCH = 22, 8  # three steps an epoch, the last one partial
RECIPE = {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "epochs": 3, "batch": BATCH,
          "schedule": "cosine"}  # fmt: skip


class Examples(SimpleNamespace):
    number_seen = EXAMPLES

    def __len__(self):
        return EXAMPLES


class Slabs:
    """A teacher's logits on each view: (slab, example, class)."""

    def __init__(self, logits):
        self.logits, self.slab = logits, 0

    def __call__(self, index):
        return self.logits[self.slab, index]

    def show(self, slab):
        self.slab = slab

    def look(self, inputs):
        pass


def training(kind, recipe=RECIPE):
    rng = np.random.default_rng(0)
    if kind == "text":
        tokens = rng.integers(5, 40, (EXAMPLES, 9)).astype(np.int32)
        tokens[np.arange(9) >= rng.integers(3, 10, EXAMPLES)[:, None]] = 1
        split, attributes = SimpleNamespace(inputs=tokens), {"vocabulary": 40, "pad": 1}
        model = {"family": "roberta", "hidden": 8, "layers": 1, "heads": 2, "dropout": 0.3}
        inputs = TokenInputs
    else:
        images = rng.integers(0, 256, (EXAMPLES, 8, 8, 1)).astype(np.uint8)
        split = Examples(inputs=images)
        attributes = {"channel_mean": 0.5, "channel_std": 0.3}
        model = {"family": "small_resnet", "stem": 2, "widths": [3]}
        inputs = ImageInputs
    data = SimpleNamespace(
        kind="image", train=split, class_names=tuple("abc"), attributes=attributes
    )
    torch.manual_seed(1)
    built = build_model(model, data)
    teacher = Slabs(torch.from_numpy(rng.normal(size=(2, EXAMPLES, 3)).astype(np.float32)))
    targets = Targets(torch.from_numpy(rng.integers(0, 3, EXAMPLES)), teacher)
    distill = {"temperature": 2.0, "weight": 0.5}
    if kind == "views":  # two of them for three epochs: one comes again
        spec = {"seeds": {"views": 6, "draw": 0}, "augment": {"flip": True}, "recipe": recipe}
        shown = augmented.augmented_training_inputs(spec, data, CPU)
        objective = build_objective({"recipe": recipe, "distill": distill}, targets)
        before_epoch = augmented.show_views(spec, shown, targets)
        return Training(built, shown, targets, objective, recipe, 4, before_epoch=before_epoch)
    if kind != "switched":
        objective = build_objective({"recipe": recipe, "distill": distill}, targets)
        return Training(built, inputs(split, data, CPU), targets, objective, recipe, 4)
    distill["switch"] = {"order": "one_hot_first", "at": 0.5, "ramp": 0.6}
    objective = build_objective({"recipe": recipe, "distill": distill}, targets)
    return Training(built, inputs(split, data, CPU), targets, objective, recipe, 4, tracker(built))


def tracker(model):
    """Follow the first convolution along the axes of its patches."""
    basis = Basis(np.arange(1, 10), np.arange(9, 0, -1.0), np.eye(9), None, 45.0)
    layer = TrackedLayer(model.get_submodule("stem.convolution").weight, basis, unit_norm=True)
    return lambda steps: LayerTracker({"stem.convolution": layer}, steps, "axes")


def outcome(done):
    history = {k: v for k, v in vars(done.history).items() if k != "seconds"}
    progress = done.tracker.state().get("stem.convolution", {}).get("progress")
    history["progress"] = progress
    return {k: v.clone() for k, v in done.model.state_dict().items()}, history


class Stopped(Exception):
    pass


def stop_at(step, run, checkpoints):
    def after_step():
        if run.step == step:
            checkpoints.save(run)
            raise Stopped

    return after_step


def stopped_and_resumed(kind, recipe, step, folder):
    """Return history of a training that was stopped at ``step``; it must be the whole one's."""
    whole = training(kind, recipe)
    whole.run()
    checkpoints = Checkpoints(folder / "states")
    first = training(kind, recipe)
    with pytest.raises(Stopped):
        first.run(stop_at(step, first, checkpoints))
    torch.manual_seed(99)  # another process starts with other random numbers
    second = training(kind, recipe)
    checkpoints.resume(second)
    assert second.step == step
    second.run()
    (weights, history), (expected, expected_history) = outcome(second), outcome(whole)
    assert history == expected_history
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    return history


# Of its nine steps the switched one mixes both losses in the middle ones.
@pytest.mark.parametrize("kind", ["image", "text", "switched", "views"])
@pytest.mark.parametrize("step", [1, 3, 4, 5, 8])
def test_a_resumed_training_ends_bit_equal(kind, step, tmp_path):
    history = stopped_and_resumed(kind, RECIPE, step, tmp_path)
    assert (len(history["progress"] or ()) == 9) == (kind == "switched")


@pytest.mark.parametrize("kind", ["image", "text", "switched", "views"])
@pytest.mark.parametrize("step", range(1, 9))
def test_a_training_that_ends_inside_an_epoch_resumes_bit_equal(kind, step, tmp_path):
    """Eight steps: the third epoch ends before its last. At step 8 nothing is left to do."""
    recipe = {name: value for name, value in RECIPE.items() if name != "epochs"} | {"steps": 8}
    history = stopped_and_resumed(kind, recipe, step, tmp_path)
    assert len(history["train_loss"]) == 3


@pytest.mark.parametrize("damage", [b"", b"no checkpoint", None])
def test_a_state_cut_short_is_passed_over_for_the_one_before(damage, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    run = training("image")

    def save():
        if run.step in (2, 4, 6):
            checkpoints.save(run)

    run.run(save)
    kept = sorted(tmp_path.glob("*.pt"))
    assert [int(path.stem) for path in kept] == [4, 6]
    kept[1].write_bytes(kept[1].read_bytes()[:-50] if damage is None else damage)
    again = training("image")
    checkpoints.resume(again)
    assert again.step == 4


@pytest.fixture
def signals():
    """Restore the handlers of signals after the test."""
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield before
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_saves_and_stops(number, tmp_path, signals):
    run = training("image")
    keeper = CheckpointSaver(Checkpoints(tmp_path), run, every=1e9)

    def after_step():
        if run.step == 2:
            os.kill(os.getpid(), number)
        keeper.after_step()

    with keeper.watching(), pytest.raises(UserError) as stopped:
        run.run(after_step)
    assert f"stopped by {number.name} at step" in str(stopped.value)
    assert isinstance(stopped.value, OutOfTime) == (number == signal.SIGUSR1)
    assert len(list(tmp_path.glob("*.pt"))) == 1


@pytest.mark.parametrize("number", STOPPING)
def test_a_second_signal_cuts_nothing_short_of_what_a_stopped_training_says(
    number, tmp_path, signals
):
    run = training("image")
    keeper = CheckpointSaver(Checkpoints(tmp_path), run, every=1e9)
    keeper.asked = lambda: number  # not this process was: what the other ranks do
    with pytest.raises(UserError, match="stopped by"), keeper.watching():
        run.run(keeper.after_step)
    for other in STOPPING:
        os.kill(os.getpid(), other)  # would end the tests


def test_a_training_that_nobody_stopped_leaves_signals_as_they_were(tmp_path, signals):
    run = training("image")
    keeper = CheckpointSaver(Checkpoints(tmp_path), run)
    with keeper.watching():
        run.run(keeper.after_step)
    assert {number: signal.getsignal(number) for number in STOPPING} == signals


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_that_comes_before_the_first_step_is_kept_for_it(
    number, signals, workplace, monkeypatch, capsys
):
    """Several processes train as soon as each has read the state: one may be asked to stop then."""
    data = workplace.prepare(monkeypatch, raw_images())
    resume = Checkpoints.resume

    def asked_meanwhile(checkpoints, run):
        os.kill(os.getpid(), number)
        resume(checkpoints, run)

    monkeypatch.chdir(workplace.root)
    monkeypatch.setattr(Checkpoints, "resume", asked_meanwhile)
    spec = workplace.run_spec(data)
    assert workplace.call("train", "runs", spec_id("run", spec), spec, ("data", data)) == 2
    assert f"stopped by {number.name} at step 1 of" in capsys.readouterr().err
    (state,) = workplace.root.glob("results/checkpoints/*/[0-9]*.pt")
    assert int(state.stem) == 1


def test_states_are_saved_as_often_as_the_environment_says(monkeypatch):
    monkeypatch.delenv("DISOBEY_SAVE_EVERY", raising=False)
    assert seconds_between_states() is None
    monkeypatch.setenv("DISOBEY_SAVE_EVERY", "0.2")
    assert seconds_between_states() == 0.2


@pytest.mark.parametrize(("takes", "pause"), [(0.5, 60), (10, 200)])
def test_saving_takes_a_twentieth_of_the_time_at_the_most(takes, pause, monkeypatch):
    monkeypatch.delenv("DISOBEY_SAVE_EVERY", raising=False)
    now, saved = [0.0], []

    def save(_):
        saved.append(now[0])
        now[0] += takes
        return True

    monkeypatch.setattr("disobey.training.checkpoint.time.monotonic", lambda: now[0])
    keeper = CheckpointSaver(SimpleNamespace(save=save), SimpleNamespace(step=1, rates=[0, 0]))
    while now[0] < 2000:
        now[0] += 1
        keeper.after_step()
    first, *later = saved
    assert first == 60
    gaps = np.diff([first, *later]) - takes
    assert len(gaps) > 5 and np.all((gaps >= pause) & (gaps <= pause + 1))


def test_a_state_that_fails_half_way_leaves_nothing_behind(tmp_path):
    """Model and optimiser fit; what was tracked, which comes last, does not."""
    checkpoints, whole = Checkpoints(tmp_path), training("switched")
    first = training("switched")
    with pytest.raises(Stopped):
        first.run(stop_at(4, first, checkpoints))
    state = torch.load(checkpoints.file(4), weights_only=True)
    del state["progress"]
    torch.save(state, checkpoints.file(4))
    torch.manual_seed(5)
    second = training("switched")
    checkpoints.resume(second)
    assert second.step == 0
    second.run()
    whole.run()
    (weights, history), (expected, expected_history) = outcome(second), outcome(whole)
    assert history == expected_history
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


@pytest.mark.parametrize("text", ["", "often", "-1", "nan"])
def test_no_time_between_states_is_refused_with_what_to_write(text, monkeypatch):
    monkeypatch.setenv("DISOBEY_SAVE_EVERY", text)
    with pytest.raises(UserError, match="is not a number of seconds; write DISOBEY_SAVE_EVERY=60"):
        seconds_between_states()
