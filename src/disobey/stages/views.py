"""Run a trained teacher over ten views of every training image, and store the logits."""

from typing import Any

import torch
from torch import nn

from disobey.data.prepared import prepared_data
from disobey.data.views import slabs_of
from disobey.job import Job
from disobey.stores.reader import BITS_OF, HALF, half_bits
from disobey.training.device import choose_device, compute_threads
from disobey.training.inputs import Augmented, augmented_inputs
from disobey.training.predictions import predictions, trained_model


def run(job: "Job") -> None:
    """Write ``logits(slab, example, class)``, without temperature, and the ``view`` of each row.

    A slab is the set of views that a student sees in one epoch.
    """
    spec, device = job.spec, choose_device(job.device, job.take_card)
    data = prepared_data(job)
    torch.set_num_threads(compute_threads(job.threads, data.kind))
    trained = job.input(spec["run"])
    model = trained_model(trained, data, device, job.inputs)
    centre = trained.spec.get("centre")
    slabs = slabs_of(spec["augment"], spec["block"])
    shown = (centre, spec["augment"], spec["draw"], slabs.stop)
    inputs = augmented_inputs(data, device, *shown)
    shape = (len(slabs), len(data.train), len(data.class_names))
    half = spec.get("dtype") == "float16"
    with job.netcdf({"run": spec["run"]}) as writer:
        dims, dtype = ("slab", "example", "class"), "u2" if half else "f4"
        about = {BITS_OF: HALF} if half else {}
        logits = writer.declare("/", "logits", dims, shape, dtype, **about)
        for position, slab in enumerate(slabs):
            write_slab(logits, position, slab, model, inputs, half=half)
        writer.write("/", "view", ("slab", "example"), inputs.shown.views[slabs.start :])
        writer.write("/", "class", ("class",), data.class_names)
        writer.write("/", "example_id", ("example",), data.train.example_id)


def write_slab(
    logits: Any,
    position: int,
    slab: int,
    model: nn.Module,
    inputs: Augmented,
    *,
    half: bool = False,
) -> None:
    """Fill one position of ``logits`` with the model's output for a slab, batch by batch."""
    inputs.show(slab)
    examples, what = logits.shape[1], f"slab {slab} of the training images"
    for rows, values in predictions(model, inputs, examples, what):
        array = values.numpy()
        logits[position, rows] = half_bits(array) if half else array
