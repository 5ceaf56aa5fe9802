"""torch's own optimizers, to the last bit, and no compiler is imported for them."""

import subprocess
import sys

import pytest
import torch

from disobey.training.loop import make_optimizer

RECIPES = {
    "plain": ({"optimizer": "sgd"}, torch.optim.SGD, {}),
    "momentum": (
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        torch.optim.SGD,
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    ),
    "adam": (
        {"optimizer": "adam", "weight_decay": 0.02},
        torch.optim.Adam,
        {"weight_decay": 0.02},
    ),
    "adamw": (
        {"optimizer": "adamw", "weight_decay": 0.02},
        torch.optim.AdamW,
        {"weight_decay": 0.02},
    ),
}
STEPS, SAVED = 6, 3


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))


def step(network, optimizer, number):
    optimizer.zero_grad(set_to_none=True)
    inputs = torch.randn(7, 5, generator=torch.Generator().manual_seed(number))
    network(inputs).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("recipe, kind, options", RECIPES.values(), ids=RECIPES)
def test_steps_are_those_of_torch_bit_for_bit_across_a_saved_state(recipe, kind, options):
    found, expected = model(), model()
    ours = make_optimizer(found, recipe | {"lr": 0.05})
    torchs = kind(expected.parameters(), lr=0.05, fused=True, **{"weight_decay": 0.0} | options)
    for number in range(STEPS):
        if number == SAVED:
            state = ours.state_dict()
            ours = make_optimizer(found, recipe | {"lr": 0.05})
            ours.load_state_dict(state)
        step(found, ours, number)
        step(expected, torchs, number)
    for one, other in zip(found.parameters(), expected.parameters(), strict=True):
        assert torch.equal(one, other)
    assert not any(p.grad_fn for p in found.parameters())


def test_a_training_that_compiles_nothing_does_not_import_the_compiler():
    """Steps, states and their restoration, with each optimizer."""
    program = """
import sys, torch
from disobey.training.loop import make_optimizer
for name in ("sgd", "adam", "adamw"):
    layer = torch.nn.Linear(2, 2)
    optimizer = make_optimizer(layer, {"optimizer": name, "lr": 0.1})
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        layer(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    if "torch._dynamo" in sys.modules:
        sys.exit(name)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
