"""Run a trained model over its data, un-augmented, and store the logits."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from disobey.data.of_job import prepared_data
from disobey.data.prepared import SPLITS, Prepared
from disobey.errors import UserError
from disobey.models.registry import build_model
from disobey.stores.layout import SNAPSHOT, WEIGHTS
from disobey.stores.writer import NetcdfWriter
from disobey.training.device import choose_device
from disobey.training.inputs import Inputs, device_inputs
from disobey.training.weights import for_device, load_weights

if TYPE_CHECKING:
    from disobey.stages.command import Job

BATCH = 512


def run(job: "Job") -> None:
    """Write ``logits(example, class)`` of both splits, float32, no temperature."""
    device = choose_device(job.device, job.take_card)
    torch.set_num_threads(job.threads)
    data = prepared_data(job)
    trained = job.input(job.spec["run"])
    model = build_model(trained.spec["model"], data)
    epoch = job.spec.get("epoch")
    weights = WEIGHTS if epoch is None else SNAPSHOT.format(epoch=epoch)
    load_weights(model, trained.file(f"{trained.id}/{weights}"))
    model = for_device(model, device).eval()
    with job.write(job.store) as path, NetcdfWriter(path, {"run": job.id}) as writer:
        for name in SPLITS:
            inputs = device_inputs(data.split(name), data, device, trained.spec.get("centre"))
            dump_split(writer, name, model, data, inputs, device)


@torch.inference_mode()
def dump_split(
    writer: NetcdfWriter,
    name: str,
    model: nn.Module,
    data: Prepared,
    inputs: Inputs,
    device: torch.device,
) -> None:
    """Write one group, batch by batch: every example once, in the order of the data store.

    Raises
    ------
    UserError
        When a logit is not finite.
    """
    split = data.split(name)
    shape = (len(split), len(data.class_names))
    logits = writer.declare(name, "logits", ("example", "class"), shape, "f4")
    for index in torch.arange(len(split)).split(BATCH):
        values = model(inputs.gather(index.to(device))).float().cpu()
        if not torch.isfinite(values).all():
            raise UserError(f"a logit of the {name} split is not finite; the training diverged")
        logits[index[0] : index[-1] + 1] = values.numpy()
    for column in ("example_id", "label", "clean_label"):
        writer.write(name, column, ("example",), getattr(split, column))
