"""Several processes train what one trains: the real command, on CPUs through gloo.

Weights agree to the rounding of float32 sums, which are taken in another order; what would be
another recipe, say statistics of a share instead of the batch, is hundreds of times as far off.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from disobey import cards
from disobey.code_digest import modules_reached
from disobey.locks import Lock
from disobey.provenance import spec_id
from disobey.training.parts import modules_of
from disobey.training.ranks import Ranks
from disobey.training.shared_normalisation import Shares, share_sizes, share_statistics
from disobey.training.shared_training import SharedKeeper

from .conftest import raw_images, raw_texts
from .together import PATIENCE, Run, wait_until

SEEDS = {"initialisation": 0, "order": 0, "views": 3, "draw": 1}
AUGMENT = {"crop_padding": 1, "flip": True}
# 46 examples in batches of 15: shares of 8 and 7, and a last batch of which one rank has nothing.
EXAMPLES, BATCH = 46, 15
TEXT = {"optimizer": "adamw", "lr": 1e-3, "epochs": 4, "batch": BATCH, "schedule": "linear"}


def student_of_views(workplace, monkeypatch):
    """An image model with batch normalisation, which sees its teacher's logits on crops."""
    data = workplace.prepare(monkeypatch, raw_images(train=EXAMPLES))
    teacher = workplace.train(data, seeds=SEEDS, augment=AUGMENT)
    spec = {"run": teacher, "data": data, "augment": AUGMENT, "draw": 0, "block": 0}
    views = workplace.made(
        "views", f"views/{teacher}", "0", spec, ("runs", teacher), ("data", data)
    )
    spec = workplace.run_spec(
        data,
        seeds=SEEDS | {"draw": 0},
        augment=AUGMENT,
        distill={"temperature": 2.0, "weight": 0.7, "teacher": teacher},
    )
    spec["recipe"] |= {"epochs": 4, "batch": BATCH, "snapshots": [2]}
    spec["recipe"]["evaluate"] = {"points": 5, "examples": 30}
    return Run(workplace, spec, ("data", data), (f"views/{teacher}", views))


def text_model(workplace, monkeypatch, dropout, **changes):
    source = {"tokenizer": {"vocabulary": 270, "max_tokens": 24}}
    data = workplace.prepare(monkeypatch, raw_texts(train=EXAMPLES), **source)
    model = {"family": "roberta", "hidden": 16, "layers": 1, "heads": 2, "dropout": dropout}
    spec = workplace.run_spec(data, model=model, recipe=TEXT | changes)
    return Run(workplace, spec, ("data", data))


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


def test_images_with_batch_normalisation_views_and_a_last_batch_of_one(workplace, monkeypatch):
    run = student_of_views(workplace, monkeypatch)
    alone = run.made()
    assert_close(run.made(processes=2), alone)
    assert "snapshot-2.safetensors:stem.convolution.weight" in alone[0]
    assert run.said().count("step/s") >= 1
    assert len(set(re.findall(r"^.*100%.*$", run.said(), re.M))) == 1  # one bar


def test_texts_of_many_lengths(workplace, monkeypatch):
    # AdamW would blow up the rounding of gradients that are zero but for it, a key bias's
    run = text_model(workplace, monkeypatch, dropout=0.0, optimizer="sgd", lr=0.1)
    assert_close(run.made(processes=2), run.made())


def test_what_was_stopped_twice_ends_like_what_was_not_bit_for_bit(workplace, monkeypatch):
    """Once through torchrun, once by one of the processes alone; with dropout."""
    run = text_model(workplace, monkeypatch, dropout=0.3, epochs=200)
    expected, history = run.made(processes=2)
    stopped = 0
    for signum, target in ((signal.SIGUSR1, torchrun_itself), (signal.SIGTERM, second_worker)):
        # a state after every step: what is left is long, on any machine, when the first is there
        process = run.start(processes=2, DISOBEY_SAVE_EVERY="0")
        wait_until(lambda: run.saved() > stopped, process)  # noqa: B023 - called at once
        os.kill(target(process), signum)
        assert process.wait(PATIENCE) != 0
        assert ("resumed at step" in run.said()) == (stopped > 0)
        (step,) = re.findall(rf"stopped by {signum.name} at step (\d+) of 800", run.said())
        assert run.saved() == int(step) > stopped  # of that very step, on both
        stopped = int(step)
    weights, again = run.made(processes=2)
    assert run.said().count(f"resumed at step {stopped} ") == 1
    assert all(np.array_equal(weights[name], expected[name]) for name in expected)
    assert all(np.array_equal(again[name], history[name]) for name in history)


def test_a_signal_that_comes_while_the_ranks_agree_stops_them_at_the_next_step():
    class Interrupted:
        """Ranks of which one is asked to stop after it has said that it was not."""

        def largest(self, number):
            os.kill(os.getpid(), signal.SIGTERM)
            return number

    keeper = SharedKeeper(Interrupted(), checkpoints=None, training=None)
    with keeper.watching():
        assert keeper.asked() is None  # as the other ranks were told
        assert keeper.asked() == signal.SIGTERM


def test_another_number_of_processes_goes_on_from_the_same_state(workplace, monkeypatch):
    data = workplace.prepare(monkeypatch, raw_images(train=EXAMPLES))
    spec = workplace.run_spec(data)
    spec["recipe"] |= {"epochs": 600, "batch": BATCH}
    run = Run(workplace, spec, ("data", data))
    # a state after every step: what is left is long, on any machine, when the first is there
    process = run.start(processes=2, DISOBEY_SAVE_EVERY="0")
    wait_until(lambda: run.saved() > 0, process)
    process.terminate()
    assert process.wait(PATIENCE) != 0, "it was done before it was asked to stop"
    step = run.saved()
    _, history = run.made()
    assert f"resumed at step {step} " in run.said()
    assert len(history["train_loss"]) == 600


def torchrun_itself(process):
    return process.pid


def second_worker(process):
    return workers_of(process)["1"]


def workers_of(torchrun):
    """Return the pids of the processes that torchrun has started, by rank."""
    found = {}
    children = Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split()
    for pid in children:
        environment = Path(f"/proc/{pid}/environ").read_text().split("\0")
        ranks = [word.removeprefix("RANK=") for word in environment if word.startswith("RANK=")]
        found |= dict.fromkeys(ranks, int(pid))
    return found


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
    first.begin()
    assert second.begun() and not second.ended(within=0)
    first.end()
    assert second.ended(within=0)


def test_the_others_do_nothing_where_there_is_nothing_to_do(two_ranks):
    first, second = two_ranks
    first.end()
    assert not second.begun()


# --- what several processes do not do ---------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "recipe", "words"),
    [
        ("dump", {}, "dump runs in one process; call it without torchrun"),
        ("train", {"compile": True}, "compile: true is of a training on one GPU"),
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


def test_a_process_alone_neither_depends_on_the_code_of_several_nor_loads_it():
    of_several = ("ranks", "together", "shared_normalisation")
    spec = {"recipe": {"epochs": 2}, "augment": AUGMENT, "distill": {"teacher": "t"}}
    depends = modules_reached(("disobey.stages.train:run", *modules_of(spec)))
    assert not [name for name in depends if name.rpartition(".")[2] in of_several]
    script = "import sys, disobey.stages.command, disobey.stages.train; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "disobey.training.loop" in loaded.stdout.split()
    assert not [n for n in loaded.stdout.split() if n.rpartition(".")[2] in of_several]


# --- shares, and normalisation across them ----------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("examples", [1, 2, 7, 8, 64])
def test_shares_are_as_equal_as_can_be_and_leave_nothing_out(examples, ranks):
    sizes = share_sizes(examples, ranks)
    assert sum(sizes) == examples and len(sizes) == ranks
    assert max(sizes) - min(sizes) <= 1
    index = torch.arange(examples)
    found = []
    for rank in range(ranks):
        shares = Shares(SimpleNamespace(rank=rank, count=ranks))
        share = shares.cut(index)
        assert len(share) == max(1, sizes[rank])
        assert shares.weight == sizes[rank] / examples
        weights = shares.weights(torch.zeros(2))
        assert weights[:, 0].tolist() == pytest.approx([size / examples for size in sizes])
        assert shares.weights(torch.ones(3)) is weights  # no layer copies it to a GPU again
        assert shares.weights(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64
        found += share.tolist() if shares.real else []
    assert found == index.tolist()


class Threads:
    """Ranks that are threads of this process: what they gather and sum, without torch's help."""

    def __init__(self, count):
        self.count, self.barrier = count, threading.Barrier(count)
        self.given, self.own = [None] * count, threading.local()

    @property
    def rank(self):
        return self.own.rank

    def gathered(self, values):
        self.given[self.rank] = values.clone()
        self.barrier.wait(PATIENCE)
        found = torch.stack(self.given)
        self.barrier.wait(PATIENCE)
        return found

    def summed(self, values):
        return self.gathered(values).sum(0)

    def run(self, work):
        """Let each thread do ``work`` with its rank; return the results."""
        found = [None] * self.count

        def one(rank):
            self.own.rank = rank
            found[rank] = work(rank)

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(self.count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        return found


@pytest.mark.parametrize("shape", [(4,), (4, 5), (4, 3, 5)], ids=["flat", "1d", "2d"])
@pytest.mark.parametrize("examples", [2, 5, 6])
@pytest.mark.parametrize("ranks", [2, 3])
def test_normalisation_across_shares_is_torchs_own_of_the_whole_batch(shape, examples, ranks):
    """Outputs, all gradients and running statistics, in float64; far from zero mean."""
    kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
    generator = torch.Generator().manual_seed(5)
    draw = {"generator": generator, "dtype": torch.float64}
    inputs = 30 + torch.randn(examples, *shape, **draw)
    weights, bias = torch.randn(4, **draw), torch.randn(4, **draw)
    pull = torch.randn(examples, *shape, **draw)

    def module():
        made = kind(4, momentum=0.3, dtype=torch.float64)
        with torch.no_grad():
            made.weight.copy_(weights)
            made.bias.copy_(bias)
        return made

    whole, leaf = module(), inputs.clone().requires_grad_()
    expected = whole(leaf)
    (expected * pull).sum().backward()

    threads = Threads(ranks)
    index = torch.arange(examples)

    def work(rank):
        shares, own = Shares(threads), module()
        model = nn.Sequential(own)
        share_statistics(model, shares)
        share = shares.cut(index)
        part = inputs[share].clone().requires_grad_()
        out = model(part)
        (out * pull[share]).sum().mul(shares.real).backward()
        return SimpleNamespace(out=out, part=part.grad, own=own, real=shares.real)

    found = threads.run(work)
    real = [one for one in found if one.real]
    torch.testing.assert_close(torch.cat([one.out for one in real]), expected)
    torch.testing.assert_close(torch.cat([one.part for one in real]), leaf.grad)
    assert all(not one.part.any() for one in found if not one.real)
    for name in ("weight", "bias"):
        summed = sum(getattr(one.own, name).grad for one in found)
        torch.testing.assert_close(summed, getattr(whole, name).grad)
    for one in found:
        assert list(one.own.state_dict()) == list(whole.state_dict())
        for name, values in whole.named_buffers():
            torch.testing.assert_close(one.own.get_buffer(name), values)


def test_normalisation_of_bfloat16_keeps_its_statistics_in_float32():
    inputs = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(1)).bfloat16()
    whole = nn.BatchNorm1d(4)
    expected = whole(inputs)
    threads = Threads(2)

    def work(rank):
        shares, own = Shares(threads), nn.BatchNorm1d(4)
        model = nn.Sequential(own)
        share_statistics(model, shares)
        part = inputs[shares.cut(torch.arange(6))].clone().requires_grad_()
        out = model(part)
        out.float().square().sum().backward()
        assert part.grad.dtype == torch.bfloat16
        return out, own

    (first, own), (second, _) = threads.run(work)
    torch.testing.assert_close(torch.cat([first, second]), expected)
    torch.testing.assert_close(own.running_var, whole.running_var)


def test_one_value_a_channel_is_refused_as_torch_does():
    threads = Threads(2)

    def work(rank):
        shares = Shares(threads)
        model = nn.Sequential(nn.BatchNorm1d(4))
        share_statistics(model, shares)
        shares.cut(torch.arange(1))
        with pytest.raises(ValueError, match="more than one value per channel"):
            model(torch.ones(1, 4))
        return True

    assert threads.run(work) == [True, True]
