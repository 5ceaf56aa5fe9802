"""The one training loop: teacher, reference and student, images and text."""

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from disobey.errors import UserError
from disobey.training.inputs import Inputs
from disobey.training.losses.targets import Objective, Targets
from disobey.training.schedules import learning_rates
from disobey.training.seeds import stream, torch_seed


@dataclass
class History:
    """What happened in each epoch.

    Attributes
    ----------
    train_loss, train_accuracy : list of float
        Mean over the epoch's examples, while the weights were changing, of the loss and of
        agreement with the given label.
    learning_rate : list of float
        At the epoch's last step.
    seconds : list of float
    """

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def train(
    model: nn.Module,
    inputs: Inputs,
    targets: Targets,
    objective: Objective,
    recipe: Mapping[str, Any],
    order_seed: int,
) -> History:
    """Train ``model`` in place.

    Parameters
    ----------
    model : nn.Module
        On the device of the targets.
    inputs, targets : Inputs, Targets
        All training examples.
    objective : callable
        Loss of a batch; see `disobey.training.losses`.
    recipe : mapping
        Optimizer, learning rate, schedule, epochs, batch; as in a run's spec.
    order_seed : int
        Names the batch orders and the dropout masks.

    Raises
    ------
    UserError
        When a loss is not finite, with step and learning rate.
    """
    examples, device = len(targets.label), targets.label.device
    per_epoch = -(-examples // recipe["batch"])
    rates = learning_rates(recipe, recipe["epochs"] * per_epoch)
    optimizer = make_optimizer(model, recipe, device)
    history = History()
    bar = tqdm(total=len(rates), unit="step", file=sys.stderr, mininterval=5.0)
    model.train()
    for epoch in range(recipe["epochs"]):
        started = time.perf_counter()
        torch.manual_seed(torch_seed(order_seed, "dropout", epoch))
        losses = torch.zeros(per_epoch, device=device)
        correct = torch.zeros((), dtype=torch.int64, device=device)
        sizes = np.zeros(per_epoch)
        for step, index in enumerate(batches(examples, recipe["batch"], order_seed, epoch)):
            index = index.to(device, non_blocking=True)
            _set_rate(optimizer, rates[epoch * per_epoch + step])
            with torch.autocast(device.type, torch.bfloat16, recipe.get("precision") == "bf16"):
                logits = model(inputs.gather(index))
            loss = objective(logits, index)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            # Kept on the device: reading a number back in every step would stall a GPU.
            losses[step] = loss.detach()
            correct += (logits.detach().argmax(1) == targets.label[index]).sum()
            sizes[step] = len(index)
            bar.update()
        means = losses.double().cpu().numpy()
        _refuse_divergence(means, rates, epoch * per_epoch)
        history.train_loss.append(float(means @ sizes / examples))
        history.train_accuracy.append(int(correct) / examples)
        history.learning_rate.append(float(rates[(epoch + 1) * per_epoch - 1]))
        history.seconds.append(time.perf_counter() - started)
        bar.set_postfix(loss=f"{history.train_loss[-1]:.4f}", refresh=False)
    bar.close()
    return history


def batches(examples: int, batch: int, order_seed: int, epoch: int) -> Iterator[torch.Tensor]:
    """Yield the indices of each batch of an epoch, in a seeded order; the last may be smaller."""
    order = stream(order_seed, "batch order", epoch).permutation(examples)
    yield from torch.from_numpy(order).split(batch)


def make_optimizer(
    model: nn.Module, recipe: Mapping[str, Any], device: torch.device
) -> torch.optim.Optimizer:
    """Return the recipe's optimizer over all parameters, fused into one kernel."""
    common = {"lr": recipe["lr"], "weight_decay": recipe.get("weight_decay", 0.0), "fused": True}
    if recipe["optimizer"] == "adamw":
        return torch.optim.AdamW(model.parameters(), **common)
    return torch.optim.SGD(
        model.parameters(),
        momentum=recipe.get("momentum", 0.0),
        nesterov=recipe.get("nesterov", False),
        **common,
    )


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = float(rate)


def _refuse_divergence(losses: np.ndarray, rates: np.ndarray, first_step: int) -> None:
    bad = np.flatnonzero(~np.isfinite(losses))
    if bad.size:
        step = first_step + int(bad[0])
        raise UserError(
            f"the loss became {losses[bad[0]]} at step {step} of {len(rates)}, learning rate "
            f"{rates[step]:.3g}; a lower lr or a longer warmup in the recipe may help"
        )
