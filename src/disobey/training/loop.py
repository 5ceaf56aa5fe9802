"""The training loop of teachers, references and students, on images, text and features.

The optimizers are torch's own, without the wrappers that `torch.optim` puts around their methods
for torch.compile: on their first call these import the compiler, which takes a second of CPU time
in every job, and no optimizer is compiled here.
"""

import inspect
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from tqdm import tqdm

from disobey.errors import UserError
from disobey.seeds import stream, torch_seed
from disobey.stores.writer import NetcdfWriter
from disobey.training.inputs import Inputs
from disobey.training.objective import Objective, Targets
from disobey.training.schedules import learning_rates, steps_per_epoch


class Tracker:
    """Base class of trackers, which make records during a training; it records nothing."""

    def after_step(self, step: int) -> None:
        """Record if ``step``, the number of steps done, is one of the points."""

    def state(self) -> dict[str, Any]:
        """Return the state for a resumed training."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved `state`."""

    def write(self, writer: NetcdfWriter) -> None:
        """Write the group ``progress`` of a run's history, which every history has."""
        writer.annotate("progress", basis="")


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
    """Return the methods of an optimizer without their wrappers."""
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in BOOKKEEPING}
    return methods | {"step": torch.no_grad()(inspect.unwrap(kind.step))}


PlainSgd = type("PlainSgd", (SGD,), _unwrapped(SGD))
PlainAdam = type("PlainAdam", (Adam,), _unwrapped(Adam))
PlainAdamW = type("PlainAdamW", (AdamW,), _unwrapped(AdamW))
ADAPTIVE = {"adam": PlainAdam, "adamw": PlainAdamW}


LENGTH_GROUP = 16


@dataclass
class History:
    """Records of each epoch; the last epoch may be incomplete.

    Attributes
    ----------
    train_loss, train_accuracy : list of float
        Means of the loss and of the agreement with the given label, over the epoch's examples at
        the steps in which they were used.
    learning_rate : list of float
        Learning rate of the epoch's last step.
    seconds : list of float
        Wall time; for a resumed epoch, the time since the last resume.
    """

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Training:
    """The training of one model, step by step, with a state that can be saved at any step.

    Parameters
    ----------
    model : nn.Module
        Trained in place; must be on the device of the targets.
    inputs, targets : Inputs, Targets
        All training examples.
    objective : callable
        Loss of a batch; see `disobey.training.objective`.
    recipe : mapping
        Optimizer, learning rate, schedule, epochs or steps, batch; as in a run's spec.
    order_seed : int
        Seeds the batch orders and the dropout masks.
    track : callable, optional
        Makes a `Tracker` from the number of steps; without it nothing is tracked.
    before_epoch : callable, optional
        Called with the number of each epoch before its first step, and again if a state inside the
        epoch is resumed; it may change the views of inputs and teacher.
    forward : callable, optional
        Maps inputs to logits in place of ``model``, whose weights it uses.
    ahead : callable, optional
        Called with the index of each batch before the step on the previous batch, so that it may
        prepare the inputs.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Inputs,
        targets: Targets,
        objective: Objective,
        recipe: Mapping[str, Any],
        order_seed: int,
        track: Callable[[int], Tracker] | None = None,
        before_epoch: Callable[[int], None] = lambda epoch: None,
        forward: Callable[[torch.Tensor], torch.Tensor] | None = None,
        ahead: Callable[[torch.Tensor], None] = lambda index: None,
    ) -> None:
        self.model, self.inputs, self.targets = model, inputs, targets
        self.objective, self.recipe, self.order_seed = objective, recipe, order_seed
        self.before_epoch, self.forward, self.ahead = before_epoch, forward or model, ahead
        self.device = targets.label.device
        self.per_epoch = steps_per_epoch(len(targets), recipe["batch"])
        self.rates = learning_rates(recipe, self.per_epoch)
        self.optimizer = make_optimizer(model, recipe)
        self.tracker = Tracker() if track is None else track(len(self.rates))
        self.history = History()
        self.step = 0
        # Sums over the current epoch, on the device, since reading a number in every step would
        # stall a GPU.
        self._losses = torch.zeros(self.per_epoch, device=self.device)
        self._correct = torch.zeros((), dtype=torch.int64, device=self.device)

    def run(self, after_step: Callable[[], None] = lambda: None) -> History:
        """Train from the current state to the end.

        Parameters
        ----------
        after_step : callable
            Called after every step; may save the state, or raise to stop.

        Raises
        ------
        UserError
            If a loss is not finite; the message has the step and the learning rate.
        """
        bar = tqdm(
            total=len(self.rates), initial=self.step, unit="step", file=sys.stderr,
            mininterval=5.0,
        )  # fmt: skip
        self.model.train()
        resumed_inside = self.step % self.per_epoch != 0
        for epoch in range(self.step // self.per_epoch, -(-len(self.rates) // self.per_epoch)):
            self.before_epoch(epoch)
            if not resumed_inside:
                self._begin_epoch(epoch)
            resumed_inside = False
            started = time.perf_counter()
            order = self._order(epoch)
            begun = epoch * self.per_epoch
            for index in self._announced(order[self.step - begun :]):
                self._step(index)
                bar.update()
                if self.step == begun + len(order):
                    self._end_epoch(order, started)
                    bar.set_postfix(loss=f"{self.history.train_loss[-1]:.4f}", refresh=False)
                after_step()
        bar.close()
        return self.history

    def state(self) -> dict[str, Any]:
        """Return a state from which a resumed training gives the same result as without a stop."""
        cuda = self.device.type == "cuda"
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "history": vars(self.history),
            "losses": self._losses,
            "correct": self._correct,
            "progress": self.tracker.state(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if cuda else None,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved `state`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self.history = History(**state["history"])
        self._losses.copy_(state["losses"])
        self._correct.copy_(state["correct"])
        self.tracker.restore(state["progress"])
        torch.set_rng_state(state["random"].cpu())
        if state["random_cuda"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"].cpu())

    def _order(self, epoch: int) -> list[torch.Tensor]:
        """Return the batches of an epoch, up to the end of the training."""
        seen, batch = self.targets.seen, self.recipe["batch"]
        examples = len(self.targets) if seen is None else seen
        order = batches(examples, batch, self.order_seed, epoch, self.inputs.length)
        return order[: len(self.rates) - epoch * self.per_epoch]

    def _announced(self, order: list[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Yield the batches; ``ahead`` is called with each one before the previous is yielded."""
        for position, index in enumerate(order):
            for soon in order[position + (position > 0) : position + 2]:
                self.ahead(soon)
            yield index

    def _begin_epoch(self, epoch: int) -> None:
        torch.manual_seed(torch_seed(self.order_seed, "dropout", epoch))
        self._losses.zero_()
        self._correct.zero_()

    def _step(self, index: torch.Tensor) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = float(self.rates[self.step])
        self.optimizer.zero_grad(set_to_none=True)
        loss, correct = self._gradients(index)
        self.optimizer.step()
        self._losses[self.step % self.per_epoch] = loss
        self._correct += correct
        self.step += 1
        self.tracker.after_step(self.step)

    def _gradients(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute a batch's gradients; return its loss and its number of correct predictions."""
        inputs = self.inputs.batch(index)  # an index on the host, to not wait for the GPU
        index = index.to(self.device, non_blocking=True)
        bf16 = self.recipe.get("precision") == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, bf16):
            logits = self.forward(inputs)
        if self.targets.teacher is not None:
            self.targets.teacher.look(inputs)
        loss = self.objective(logits, index, self.step)
        loss.backward()
        return loss.detach(), (logits.detach().argmax(1) == self.targets.label[index]).sum()

    def _end_epoch(self, order: list[torch.Tensor], started: float) -> None:
        # Reading the losses waits for the GPU, so that the time includes its last steps.
        losses = self._losses[: len(order)].double().cpu().numpy()
        bad = np.flatnonzero(~np.isfinite(losses))
        if bad.size:
            step = self.step - len(order) + int(bad[0])
            raise UserError(
                f"the loss became {losses[bad[0]]} at step {step} of {len(self.rates)}, learning "
                f"rate {self.rates[step]:.3g}; a lower lr or a longer warmup in the recipe may help"
            )
        sizes = np.array([len(index) for index in order])
        examples = int(sizes.sum())
        self.history.train_loss.append(float(losses @ sizes / examples))
        self.history.train_accuracy.append(int(self._correct) / examples)
        self.history.learning_rate.append(float(self.rates[self.step - 1]))
        self.history.seconds.append(time.perf_counter() - started)


def batches(
    examples: int | np.ndarray,
    batch: int,
    order_seed: int,
    epoch: int,
    length: np.ndarray | None = None,
) -> list[torch.Tensor]:
    """Return the indices of each batch of an epoch, in a seeded order; every example occurs once.

    Parameters
    ----------
    examples : int or ndarray of int
        Number of examples, or the indices of the examples to use.
    batch : int
        Batch size; one batch may be smaller.
    order_seed, epoch : int
        Seed the order.
    length : ndarray of int, shape (example,), optional
        Length of each text. Batches then hold texts of similar length, cut out of random groups of
        `LENGTH_GROUP` batches [our choice]; otherwise half of the time would go into padding.
    """
    rng = stream(order_seed, "batch order", epoch)
    order = rng.permutation(examples)
    if length is None:
        return list(torch.from_numpy(order).split(batch))
    starts = range(0, len(order), LENGTH_GROUP * batch)
    groups = [order[start : start + LENGTH_GROUP * batch] for start in starts]
    alike = np.concatenate([group[np.argsort(length[group], kind="stable")] for group in groups])
    cut = torch.from_numpy(alike).split(batch)
    return [cut[i] for i in rng.permutation(len(cut))]
