"""Eigendirections of a layer's input: eigenvectors of its covariance over the training set.

The input of a linear layer is a vector, that of a convolution the patches under its kernel. If
the input is the data itself, normalisation has subtracted its mean. The output of another layer
has a large mean (such as after a ReLU): its mean direction is kept apart, and the eigendirections
are orthogonal to it [our choice]. The directions of uncentred data are those of the plain
covariance: the mean is subtracted, but its direction is not removed.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from disobey.errors import UserError
from disobey.training.inputs import Inputs
from disobey.training.weights import weight_of

BATCH = 512
# Eigenvalues below this share of the largest are rounding errors, not directions of the input.
RANK_TOLERANCE = 1e-9
# The mean direction is kept apart if the squared mean exceeds this share of the total variance.
CENTRED = 1e-6


@dataclass(frozen=True)
class Eigenbasis:
    """Eigenvectors of one layer's input, largest variance first.

    Attributes
    ----------
    eigenvalue : Tensor of float64, shape (rank,)
    eigenvector : Tensor of float64, shape (rank, feature)
    mean : Tensor of float64, shape (feature,)
        The input's mean.
    mean_direction : Tensor or None
        Unit vector of the mean, if it is kept apart.
    """

    eigenvalue: torch.Tensor
    eigenvector: torch.Tensor
    mean: torch.Tensor
    mean_direction: torch.Tensor | None


class Moments:
    """Mean and covariance of rows, accumulated block by block.

    Rows are shifted by the first block's mean to avoid cancellation in sums of squares. While
    there are fewer rows than features, the rows themselves are kept: their covariance has at most
    as many directions as rows, and decomposing it for thousands of features would take minutes.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._few: list[torch.Tensor] | None = []
        self._shift = torch.zeros(())
        self._sum = torch.zeros(())
        self._squares = torch.zeros(())

    def add(self, rows: torch.Tensor) -> None:
        """Add a block of rows, (row, feature)."""
        rows = rows.double()
        self.rows += len(rows)
        if self._few is None:
            self._accumulate(rows)
            return
        self._few.append(rows)
        if self.rows >= rows.shape[1]:
            blocks, self._few = self._few, None
            self._shift = blocks[0].mean(0)
            self._sum = torch.zeros_like(self._shift)
            self._squares = rows.new_zeros(rows.shape[1], rows.shape[1])
            for block in blocks:
                self._accumulate(block)

    def _accumulate(self, rows: torch.Tensor) -> None:
        rows = rows - self._shift
        self._sum += rows.sum(0)
        self._squares.addmm_(rows.T, rows)

    def covariance(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean (feature,) and covariance (feature, feature)."""
        if self._few is not None:
            mean, centred = self._centred()
            return mean, centred.T @ centred / self.rows
        mean = self._sum / self.rows
        return self._shift + mean, self._squares / self.rows - torch.outer(mean, mean)

    def variance(self) -> float:
        """Return the trace of the covariance."""
        if self._few is not None:
            return float(self._centred()[1].square().sum() / self.rows)
        return float(self.covariance()[1].trace())

    def eigenbasis(self, *, mean_apart: bool = True) -> Eigenbasis:
        """Return the eigendirections of the rows; see `eigenbasis`."""
        if self._few is None:
            return eigenbasis(*self.covariance(), mean_apart=mean_apart)
        mean, centred = self._centred()
        direction = _apart(mean, self.variance()) if mean_apart else None
        if direction is not None:
            centred = centred - torch.outer(centred @ direction, direction)
        _check_variance(self.variance())
        _, lengths, vectors = torch.linalg.svd(centred, full_matrices=False)
        return _kept(lengths.square() / self.rows, vectors, mean, direction)

    def _centred(self) -> tuple[torch.Tensor, torch.Tensor]:
        if not self._few:
            raise UserError("the layer was never called: it takes no part in the model")
        rows = torch.cat(self._few)
        mean = rows.mean(0)
        return mean, rows - mean


def eigenbasis(
    mean: torch.Tensor, covariance: torch.Tensor, *, mean_apart: bool = True
) -> Eigenbasis:
    """Return the eigendirections of a layer's input.

    Parameters
    ----------
    mean : Tensor, shape (feature,)
    covariance : Tensor, shape (feature, feature)
    mean_apart : bool
        True if the direction of a nonzero mean is removed from the covariance and kept apart.

    Raises
    ------
    UserError
        If the input does not vary, or is not finite.
    """
    _check_variance(float(covariance.trace()))
    direction = _apart(mean, float(covariance.trace())) if mean_apart else None
    if direction is not None:
        along = covariance @ direction
        covariance = covariance - torch.outer(direction, along) - torch.outer(along, direction)
        covariance += (direction @ along) * torch.outer(direction, direction)
    values, vectors = torch.linalg.eigh(covariance)
    return _kept(values.flip(0), vectors.T.flip(0), mean, direction)


def _check_variance(variance: float) -> None:
    if not math.isfinite(variance) or variance <= 0:
        raise UserError(f"the layer's input has variance {variance:g}; nothing to decompose")


def _apart(mean: torch.Tensor, variance: float) -> torch.Tensor | None:
    """Return the unit vector of the mean if it is large enough to be kept apart, else None."""
    return mean / mean.norm() if float(mean @ mean) > CENTRED * variance else None


def _kept(
    values: torch.Tensor, vectors: torch.Tensor, mean: torch.Tensor, direction: torch.Tensor | None
) -> Eigenbasis:
    """Drop the directions along which the input does not vary."""
    kept = values > RANK_TOLERANCE * values[0]
    return Eigenbasis(values[kept], vectors[kept], mean, direction)


@torch.inference_mode()
def layer_moments(
    model: nn.Module, layers: Sequence[str], inputs: Inputs, examples: int, pad: int | None = None
) -> dict[str, Moments]:
    """Run the model on all examples and return the moments of each layer's input.

    Parameters
    ----------
    model : nn.Module
        In eval mode.
    layers : sequence of str
    inputs : Inputs
        The training examples.
    examples : int
    pad : int, optional
        The padding token of texts.
    """
    moments = {layer: Moments() for layer in layers}
    modules = dict(model.named_modules())
    kept: list[torch.Tensor] = []
    hooks = []
    for layer in layers:
        weight_of(model, layer)

        def collect(module: nn.Module, given: tuple[torch.Tensor, ...], layer: str = layer) -> None:
            for rows in input_rows(module, given[0], kept):
                moments[layer].add(rows)

        hooks.append(modules[layer].register_forward_pre_hook(collect))
    for index in torch.arange(examples).split(BATCH):
        batch = inputs.batch(index)
        kept[:] = [] if pad is None else [batch != pad]
        model(batch)
    for hook in hooks:
        hook.remove()
    return moments


def input_rows(
    module: nn.Module, given: torch.Tensor, kept: Sequence[torch.Tensor]
) -> Iterator[torch.Tensor]:
    """Yield the vectors by which the layer's weights are multiplied, shape (row, feature).

    Parameters
    ----------
    module : nn.Module
        A linear layer or a convolution.
    given : Tensor
        Its input.
    kept : sequence of Tensor
        For texts, a mask of shape (batch, token), True for tokens that are not padding.
    """
    if isinstance(module, nn.Conv2d):
        assert not isinstance(module.padding, str)  # these models do not use "same"
        # In pieces, since the patches take as many times the batch's memory as a kernel has pixels.
        for piece in given.split(64):
            patches = nn.functional.unfold(
                piece, module.kernel_size, module.dilation, module.padding, module.stride
            )
            yield patches.transpose(1, 2).reshape(-1, patches.shape[1])
    elif given.dim() == 3 and kept:
        yield given[kept[0]]
    else:
        yield given.reshape(-1, given.shape[-1])
