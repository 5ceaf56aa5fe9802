"""Signs of targets and cosines equal those computed by autograd and by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from disobey.analysis.gradients import (
    Learnt,
    analyse,
    cosines,
    margins,
    right_first_gradients,
    right_signs,
)
from disobey.analysis.quality import softened
from disobey.data.sources.similar_classes import examples_of
from disobey.models.registry import build_model

TEMPERATURE, CLASSES, DIMENSIONS, EXAMPLES, SEEDS = 5.0, 6, 8, 40, 3


@pytest.fixture(scope="module")
def learnt():
    rng = np.random.default_rng(2)
    direction = rng.standard_normal((CLASSES, DIMENSIONS))
    label, channels = examples_of(rng, direction, EXAMPLES, "plain")
    weights = {
        name: rng.standard_normal((SEEDS, CLASSES, DIMENSIONS)) + way * direction
        for name, way in (("teacher", 1), ("reference", 1), ("double_lr", 0.5), ("student", 2))
    }
    logits = np.einsum("skd,ekd->sek", weights["teacher"], channels)
    return Learnt(channels, label, direction, logits, TEMPERATURE, weights)


def updates(learnt, target_of, temperature):
    """Return the step of each class's weights along mu for each example, at w = 0."""
    inputs = torch.tensor(learnt.channels.reshape(EXAMPLES, -1), dtype=torch.float32)
    data = SimpleNamespace(train=SimpleNamespace(inputs=inputs), class_names=tuple(range(CLASSES)))
    model = build_model({"family": "channel_linear"}, data)
    along = np.empty((EXAMPLES, CLASSES))
    for i in range(EXAMPLES):
        model.zero_grad()
        logits = model(inputs[i : i + 1]) / temperature
        torch.nn.functional.cross_entropy(logits, target_of(i)).backward()
        along[i] = (-model.weight.grad.numpy() * learnt.direction).sum(1)
    return along


def test_first_gradients_are_those_of_autograd(learnt):
    margin = margins(learnt.channels, learnt.direction)
    teacher = torch.tensor(learnt.teacher_logits[1])
    soft = (teacher / TEMPERATURE).softmax(-1).float()
    along = updates(learnt, lambda i: soft[i : i + 1], TEMPERATURE)
    found = right_first_gradients(softened(learnt.teacher_logits[1], TEMPERATURE), margin)
    assert found == pytest.approx((along >= 0).mean())
    label = torch.tensor(learnt.label)
    one_hot = updates(learnt, lambda i: label[i : i + 1], 1.0)
    target = np.eye(CLASSES)[learnt.label]
    assert right_first_gradients(target, margin) == pytest.approx((one_hot >= 0).mean())
    assert right_signs(target, margin) == right_first_gradients(target, margin)
    assert 0.5 < found < 1


def test_the_papers_count_asks_whether_a_target_is_more_than_that_of_an_empty_channel():
    #             own, similar, similar, empty
    margin = np.array([[2.0, 1.0, 1.0, 0.0]])
    one_hot = np.array([[1.0, 0.0, 0.0, 0.0]])
    assert right_signs(one_hot, margin) == 2 / 4  # own and empty
    logits = np.array([[3.0, 0.1, -0.1, 0.0]])
    for temperature in (1.0, 5.0):
        assert right_signs(softened(logits, temperature), margin) == 3 / 4
    assert right_signs(softened(logits, 1.0), -margin) == 2 / 4  # pushed away where it should be


def test_a_cosine_by_hand():
    weights = np.array([[3.0, 4.0], [0.0, -2.0], [0.0, 0.0]])
    direction = np.array([[1.0, 0.0], [0.0, 5.0], [1.0, 1.0]])
    assert cosines(weights, direction) == pytest.approx([0.6, -1.0, np.nan], nan_ok=True)


def test_the_store_holds_each_seed_and_paired_intervals(learnt):
    found = analyse(learnt, [4, 5, 6])
    margin = np.array(
        [[x @ m for x, m in zip(c, learnt.direction, strict=True)] for c in learnt.channels]
    )
    present = learnt.channels.any(-1)
    for s in range(SEEDS):
        up = learnt.teacher_logits[s] > 0
        expected = np.where(present, up == (margin > 0), True).mean()
        assert found.right_signs.sel(target="teacher", seed=4 + s) == pytest.approx(expected)
    by_hand = {
        name: np.array(
            [
                [
                    w @ m / np.sqrt((w @ w) * (m @ m))
                    for w, m in zip(of_seed, learnt.direction, strict=True)
                ]
                for of_seed in of_model
            ]
        )
        for name, of_model in learnt.weights.items()
    }
    gain = (by_hand["student"] - by_hand["double_lr"]).mean(1)
    half = 4.302652729911275 * gain.std(ddof=1) / np.sqrt(3)  # t of two degrees of freedom
    here = found.sel(control="double_lr")
    assert float(here.mean_cosine_difference_estimate) == pytest.approx(gain.mean())
    assert float(here.mean_cosine_difference_low) == pytest.approx(gain.mean() - half)
    assert list(found.control.values) == ["reference", "double_lr"]
    assert found.cosine.sel(model="reference").values == pytest.approx(by_hand["reference"])
    share = found.right_signs.values
    assert found.right_signs_difference.values == pytest.approx(share[1] - share[0])
