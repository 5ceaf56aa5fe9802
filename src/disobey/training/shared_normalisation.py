"""Batch normalisation over a batch that several processes share.

Each would otherwise normalise by its own share's statistics, which is another recipe. The same code
serves CPUs and GPUs; torch's `SyncBatchNorm` is of GPUs alone.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

if TYPE_CHECKING:
    from disobey.training.ranks import Ranks


def share_sizes(examples: int, ranks: int) -> list[int]:
    """Return how many examples of a batch each rank gets: equal numbers, or one more at first."""
    least, more = divmod(examples, ranks)
    return [least + (rank < more) for rank in range(ranks)]


class Shares:
    """How the batch of the step under way is shared out.

    A rank for which nothing is left of a small last batch takes the batch's first example all the
    same, with weight zero: it must take part in what all ranks do together, and no layer need know
    of empty batches.

    Parameters
    ----------
    ranks : Ranks

    Attributes
    ----------
    sizes : list of int
        How many examples of the batch each rank has.
    """

    def __init__(self, ranks: "Ranks") -> None:
        self.ranks, self.sizes = ranks, [1] * ranks.count
        self._weights: dict[tuple[Any, ...], torch.Tensor] = {}

    def cut(self, index: torch.Tensor) -> torch.Tensor:
        """Return this rank's share of a batch's ``index``."""
        self.sizes = share_sizes(len(index), self.ranks.count)
        share = index.split(self.sizes)[self.ranks.rank]
        return share if self.real else index[:1]

    @property
    def whole(self) -> int:
        """How many examples the batch has."""
        return sum(self.sizes)

    def weights(self, like: torch.Tensor) -> torch.Tensor:
        """Return the share of each rank in the batch, (rank, 1), in the type of ``like``.

        On its device: copied there once for each way to share a batch, not by each layer.
        """
        key = (*self.sizes, like.device, like.dtype)
        if key not in self._weights:
            self._weights[key] = like.new_tensor(self.sizes)[:, None] / self.whole
        return self._weights[key]

    @property
    def real(self) -> bool:
        """Whether what this rank computes counts."""
        return self.sizes[self.ranks.rank] > 0

    @property
    def weight(self) -> float:
        """The share of this rank's mean in the mean over the batch."""
        return self.sizes[self.ranks.rank] / self.whole


def share_statistics(model: nn.Module, shares: Shares) -> None:
    """Let every batch normalisation of a model, in training, see the whole batch.

    Weights and buffers stay those of the model, under their own names.
    """
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.forward = partial(shared_batch_norm, module, shares)  # type: ignore[method-assign]


def shared_batch_norm(module: _BatchNorm, shares: Shares, inputs: torch.Tensor) -> torch.Tensor:
    """Return a share normalised by the batch's mean and variance, and update the running ones.

    The variance is that of all examples, out of each share's mean and variance (Chan, Golub,
    LeVeque 1979), so that it does not suffer from a large mean.

    Parameters
    ----------
    module : BatchNorm1d, BatchNorm2d or BatchNorm3d
        With weight, bias and running statistics; in evaluation these normalise, as in one process.
    shares : Shares
    inputs : Tensor, shape (example of the share, channel, ...)

    Raises
    ------
    ValueError
        Where the whole batch has one value a channel, as torch does.
    """
    if not module.training:
        return type(module).forward(module, inputs)
    count = shares.whole * inputs[0, 0].numel()
    if count < 2:
        raise ValueError("batch normalisation in training needs more than one value per channel")
    with torch.no_grad():
        dims = [dim for dim in range(inputs.dim()) if dim != 1]
        own = torch.var_mean(inputs.to(module.weight.dtype), dims, correction=0)
        variances, means = shares.ranks.gathered(torch.stack(own)).unbind(1)
        weight = shares.weights(means)
        mean = (weight * means).sum(0)
        variance = (weight * (variances + (means - mean) ** 2)).sum(0)
        assert module.running_mean is not None and module.running_var is not None
        assert module.num_batches_tracked is not None and module.momentum is not None
        module.running_mean.lerp_(mean, module.momentum)
        module.running_var.lerp_(variance * (count / (count - 1)), module.momentum)
        module.num_batches_tracked += 1
    normalised: torch.Tensor = _Normalise.apply(
        inputs, module.weight, module.bias, mean, variance, module.eps, shares
    )
    return normalised


class _Normalise(torch.autograd.Function):
    """y = weight (x - mean) / sqrt(variance + eps) + bias, whose mean and variance depend on x.

    The gradient with respect to x needs two sums over the whole batch (Ioffe and Szegedy 2015,
    section 3); those with respect to weight and bias are of the share, as other parameters' are.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own
        inputs: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        mean: torch.Tensor,
        variance: torch.Tensor,
        eps: float,
        shares: Shares,
    ) -> torch.Tensor:
        ctx.save_for_backward(inputs, weight, mean, (variance + eps).rsqrt())
        ctx.shares, ctx.count, ctx.real = shares, shares.whole * inputs[0, 0].numel(), shares.real
        return functional.batch_norm(inputs, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401
        inputs, weight, mean, scale = ctx.saved_tensors
        dims = [dim for dim in range(inputs.dim()) if dim != 1]
        along = (1, -1, *(1 for _ in dims[1:]))
        gradient = gradients[0].to(weight.dtype)
        standard = (inputs.to(weight.dtype) - mean.view(along)) * scale.view(along)
        of_bias, of_weight = gradient.sum(dims), (gradient * standard).sum(dims)
        sums = ctx.shares.ranks.summed(torch.stack([of_bias, of_weight])) / ctx.count
        centred = gradient - sums[0].view(along) - standard * sums[1].view(along)
        # An example of weight zero is in none of the statistics: nothing depends on it.
        of_inputs = ctx.real * (weight * scale).view(along) * centred
        return of_inputs.to(inputs.dtype), of_weight, of_bias, None, None, None, None
