"""Run a trained model over its data, un-augmented, and store the logits."""

import torch

from disobey.data.prepared import prepared_data
from disobey.data.raw import SPLITS
from disobey.job import Job
from disobey.training.device import choose_device, compute_threads
from disobey.training.inputs import device_inputs
from disobey.training.predictions import predictions, trained_model


def run(job: "Job") -> None:
    """Write ``logits(example, class)`` of both splits, float32, no temperature."""
    device = choose_device(job.device, job.take_card)
    data = prepared_data(job)
    torch.set_num_threads(compute_threads(job.threads, data.kind))
    trained = job.input(job.spec["run"])
    model = trained_model(trained, data, device, job.inputs, job.spec.get("epoch"))
    with job.netcdf({"run": job.id}) as writer:
        for name in SPLITS:
            split = data.split(name)
            inputs = device_inputs(split, data, device, trained.spec.get("centre"))
            shape = (len(split), len(data.class_names))
            logits = writer.declare(name, "logits", ("example", "class"), shape, "f4")
            what = f"the {name} split"
            for rows, values in predictions(model, inputs, len(split), what):
                logits[rows] = values.numpy()
            writer.write(name, "class", ("class",), data.class_names)
            for column in ("example_id", "label", "clean_label"):
                writer.write(name, column, ("example",), getattr(split, column))
            if split.seen is not None:
                writer.write(name, "seen", ("example",), split.seen.astype("i1"))
