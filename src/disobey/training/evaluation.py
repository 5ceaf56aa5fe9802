"""Accuracy during a training, in evaluation mode, without saving weights.

At logarithmically spaced steps the model classifies fixed training examples, unaugmented, and fixed
test examples. The training is unaffected: weights, running statistics and random numbers stay the
same.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from disobey.data.prepared import Prepared
from disobey.data.raw import SPLITS
from disobey.seeds import stream
from disobey.stores.writer import NetcdfWriter
from disobey.training.inputs import Inputs, device_inputs
from disobey.training.loop import Tracker
from disobey.training.predictions import predictions
from disobey.training.schedules import logarithmic_steps


class Chosen:
    """Up to ``most`` randomly chosen examples of a split.

    Every training on the same data has the same examples, so that the curves of two models differ
    by the models alone.

    Parameters
    ----------
    inputs : Inputs
        Inputs of the whole split.
    label : ndarray of int64, shape (example,)
        The given labels of the whole split.
    most : int
        Maximum number of chosen examples.
    name : str
        The split's name, which seeds the draw.
    seen : ndarray of bool, shape (example,), optional
        Mask of the examples to choose from, if the model is trained on a share of them.
    """

    def __init__(
        self,
        inputs: Inputs,
        label: np.ndarray,
        most: int,
        name: str,
        seen: np.ndarray | None = None,
    ) -> None:
        drawn = stream(0, f"evaluated examples of {name}").permutation(len(label))
        if seen is not None:
            drawn = drawn[seen[drawn]]
        index = np.sort(drawn[:most])
        self.label, self.name = torch.from_numpy(label[index]), name
        self.length = None if inputs.length is None else inputs.length[index]
        self._inputs, self._index = inputs, torch.from_numpy(index)

    def batch(self, index: torch.Tensor) -> torch.Tensor:
        """Return the model's input for the chosen examples at ``index`` (batch,)."""
        return self._inputs.batch(self._index[index])

    def accuracy(self, model: nn.Module, step: int) -> float:
        """Return the accuracy of a model in evaluation mode on the chosen examples.

        Raises
        ------
        UserError
            If a logit is not finite.
        """
        what = f"the {self.name} split after step {step}"
        right = 0
        for rows, logits in predictions(model, self, len(self.label), what):
            right += int((logits.argmax(1) == self.label[rows]).sum())
        return right / len(self.label)


class Evaluation(Tracker):
    """Records accuracies of a training, and runs another tracker of it.

    Parameters
    ----------
    model : nn.Module
        The model in training.
    splits : mapping of str to Chosen
        ``train`` and ``test``.
    points, steps : int
        Number of requested points, and of steps of the training.
    beside : Tracker
        The other tracker, which is called first.
    """

    def __init__(
        self, model: nn.Module, splits: Mapping[str, Chosen], points: int, steps: int,
        beside: Tracker,
    ) -> None:  # fmt: skip
        self.model, self.splits, self.beside = model, splits, beside
        self.steps = logarithmic_steps(steps, points)
        self._wanted = set(self.steps.tolist())
        self.accuracy: dict[str, list[float]] = {name: [] for name in splits}

    def after_step(self, step: int) -> None:
        """Evaluate the model if ``step``, the number of steps done, is one of the points."""
        self.beside.after_step(step)
        if step not in self._wanted:
            return
        self.model.eval()
        for name, chosen in self.splits.items():
            self.accuracy[name].append(chosen.accuracy(self.model, step))
        self.model.train()

    def state(self) -> dict[str, Any]:
        """Return the state for a resumed training."""
        return {"accuracy": self.accuracy, "beside": self.beside.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved `state`."""
        self.accuracy = {name: list(values) for name, values in state["accuracy"].items()}
        self.beside.restore(state["beside"])

    def write(self, writer: NetcdfWriter) -> None:
        """Write the group ``evaluate`` and the other tracker's group."""
        self.beside.write(writer)
        writer.write("evaluate", "step", ("point",), self.steps)
        for name, values in self.accuracy.items():
            writer.write("evaluate", f"{name}_accuracy", ("point",), values)
        counts = {f"{name}_examples": len(chosen.label) for name, chosen in self.splits.items()}
        writer.annotate("evaluate", **counts)


def make_evaluation(
    spec: Mapping[str, Any],
    data: Prepared,
    device: torch.device,
    model: nn.Module,
    track: Callable[[int], Tracker] | None,
) -> Callable[[int], Tracker]:
    """Return a function that makes a run's `Evaluation` from the number of steps.

    Parameters
    ----------
    spec : mapping
        The recipe's ``evaluate`` has ``points`` and ``examples``.
    data : Prepared
    device : torch.device
    model : nn.Module
    track : callable, optional
        Makes the other tracker from the number of steps.
    """
    how = spec["recipe"]["evaluate"]
    splits = {}
    for name in SPLITS:
        split = data.split(name)
        inputs = device_inputs(split, data, device, spec.get("centre"))
        splits[name] = Chosen(inputs, split.label, how["examples"], name, split.seen)

    def tracker(steps: int) -> Evaluation:
        beside = Tracker() if track is None else track(steps)
        return Evaluation(model, splits, how["points"], steps, beside)

    return tracker
