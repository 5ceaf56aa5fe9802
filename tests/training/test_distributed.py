"""Several processes train what one trains, on CPUs through gloo.

Weights agree to the rounding of float32 sums, which are taken in another order; what would be
another recipe, say a mean over unequal parts of a batch, is hundreds of times as far off. Batch
normalisation across processes needs GPUs: tests/gpu.
"""

import os
import re
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from disobey import gpus as cards
from disobey.code_digest import modules_reached
from disobey.errors import UserError
from disobey.locks import Lock
from disobey.provenance import spec_id
from disobey.training import distributed
from disobey.training.checkpoint import Checkpoints
from disobey.training.distributed import (
    BEGUN,
    ENDED,
    DistributedCheckpoints,
    DistributedSaver,
    DistributedTraining,
    split_batch,
    with_synchronised_statistics,
)
from disobey.training.objective import Targets, build_objective
from disobey.training.ranks import Ranks

from .conftest import raw_images, raw_texts
from .distributed_runs import PATIENCE, ForkedRun, Run, wait_until
from .test_checkpoint import training

pytestmark = pytest.mark.slow

SEEDS = {"initialisation": 0, "order": 0, "views": 3, "draw": 1}
AUGMENT = {"crop_padding": 1, "flip": True}
# 46 examples in batches of 15: parts of 8 and 7, and a last batch that leaves a rank nothing.
EXAMPLES, BATCH = 46, 15
TEXT = {"optimizer": "adamw", "lr": 1e-3, "epochs": 4, "batch": BATCH, "schedule": "linear"}


MLP = {"family": "mlp", "hidden": [16]}


def student_of_views(workplace, monkeypatch, kind=ForkedRun, model=MLP):
    """A model of images that sees its teacher's logits on crops."""
    data = workplace.prepare(monkeypatch, raw_images(train=EXAMPLES))
    teacher = workplace.train(data, model=model, seeds=SEEDS, augment=AUGMENT)
    spec = {"run": teacher, "data": data, "augment": AUGMENT, "draw": 0, "block": 0}
    views = workplace.made(
        "views", f"views/{teacher}", "0", spec, ("runs", teacher), ("data", data)
    )
    spec = workplace.run_spec(
        data,
        model=model,
        seeds=SEEDS | {"draw": 0},
        augment=AUGMENT,
        distill={"temperature": 2.0, "weight": 0.7, "teacher": teacher},
    )
    spec["recipe"] |= {"epochs": 4, "batch": BATCH, "snapshots": [2]}
    spec["recipe"]["evaluate"] = {"points": 5, "examples": 30}
    return kind(workplace, spec, ("data", data), (f"views/{teacher}", views))


def image_model(workplace, monkeypatch, **changes):
    data = workplace.prepare(monkeypatch, raw_images(train=EXAMPLES))
    recipe = workplace.run_spec(data)["recipe"] | {"epochs": 100, "batch": BATCH}
    spec = workplace.run_spec(data, **{"model": MLP, "recipe": recipe} | changes)
    return ForkedRun(workplace, spec, ("data", data))


def text_model(workplace, monkeypatch, dropout, kind=ForkedRun, **changes):
    source = {"tokenizer": {"vocabulary": 270, "max_tokens": 24}}
    data = workplace.prepare(monkeypatch, raw_texts(train=EXAMPLES), **source)
    model = {"family": "roberta", "hidden": 16, "layers": 1, "heads": 2, "dropout": dropout}
    spec = workplace.run_spec(data, model=model, recipe=TEXT | changes)
    return kind(workplace, spec, ("data", data))


def assert_close(found, expected, rtol=1e-4, atol=1e-5):
    (weights, history), (expected_weights, expected_history) = found, expected
    assert list(weights) == list(expected_weights)  # no prefix of a wrapper
    for name, values in expected_weights.items():
        np.testing.assert_allclose(weights[name], values, rtol, atol, err_msg=name)
    assert list(history) == list(expected_history)
    np.testing.assert_array_equal(history["train_accuracy"], expected_history["train_accuracy"])
    np.testing.assert_array_equal(history["learning_rate"], expected_history["learning_rate"])
    for name in (name for name in expected_history if name.startswith("evaluate/")):
        np.testing.assert_array_equal(history[name], expected_history[name])
    np.testing.assert_allclose(history["train_loss"], expected_history["train_loss"], rtol)


def test_images_with_views_and_a_last_batch_of_one(workplace, monkeypatch):
    run = student_of_views(workplace, monkeypatch)
    alone = run.made()
    assert_close(run.made(processes=2), alone)
    assert "snapshot-2.safetensors:hidden_1.weight" in alone[0]
    assert run.said().count("step/s") >= 1
    assert len(set(re.findall(r"^.*100%.*$", run.said(), re.M))) == 1  # one bar


def test_texts_of_many_lengths(workplace, monkeypatch):
    # AdamW would blow up the rounding of gradients that are zero but for it, a key bias's
    run = text_model(workplace, monkeypatch, dropout=0.0, optimizer="sgd", lr=0.1)
    assert_close(run.made(processes=2), run.made())


def test_what_was_stopped_twice_ends_like_what_was_not_bit_for_bit(workplace, monkeypatch):
    """Once by all of its processes, as torchrun stops them, once by one alone; with dropout."""
    run = text_model(workplace, monkeypatch, dropout=0.3, epochs=40)
    expected, history = run.made(processes=2)
    stopped = 0
    for signum, asked in ((signal.SIGUSR1, (0, 1)), (signal.SIGTERM, (1,))):
        # a state after every step: what is left is long, on any machine, when the first is there
        process = run.start(processes=2, DISOBEY_SAVE_EVERY="0")
        wait_until(lambda: run.saved() > stopped, process)  # noqa: B023 - called at once
        for rank in asked:
            os.kill(process.ranks[rank].pid, signum)
        stopped = stopped_at(run, process, signum)
    weights, again = run.made(processes=2)
    assert run.said().count(f"resumed at step {stopped} ") == 1
    assert all(np.array_equal(weights[name], expected[name]) for name in expected)
    assert all(np.array_equal(again[name], history[name]) for name in history)


def stopped_at(run, process, signum):
    """Return the step of the state that a process leaves which is stopped."""
    assert process.wait(PATIENCE) != 0, "it was done before it was asked to stop"
    (step,) = re.findall(rf"stopped by {signum.name} at step (\d+) of \d+", run.said())
    assert run.saved() == int(step) > 0  # of that very step, on all
    return int(step)


def test_a_signal_that_comes_while_the_ranks_agree_stops_them_at_the_next_step(monkeypatch):
    def interrupted(number):
        """Ask one rank to stop after it has said that it was not asked."""
        os.kill(os.getpid(), signal.SIGTERM)
        return number

    monkeypatch.setattr(distributed, "all_reduce_max", interrupted)
    keeper = DistributedSaver(checkpoints=None, training=None)
    with keeper.watching():
        assert keeper.asked() is None  # as the other ranks were told
        assert keeper.asked() == signal.SIGTERM


def test_another_number_of_processes_goes_on_from_the_same_state(workplace, monkeypatch):
    """Stopped through torchrun, as SLURM does before a time limit."""
    run = image_model(workplace, monkeypatch)
    process = Run(workplace, run.spec, *run.inputs).start(processes=2, DISOBEY_SAVE_EVERY="0")
    wait_until(lambda: run.saved() > 0, process)
    process.send_signal(signal.SIGUSR1)
    step = stopped_at(run, process, signal.SIGUSR1)
    _, history = run.made()
    assert f"resumed at step {step} " in run.said()
    assert len(history["train_loss"]) == 100


def test_a_loss_that_is_not_finite_is_reported_once(workplace, monkeypatch):
    run = text_model(workplace, monkeypatch, dropout=0.0, lr=1e30)
    assert run.start(processes=2).wait(PATIENCE) != 0
    assert run.said().count("the loss became") == 1, run.said()
    assert not run.store.exists()


def test_what_is_there_already_is_not_made_again(workplace, monkeypatch):
    run = text_model(workplace, monkeypatch, dropout=0.0, epochs=1)
    assert run.start().wait(PATIENCE) == 0
    before = run.store.with_name(f"{run.id}.json").read_text()
    assert run.start(processes=2).wait(PATIENCE) == 0
    assert "is there already, of the same spec, code and inputs" in run.said()
    assert run.store.with_name(f"{run.id}.json").read_text() == before


# --- how they come to terms -------------------------------------------------------------------


@pytest.fixture
def two_ranks():
    """Two of them, which share what torchrun would keep for them."""
    store = torch.distributed.HashStore()
    return Ranks(0, 2, store), Ranks(1, 2, store)


def test_the_first_one_takes_the_cards_of_all(two_ranks, monkeypatch, tmp_path):
    monkeypatch.setattr(cards, "lock_folder", lambda: tmp_path)
    first, second = two_ranks
    busy = Lock(tmp_path / "GPU-b.0.lock")
    assert busy.try_take()
    names = ["GPU-a", "GPU-b", "GPU-c"]
    assert (first.take_card(names), second.take_card(names)) == (0, 2)
    assert not Lock(tmp_path / "GPU-c.0.lock").try_take()
    busy.release()


def test_the_others_begin_when_the_first_says_so(two_ranks):
    first, second = two_ranks
    first.announce(BEGUN)
    assert second.wait_for(BEGUN, ENDED) == BEGUN
    assert second.wait_for(ENDED, seconds=0) is None
    first.announce(ENDED)
    assert second.wait_for(ENDED, seconds=0) == ENDED


@pytest.mark.parametrize("other", [9, 5])
def test_ranks_that_would_go_on_from_different_states_are_refused(other, monkeypatch, tmp_path):
    saved = training("image")
    saved.run()
    assert Checkpoints(tmp_path).save(saved) and saved.step == 9
    numbers = iter((other, -other))  # what the other rank says
    monkeypatch.setattr(
        torch.distributed, "all_reduce",
        lambda value, operation: value.clamp_(min=next(numbers)),
    )  # fmt: skip
    resumed, states = training("image"), DistributedCheckpoints(Ranks(1, 2, None), tmp_path)
    if other == saved.step:
        states.resume(resumed)
        assert resumed.step == saved.step
    else:
        with pytest.raises(RuntimeError, match=f"{tmp_path}: the processes resume from different"):
            states.resume(resumed)


@pytest.mark.parametrize(("announced", "raised"), [([ENDED], SystemExit), ([], UserError)])
def test_a_follower_leaves_an_error_to_the_first_one_if_that_reports_it(
    announced, raised, two_ranks, monkeypatch, capsys
):
    monkeypatch.setattr(distributed, "REPORT_SECONDS", 0.0)
    first, second = two_ranks
    for key in announced:
        first.announce(key)

    def run(job):
        print("epoch 1")
        raise UserError("the loss became nan")

    with pytest.raises(raised, match="2" if announced else "the loss became nan"):
        distributed._follow(None, second, run)
    assert capsys.readouterr().out == ""


@pytest.fixture
def one_process():
    """A group of processes that is this one alone."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_begins_to_decode_its_own_part_of_a_batch_and_no_other(rank, one_process):
    """Two ranks share 7 examples in batches of 3: parts of 2 and 1, of 2 and 1, and of 1 and 0."""
    begun, asked = [], []

    def batch(index):
        asked.append(index.tolist())
        return torch.eye(7)[index]

    inputs = SimpleNamespace(length=None, batch=batch)
    recipe = {"optimizer": "sgd", "lr": 0.1, "epochs": 1, "batch": 3, "schedule": "constant"}
    targets = Targets(torch.zeros(7, dtype=torch.int64))
    DistributedTraining(
        Ranks(rank, 2, None), nn.Linear(7, 2), inputs, targets,
        build_objective({"recipe": recipe}, targets), recipe, 0,
        ahead=lambda index: begun.append(index.tolist()),
    ).run()  # fmt: skip
    assert begun == asked
    assert list(map(len, asked)) == ([2, 2, 1] if rank == 0 else [1, 1, 1])


# --- what several processes do not do ---------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "recipe", "words"),
    [
        ("dump", {}, "dump runs in one process; call it without torchrun"),
        ("train", {"compile": True}, "compile: true needs a training on one GPU"),
    ],
)
def test_what_only_one_process_can_do_is_refused(
    stage, recipe, words, workplace, monkeypatch, capsys
):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    spec = {"recipe": recipe}
    assert workplace.call(stage, "runs", spec_id("run", spec), spec) == 2
    assert words in capsys.readouterr().err


def test_several_machines_are_refused(workplace, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    spec = {"recipe": {}}
    assert workplace.call("train", "runs", spec_id("run", spec), spec) == 2
    assert "call torchrun with --standalone" in capsys.readouterr().err


def test_a_world_size_that_torchrun_has_not_set_means_nothing(workplace, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    data = workplace.prepare(monkeypatch, raw_images())
    assert workplace.train(data)


def test_a_training_depends_on_the_code_of_several_processes():
    """No spec has the number of processes, so an edit there makes all trainings stale."""
    assert "disobey.training.distributed" in modules_reached(["disobey.stages.train:run"])


def normalised():
    return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))


@pytest.mark.parametrize(
    ("device", "smallest", "words"),
    [
        ("cpu", 4, "on GPUs only .*; on the CPU call it without torchrun"),
        ("cuda", 2, "gpus: 3, but the smallest batch of an epoch has 2 examples"),
    ],
)
def test_batch_normalisation_that_would_change_is_refused(device, smallest, words):
    with pytest.raises(UserError, match=words):
        with_synchronised_statistics(normalised(), torch.device(device), 3, smallest)
    plain = nn.Linear(3, 3)
    assert with_synchronised_statistics(plain, torch.device(device), 3, smallest) is plain


def test_batch_normalisation_becomes_torchs_own_under_the_same_names():
    model = normalised()
    names, weight = list(model.state_dict()), model[1].weight
    found = with_synchronised_statistics(model, torch.device("cuda"), 3, 3)
    assert isinstance(found[1], nn.SyncBatchNorm) and found[1].weight is weight
    assert list(found.state_dict()) == names


def test_a_refusal_is_reported_once(workplace, monkeypatch):
    model = {"family": "small_resnet", "stem": 4, "widths": [6]}
    run = image_model(workplace, monkeypatch, model=model)
    assert run.start(processes=2).wait(PATIENCE) == 2
    assert run.said().count("batch normalisation on GPUs only") == 1


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("examples", [1, 2, 7, 64])
def test_a_batch_is_split_evenly_and_completely(examples, ranks):
    index = torch.arange(100, 100 + examples)
    parts = [split_batch(index, rank, ranks) for rank in range(ranks)]
    real = [part for part, weight in parts if weight]
    assert torch.cat(real).tolist() == index.tolist()
    assert max(map(len, real)) - min(map(len, real)) <= 1
    assert [weight for _, weight in parts if weight] == [len(part) / examples for part in real]
    assert all(part.tolist() == [100] for part, weight in parts if not weight)
