"""Progress of weights along eigendirections of a layer's input, recorded while training.

c_k(t) = || (W(t) - W(0)) v_k ||, with v_k the k-th eigenvector of the covariance of the layer's
input over the training set. Before batch normalisation the rows of W are scaled to norm 1, since
a filter's length has no effect. || W(t) v_k ||, which the paper plots [v1] and which includes the
initial weights, is recorded too. Only these numbers are kept, not the weights.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from disobey.errors import UserError
from disobey.stores.reader import read_arrays
from disobey.stores.writer import NetcdfWriter
from disobey.training.loop import Tracker
from disobey.training.schedules import logarithmic_steps
from disobey.training.weights import weight_of

POINTS = 120  # recorded steps, logarithmically spaced [our choice]
SHARE = 0.99  # the share of the variance that the default directions reach [our choice]


@dataclass(frozen=True)
class Basis:
    """Eigendirections of one layer's input.

    Attributes
    ----------
    rank : ndarray of int, shape (direction,)
        1 is the direction of largest variance.
    eigenvalue : ndarray, shape (direction,)
        Variance along each direction.
    eigenvector : ndarray, shape (direction, feature)
        Unit vectors.
    mean : ndarray, shape (feature,), or None
        Unit vector of the input's mean, if it is kept apart.
    total_variance : float
    """

    rank: np.ndarray
    eigenvalue: np.ndarray
    eigenvector: np.ndarray
    mean: np.ndarray | None
    total_variance: float


def read_basis(store: Path, layer: str, directions: Sequence[int] | None) -> Basis:
    """Read the directions to track from a basis store.

    Parameters
    ----------
    store : Path
    layer : str
    directions : sequence of int, optional
        Ranks; by default 1, 2, 3, 5, 9, ..., up to the rank that reaches `SHARE` of the variance.

    Raises
    ------
    UserError
        For a direction beyond the rank of the layer's input.
    """
    arrays = read_arrays(store, layer)
    eigenvalue = arrays["eigenvalue"]
    rank = len(eigenvalue)
    ranks = np.array(directions or default_ranks(eigenvalue))
    if ranks.max() > rank:
        raise UserError(
            f"direction {ranks.max()} of layer {layer}: its input has rank {rank}; "
            f"write directions up to {rank}, or leave them out"
        )
    mean = arrays.get("mean_direction")
    vectors = arrays["eigenvector"][ranks - 1]
    return Basis(ranks, eigenvalue[ranks - 1], vectors, mean, float(arrays["total_variance"]))


def default_ranks(eigenvalue: np.ndarray) -> list[int]:
    """Return 1 and 1 + 2^j up to the rank that reaches `SHARE` of the variance, at least 2."""
    held = np.cumsum(eigenvalue) / eigenvalue.sum()
    last = max(2, int(np.searchsorted(held, SHARE)) + 1)
    ranks = [1, *(1 + 2**j for j in range(last.bit_length()))]
    return [rank for rank in ranks if rank <= min(last, len(eigenvalue))]


@dataclass
class Record:
    """The record of one layer: a row for each recorded step."""

    progress: list[list[float]] = field(default_factory=list)
    mean_progress: list[float] = field(default_factory=list)
    norm: list[list[float]] = field(default_factory=list)


class TrackedLayer:
    """Records the change of one layer's weights since initialisation.

    Parameters
    ----------
    weight : nn.Parameter
        The first axis is the unit; the other axes are the input's features.
    basis : Basis
    unit_norm : bool
        True if the rows are filters before batch normalisation.
    """

    def __init__(self, weight: nn.Parameter, basis: Basis, *, unit_norm: bool) -> None:
        self.weight, self.basis, self.unit_norm = weight, basis, unit_norm
        vectors = basis.eigenvector
        if basis.mean is not None:
            vectors = np.vstack([vectors, basis.mean])
        self._vectors = torch.tensor(vectors.T, dtype=torch.float64, device=weight.device)
        self._start = self._rows()
        self.norm_start = self._norm(self._start)
        raw = weight.detach().cpu().contiguous().numpy().tobytes()
        self.initialisation = hashlib.sha256(raw).hexdigest()
        self.record = Record()

    def measure(self) -> None:
        """Append c_k and || W v_k || of the current weights to the record."""
        rows = self._rows()
        progress = ((rows - self._start) @ self._vectors).norm(dim=0).tolist()
        ranks = len(self.basis.rank)
        self.record.progress.append(progress[:ranks])
        self.record.mean_progress += progress[ranks:] or [float("nan")]
        self.record.norm.append(self._norm(rows))

    def _norm(self, rows: torch.Tensor) -> list[float]:
        along: list[float] = (rows @ self._vectors[:, : len(self.basis.rank)]).norm(dim=0).tolist()
        return along

    def _rows(self) -> torch.Tensor:
        rows = self.weight.detach().flatten(1).double()
        return nn.functional.normalize(rows, dim=1) if self.unit_norm else rows.clone()


class LayerTracker(Tracker):
    """The tracked layers of one training.

    Parameters
    ----------
    layers : dict of str to TrackedLayer
        Must be made before the first step.
    steps : int
        Number of steps of the training.
    basis : str
        Id of the basis store.
    """

    def __init__(self, layers: Mapping[str, TrackedLayer], steps: int, basis: str) -> None:
        self.layers, self.basis = layers, basis
        self.steps = logarithmic_steps(steps, POINTS)
        self._wanted = set(self.steps.tolist())

    def after_step(self, step: int) -> None:
        """Record if ``step``, the number of steps done, is one of the points."""
        if step in self._wanted:
            for layer in self.layers.values():
                layer.measure()

    def state(self) -> dict[str, Any]:
        """Return the records; the initial weights are not saved, since the seed determines them."""
        return {name: vars(layer.record) for name, layer in self.layers.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved `state`."""
        for name, layer in self.layers.items():
            layer.record = Record(**state[name])

    def write(self, writer: NetcdfWriter) -> None:
        """Write the group ``progress``, with one group per layer in it."""
        writer.annotate("progress", basis=self.basis)
        for name, layer in self.layers.items():
            group, basis = f"progress/{name}", layer.basis
            writer.write(group, "step", ("point",), self.steps)
            writer.write(group, "progress", ("point", "direction"), layer.record.progress)
            writer.write(group, "mean_progress", ("point",), layer.record.mean_progress)
            writer.write(group, "norm", ("point", "direction"), layer.record.norm)
            writer.write(group, "norm_start", ("direction",), layer.norm_start)
            writer.write(group, "rank", ("direction",), basis.rank)
            writer.write(group, "eigenvalue", ("direction",), basis.eigenvalue)
            writer.annotate(
                group,
                initialisation=layer.initialisation,
                unit_norm=int(layer.unit_norm),
                total_variance=basis.total_variance,
            )


def make_tracker(
    model: nn.Module, spec: Mapping[str, Any], store: Path, steps: int
) -> LayerTracker:
    """Return the tracker that a run's spec requests.

    Parameters
    ----------
    model : nn.Module
        The model with its initial weights.
    spec : mapping
        ``basis``, ``layers`` (name to ``unit_norm`` or nothing) and, if given, ``directions``.
    store : Path
        The basis store.
    steps : int

    Raises
    ------
    UserError
        If a layer does not exist, has no weight matrix, or its input does not fit the basis.
    """
    layers = {
        name: TrackedLayer(
            weight_of(model, name),
            read_basis(store, name, spec.get("directions")),
            unit_norm=bool(how.get("unit_norm")),
        )
        for name, how in spec["layers"].items()
    }
    return LayerTracker(layers, steps, spec["basis"])
