"""The training loop agrees with numpy, depends on its seeds, and uses partial batches."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from disobey.errors import UserError
from disobey.seeds import stream, torch_seed
from disobey.training.inputs import ImageInputs, TokenInputs
from disobey.training.loop import LENGTH_GROUP, PlainSgd, Training, batches, make_optimizer
from disobey.training.objective import Targets, build_objective
from disobey.training.teachers import StoredLogits

from .conftest import raw_images

CPU = torch.device("cpu")
SGD = {"optimizer": "sgd", "lr": 0.1, "epochs": 2, "batch": 4, "schedule": "constant"}
STILL = SGD | {"lr": 1e-30}  # float32 weights do not move


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(5, 3)


def train(*arguments):
    return Training(*arguments).run()


def equal(first, second):
    a, b = first.state_dict(), second.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def run(model, toy, recipe, order=0, spec=None, teacher=None):
    targets = Targets(toy.label, None if teacher is None else StoredLogits(teacher))
    how = {} if spec is None else {"distill": spec}
    objective = build_objective({"recipe": recipe} | how, targets)
    return train(model, toy.inputs, targets, objective, recipe, order)


# --- the arithmetic, in numpy ----------------------------------------------------------------


def softmax(z):
    powers = np.exp(z - z.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("weight", [None, 0.0, 0.6, 1.0])
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_equals_the_same_steps_in_numpy(toy, weight, nesterov):
    """Momentum, weight decay, and each example against its own teacher row after shuffling."""
    recipe = SGD | {"momentum": 0.9, "nesterov": nesterov, "weight_decay": 0.02, "epochs": 3}
    temperature = 2.0
    teacher = torch.randn(10, 3, generator=torch.Generator().manual_seed(9))
    model = linear()
    w = model.weight.detach().double().numpy().copy()
    b = model.bias.detach().double().numpy().copy()
    x, y, t = toy.vectors.double().numpy(), np.eye(3)[toy.label.numpy()], teacher.double().numpy()
    velocity = None
    for epoch in range(3):
        for index in batches(10, 4, 7, epoch):
            i = index.numpy()
            z = x[i] @ w.T + b
            error = softmax(z) - y[i]
            if weight is not None:
                soft = softmax(z / temperature) - softmax(t[i] / temperature)
                error = (1 - weight) * error + weight * temperature * soft
            error /= len(i)
            gradients = [error.T @ x[i] + 0.02 * w, error.sum(0) + 0.02 * b]
            velocity = (
                gradients
                if velocity is None
                else [0.9 * v + g for v, g in zip(velocity, gradients, strict=True)]
            )
            step = (
                [g + 0.9 * v for g, v in zip(gradients, velocity, strict=True)]
                if nesterov
                else velocity
            )
            w, b = w - 0.1 * step[0], b - 0.1 * step[1]
    spec = None if weight is None else {"temperature": temperature, "weight": weight}
    run(model, toy, recipe, 7, spec, teacher)
    np.testing.assert_allclose(model.weight.detach(), w, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.bias.detach(), b, rtol=1e-4, atol=1e-6)


def test_adamw_decays_weights_apart_from_the_gradient():
    model = linear()
    recipe = {"optimizer": "adamw", "lr": 0.1, "weight_decay": 0.5}
    optimizer = make_optimizer(model, recipe)
    before = model.weight.detach().clone()
    (model.weight.sum() * 0 + model.bias.sum() * 0).backward()
    optimizer.step()
    torch.testing.assert_close(model.weight.detach(), before * (1 - 0.1 * 0.5))


def test_adam_takes_weight_decay_as_a_part_of_the_gradient():
    """Its first step is lr times the sign of gradient plus decay; adamw's would depend on w."""
    model = linear()
    optimizer = make_optimizer(model, {"optimizer": "adam", "lr": 0.1, "weight_decay": 0.5})
    before = model.weight.detach().clone()
    (model.weight.sum() + model.bias.sum()).backward()
    optimizer.step()
    expected = before - 0.1 * torch.sign(1 + 0.5 * before)
    torch.testing.assert_close(model.weight.detach(), expected)


def test_the_schedule_is_followed_step_by_step(toy, monkeypatch):
    seen = []
    step = PlainSgd.step

    def spy(self, *rest):
        seen.append(self.param_groups[0]["lr"])
        return step(self, *rest)

    monkeypatch.setattr(PlainSgd, "step", spy)
    history = run(linear(), toy, SGD | {"schedule": "linear"})
    np.testing.assert_allclose(seen, [0.1 * (6 - k) / 6 for k in range(6)])
    np.testing.assert_allclose(history.learning_rate, [seen[2], seen[5]])


# --- history ---------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3, 4, 10, 64])
def test_a_smaller_last_batch_counts_by_its_examples(toy, batch):
    model = linear()
    z = model(toy.vectors).detach().double().numpy()
    label = toy.label.numpy()
    losses = [-np.log(softmax(z[i : i + 1])[0, label[i]]) for i in range(10)]
    history = run(model, toy, STILL | {"batch": batch})
    np.testing.assert_allclose(history.train_loss, [np.mean(losses)] * 2, rtol=1e-6)
    np.testing.assert_allclose(history.train_accuracy, [np.mean(z.argmax(1) == label)] * 2)
    assert equal(model, linear())


def test_history_has_one_entry_per_epoch(toy):
    history = run(linear(), toy, SGD | {"epochs": 5})
    assert {name: len(values) for name, values in vars(history).items()} == {
        "train_loss": 5, "train_accuracy": 5, "learning_rate": 5, "seconds": 5,
    }  # fmt: skip


def in_steps(steps, **changes):
    recipe = SGD | {"steps": steps} | changes
    del recipe["epochs"]
    return recipe


def test_the_history_of_a_last_epoch_cut_short_is_over_the_examples_it_saw(toy):
    """Five steps of ten examples in batches of four: the second epoch ends before its third."""
    model = linear()
    z = model(toy.vectors).detach().double().numpy()
    label = toy.label.numpy()
    losses = np.array([-np.log(softmax(z[i : i + 1])[0, label[i]]) for i in range(10)])
    seen = torch.cat(batches(10, 4, 7, 1)[:2]).numpy()
    history = run(model, toy, in_steps(5, lr=1e-30, schedule="linear"), order=7)
    np.testing.assert_allclose(
        history.train_loss, [np.mean(losses), np.mean(losses[seen])], rtol=1e-6
    )
    right = z.argmax(1) == label
    np.testing.assert_allclose(history.train_accuracy, [np.mean(right), np.mean(right[seen])])
    np.testing.assert_allclose(history.learning_rate, [1e-30 * 3 / 5, 1e-30 * 1 / 5])
    assert len(history.seconds) == 2


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 6, 7])
def test_a_training_in_steps_takes_that_many(toy, steps, monkeypatch):
    taken = []
    step = PlainSgd.step
    monkeypatch.setattr(PlainSgd, "step", lambda self, *rest: taken.append(step(self, *rest)))
    history = run(linear(), toy, in_steps(steps))
    assert len(taken) == steps
    assert len(history.train_loss) == -(-steps // 3)


def test_a_training_in_steps_is_the_one_in_epochs_where_it_ends_with_one(toy):
    first, second = linear(), linear()
    by_epochs = run(first, toy, SGD | {"schedule": "cosine"})
    by_steps = run(second, toy, in_steps(6, schedule="cosine"))
    assert equal(first, second)
    assert by_steps.train_loss == by_epochs.train_loss


def test_a_loss_that_is_not_finite_in_an_epoch_cut_short_is_named_by_its_step(toy):
    toy.vectors[int(batches(10, 4, 0, 0)[1][0])] = torch.inf
    with pytest.raises(UserError, match=r"at step 1 of 2, learning rate 0\.1;"):
        run(linear(), toy, in_steps(2))


def test_parts_of_a_recipe_that_do_not_fit_the_data_are_refused_before_the_first_step(toy):
    model = linear()
    with pytest.raises(UserError, match=r"milestone at 6 steps is not inside .* has 3 steps"):
        run(model, toy, SGD | {"schedule": "steps", "milestones": {"steps": [2, 6]}})
    assert equal(model, linear())


def test_training_learns_what_is_linearly_separable(toy):
    label = toy.vectors[:, :3].argmax(1)
    toy = SimpleNamespace(vectors=toy.vectors, label=label, inputs=toy.inputs)
    history = run(linear(), toy, SGD | {"lr": 1.0, "epochs": 60})
    assert history.train_accuracy[-1] == 1
    assert history.train_loss[-1] < 0.2 * history.train_loss[0]


# --- orders and seeds ------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 4, 7, 100])
@pytest.mark.parametrize("with_length", [False, True])
def test_every_example_comes_once_per_epoch(batch, with_length):
    length = np.random.default_rng(0).integers(3, 20, 50) if with_length else None
    for epoch in range(3):
        found = batches(50, batch, 1, epoch, length)
        assert sorted(torch.cat(found).tolist()) == list(range(50))
        sizes = sorted(len(index) for index in found)
        assert sizes[1:] == [min(batch, 50)] * (len(sizes) - 1)
        assert len(found) == -(-50 // batch)


@pytest.mark.parametrize("with_length", [False, True])
def test_orders_differ_by_epoch_and_seed_and_repeat(with_length):
    length = np.random.default_rng(0).integers(3, 20, 60) if with_length else None

    def order(seed, epoch):
        return torch.cat(batches(60, 8, seed, epoch, length)).tolist()

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_batches_by_length_pad_less_and_still_mix():
    rng = np.random.default_rng(0)
    examples, batch = 4000, 32
    length = rng.integers(3, 33, examples)

    def spread(found):
        return np.mean([length[i.numpy()].max() - length[i.numpy()].min() for i in found])

    alike = batches(examples, batch, 0, 0, length)
    assert spread(alike) < 0.2 * spread(batches(examples, batch, 0, 0))
    # Batches of all lengths come in a random order, and from random groups of examples.
    means = np.array([length[i.numpy()].mean() for i in alike])
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.3
    together = {frozenset(i.tolist()) for i in alike}
    again = {frozenset(i.tolist()) for i in batches(examples, batch, 0, 1, length)}
    assert not together & again
    assert LENGTH_GROUP * batch < examples


def test_streams_are_apart_by_name_position_and_seed():
    draws = {
        (seed, name, position): stream(seed, name, *position).integers(2**62)
        for seed in (0, 1)
        for name in ("batch order", "dropout", "initialisation")
        for position in ((), (0,), (1,))
    }
    assert len(set(draws.values())) == len(draws)
    assert torch_seed(1, "dropout", 0) == draws[1, "dropout", (0,)]


def test_the_same_seed_twice_is_equal_bit_by_bit(roberta, texts):
    """With dropout, and whatever state torch's generator was left in."""
    recipe = {
        "optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.01, "epochs": 2, "batch": 16,
        "schedule": "linear",
    }  # fmt: skip
    targets = Targets(torch.from_numpy(texts.train.label))
    objective = build_objective({"recipe": recipe}, targets)

    def trained(order, noise):
        model = copy.deepcopy(roberta)
        torch.manual_seed(noise)
        train(model, TokenInputs(texts.train, texts, CPU), targets, objective, recipe, order)
        return model

    first = trained(0, noise=1)
    assert equal(first, trained(0, noise=2))
    assert not equal(first, trained(1, noise=1))
    assert not equal(first, roberta)


def test_dropout_is_on_in_training_and_drawn_anew_each_epoch(roberta, texts):
    """With weights that stay, only dropout lets the loss of two epochs differ."""
    targets = Targets(torch.from_numpy(texts.train.label))
    inputs = TokenInputs(texts.train, texts, CPU)
    objective = build_objective({"recipe": STILL}, targets)
    first, second = train(roberta, inputs, targets, objective, STILL, 0).train_loss
    again, _ = train(roberta, inputs, targets, objective, STILL, 0).train_loss
    assert first == again
    assert first != pytest.approx(second, rel=1e-7)


def test_an_order_seed_leaves_the_initialisation_alone(toy):
    first, second = linear(), linear()
    run(first, toy, STILL, order=0)
    run(second, toy, STILL, order=1)
    assert equal(first, second)


def test_runs_of_one_initialisation_start_from_the_same_weights(workplace, monkeypatch):
    data = workplace.prepare(monkeypatch, raw_images())
    still = workplace.run_spec(data)["recipe"] | {"lr": 1e-30, "epochs": 1}
    of_all = {"model": {"family": "mlp", "hidden": [5]}, "recipe": still}

    def begun(**changes):
        run = workplace.train(data, **of_all, **changes)
        return run, load_file(workplace.path("runs", run) / "model.safetensors")

    teacher, first = begun()
    workplace.dump(teacher, data, of_all["model"])
    distill = {"temperature": 4.0, "weight": 1.0, "teacher": teacher}
    _, student = begun(distill=distill, seeds={"initialisation": 0, "order": 7})
    _, other = begun(distill=distill, seeds={"initialisation": 7, "order": 0})
    for name, weights in first.items():
        torch.testing.assert_close(student[name], weights, atol=1e-20, rtol=0)
        assert not torch.equal(other[name], weights)


# --- what must not happen --------------------------------------------------------------------


def test_a_loss_that_is_not_finite_is_refused_with_step_and_rate(toy):
    toy.vectors[7] = torch.inf
    order = torch.cat(batches(10, 4, 0, 0)).tolist()
    step = order.index(7) // 4
    recipe = SGD | {"schedule": "linear"}
    rate = 0.1 * (6 - step) / 6
    with pytest.raises(UserError, match=rf"step {step} of 6, learning rate {rate:.3g}") as error:
        run(linear(), toy, recipe)
    assert "lower lr" in str(error.value)


def test_divergence_in_a_later_epoch_is_refused(toy):
    with pytest.raises(UserError, match="step"):
        run(nn.Sequential(nn.Linear(5, 50), nn.Linear(50, 3)), toy, SGD | {"lr": 1e30})


def test_the_student_cannot_move_the_teacher(toy):
    teacher = torch.randn(10, 3)
    before = teacher.clone()
    run(linear(), toy, SGD, spec={"temperature": 4.0, "weight": 0.9}, teacher=teacher)
    assert torch.equal(teacher, before)
    assert not teacher.requires_grad
    assert teacher.grad is None


def test_bfloat16_trains_close_to_float32_and_keeps_float32_weights(images):
    from disobey.models.registry import build_model

    def trained(**changes):
        torch.manual_seed(0)
        model = build_model({"family": "mlp", "hidden": [16]}, images)
        recipe = SGD | {"epochs": 3, "batch": 8} | changes
        targets = Targets(torch.from_numpy(images.train.label))
        inputs = ImageInputs(images.train, images, CPU)
        objective = build_objective({"recipe": recipe}, targets)
        history = train(model, inputs, targets, objective, recipe, 0)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        return history.train_loss

    plain, half = trained(), trained(precision="bf16")
    assert plain != half
    np.testing.assert_allclose(half, plain, rtol=0.05)
    assert trained(precision="fp32") == plain
