"""Faster training steps: torch.compile, or a step as one CUDA graph.

The duration of a small network's step is the time in which the host launches some hundred kernels
one by one. A CUDA graph replays them in one launch. It holds the kernels that compute the
gradients: gather, forward pass, loss, backward pass. The optimizer is one fused kernel and stays
outside with its learning rate, so numbers and saved states equal those of
`disobey.training.loop.Training`. The weight of distillation is a constant of the graph; when it
changes, another graph is captured.

See https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from disobey.errors import UserError
from disobey.training.loop import Training
from disobey.training.schedules import distillation_weights


def compiled_forward(
    model: nn.Module, batch: int, *, varying: bool
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a compiled function from inputs to logits.

    The model itself is unchanged, so its weights are saved under their own names.

    Parameters
    ----------
    model : nn.Module
    batch : int
        Number of examples in a full batch. A smaller last batch of an epoch is run by the plain
        model, since another compilation would cost more than it saves.
    varying : bool
        True if inputs differ in length, as texts do; one compilation then serves all lengths.
    """
    compiled = torch.compile(model, dynamic=varying)

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = compiled(inputs) if len(inputs) == batch else model(inputs)
        return logits

    return forward


# Steps before the capture, in which libraries choose and load their kernels [PyTorch's number].
WARM_UP = 3
Found = tuple[torch.Tensor, torch.Tensor]


class GraphedTraining(Training):
    """A training whose steps are replays of a CUDA graph.

    Steps that differ from the captured one run as in `Training`: the last batch of an epoch, if it
    is smaller, and steps in which the weight of distillation changes gradually.

    Parameters
    ----------
    distill : mapping
        ``distill`` of a run's spec; empty without a teacher.
    *rest, **named
        The parameters of `Training`.
    capture : callable, optional
        Replaces `captured`.
    """

    def __init__(
        self,
        distill: Mapping[str, Any],
        *rest: Any,
        capture: Callable[[Callable[[], Found]], tuple[Found, Callable[[], None]]] | None = None,
        **named: Any,
    ) -> None:
        super().__init__(*rest, **named)
        self._capture = capture or captured
        self._weights = distillation_weights(distill, self.rates)
        self._index = torch.zeros(self.recipe["batch"], dtype=torch.int64, device=self.device)
        self._weight, self._alike = np.nan, 0  # weight of the last steps, and their number
        # The graph's results, the function that replays it, and the gradients that it fills.
        self._graph: tuple[Found, Callable[[], None], list[torch.Tensor | None]] | None = None

    def _gradients(self, index: torch.Tensor) -> Found:
        if len(index) != len(self._index):
            return super()._gradients(index)
        if self._weights[self.step] != self._weight:
            self._weight, self._alike = self._weights[self.step], 0
            self._graph = None  # frees its memory
        self._alike += 1
        if self._alike <= WARM_UP:
            return super()._gradients(index)
        self._index.copy_(index, non_blocking=True)
        if self._graph is None:
            captured = self._capture(partial(super()._gradients, self._index))
            gradients = [parameter.grad for parameter in self.model.parameters()]
            self._graph = (*captured, gradients)
        found, replay, gradients = self._graph
        replay()
        # The graph writes to the tensors of its capture; make the optimizer read these.
        for parameter, gradient in zip(self.model.parameters(), gradients, strict=True):
            parameter.grad = gradient
        return found


def captured(work: Callable[[], Found]) -> tuple[Found, Callable[[], None]]:
    """Capture the GPU kernels of ``work`` as a CUDA graph, without running them.

    Returns
    -------
    tuple
        The tensors that ``work`` returned, and a function that replays the graph, which fills them.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = work()
    return found, graph.replay


def graphed_training(
    spec: Mapping[str, Any], device: torch.device, kind: Callable[..., Training]
) -> Callable[..., Training]:
    """Return a constructor of `GraphedTraining`, or `Training` on the CPU, which has no graphs.

    Raises
    ------
    UserError
        If several processes train together.
    """
    if kind is not Training:
        raise UserError("cuda_graph: true needs a training on one GPU; write gpus: 1")
    if device.type != "cuda":
        print("cuda_graph: true has no effect on the CPU", file=sys.stderr)
        return Training
    return partial(GraphedTraining, spec.get("distill", {}))
