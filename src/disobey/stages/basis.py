"""Find the eigendirections of a layer's input: the axes along which progress is measured."""

import torch

from disobey.data.prepared import prepared_data
from disobey.job import Job
from disobey.models.registry import build_model
from disobey.stores.layout import WEIGHTS
from disobey.stores.writer import NetcdfWriter
from disobey.training.device import choose_device
from disobey.training.eigenbasis import Eigenbasis, layer_moments
from disobey.training.inputs import device_inputs
from disobey.training.weights import for_device, load_weights


def run(job: "Job") -> None:
    """Write one group per layer: eigenvalues, eigenvectors and mean of its input."""
    spec, device = job.spec, choose_device(job.device, job.take_card)
    torch.set_num_threads(job.threads)
    data = prepared_data(job)
    model = build_model(spec["model"], data, job.inputs)
    if "run" in spec:
        trained = job.input(spec["run"])
        load_weights(model, trained.file(f"{trained.id}/{WEIGHTS}"))
    model = for_device(model, device).eval()
    inputs = device_inputs(data.train, data, device, spec.get("centre"))
    pad = int(data.attributes["pad"]) if data.kind == "text" else None
    moments = layer_moments(model, spec["layers"], inputs, len(data.train), pad)
    with job.netcdf({"data": spec["data"]}) as writer:
        for layer, gathered in moments.items():
            basis = gathered.eigenbasis(mean_apart=layer not in spec.get("mean_included", ()))
            write_basis(writer, layer, basis, gathered.variance())


def write_basis(writer: NetcdfWriter, layer: str, basis: Eigenbasis, variance: float) -> None:
    """Write one group."""
    columns: dict[str, tuple[tuple[str, ...], torch.Tensor]] = {
        "rank": (("rank",), torch.arange(1, len(basis.eigenvalue) + 1)),
        "eigenvalue": (("rank",), basis.eigenvalue),
        "eigenvector": (("rank", "feature"), basis.eigenvector),
        "mean": (("feature",), basis.mean),
    }
    if basis.mean_direction is not None:
        columns["mean_direction"] = (("feature",), basis.mean_direction)
    for name, (dims, values) in columns.items():
        writer.write(layer, name, dims, values.cpu().numpy())
    writer.write(layer, "total_variance", (), variance)
