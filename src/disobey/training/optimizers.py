"""The recipe's optimizer: torch's own, without waking its compiler.

`torch.optim` wraps its methods so that torch.compile leaves them alone. The wrappers import the
compiler when they are first called, a second of CPU in every job, whether or not anything is
compiled. No optimizer is compiled here, so its methods are called as torch wrote them.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

BOOKKEEPING = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def make_optimizer(model: nn.Module, recipe: Mapping[str, Any]) -> Optimizer:
    """Return the recipe's optimizer over all parameters, fused into one kernel."""
    common = {"lr": recipe["lr"], "weight_decay": recipe.get("weight_decay", 0.0), "fused": True}
    if recipe["optimizer"] in ADAPTIVE:
        return ADAPTIVE[recipe["optimizer"]](model.parameters(), **common)
    return PlainSgd(
        model.parameters(),
        momentum=recipe.get("momentum", 0.0),
        nesterov=recipe.get("nesterov", False),
        **common,
    )


def _unwrapped(kind: type[Optimizer]) -> dict[str, Any]:
    """Return the methods of an optimizer without what is wrapped around them."""
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in BOOKKEEPING}
    return methods | {"step": torch.no_grad()(inspect.unwrap(kind.step))}


PlainSgd = type("PlainSgd", (SGD,), _unwrapped(SGD))
PlainAdam = type("PlainAdam", (Adam,), _unwrapped(Adam))
PlainAdamW = type("PlainAdamW", (AdamW,), _unwrapped(AdamW))
ADAPTIVE = {"adam": PlainAdam, "adamw": PlainAdamW}
