"""Logits of trained models, batch by batch, in float32 and evaluation mode."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import nn

from disobey.data.prepared import Prepared
from disobey.errors import UserError
from disobey.models.registry import build_model
from disobey.stores.layout import SNAPSHOT, WEIGHTS
from disobey.stores.manifest import Manifest
from disobey.training.inputs import Inputs
from disobey.training.weights import for_device, load_weights

BATCH = 512
# Number of batches of texts that are sorted by length together.
SORTED = 16


def trained_model(
    trained: "Manifest",
    data: Prepared,
    device: torch.device,
    inputs: Iterable["Manifest"],
    epoch: int | None = None,
) -> nn.Module:
    """Return the model of a finished run, or its snapshot after ``epoch``, for inference.

    ``inputs`` are the manifests of the job's upstream stores, see `build_model`.
    """
    model = build_model(trained.spec["model"], data, inputs)
    weights = WEIGHTS if epoch is None else SNAPSHOT.format(epoch=epoch)
    load_weights(model, trained.file(f"{trained.id}/{weights}"))
    return for_device(model, device).eval()


@torch.inference_mode()
def predictions(
    model: nn.Module, inputs: Inputs, examples: int, what: str
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield the logits of all examples in order, block by block, each with its slice of rows.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode, on the device of the inputs.
    inputs : Inputs
    examples : int
    what : str
        Description of the examples, for the error message.

    Yields
    ------
    slice, Tensor of float32, shape (batch, class), on the host

    Raises
    ------
    UserError
        If a logit is not finite.
    """
    at_once = BATCH if inputs.length is None else SORTED * BATCH
    for index in torch.arange(examples).split(at_once):
        values = _logits(model, inputs, index)
        if not torch.isfinite(values).all():
            raise UserError(f"a logit of {what} is not finite; the training diverged")
        yield slice(int(index[0]), int(index[-1]) + 1), values


def _logits(model: nn.Module, inputs: Inputs, index: torch.Tensor) -> torch.Tensor:
    """Return the logits of some examples, with texts of similar length in one batch.

    A batch is as wide as its longest text, so that unsorted texts would be mostly padding.
    """
    if inputs.length is None:
        return model(inputs.batch(index)).float().cpu()
    order = torch.from_numpy(np.argsort(inputs.length[index.numpy()], kind="stable"))
    parts = [model(inputs.batch(index[rows])).float().cpu() for rows in order.split(BATCH)]
    return torch.cat(parts)[torch.argsort(order)]
