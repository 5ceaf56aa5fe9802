"""Draw noisy training labels: a small store beside the data, not a second copy of it."""

from disobey.data.label_noise import noisy_labels
from disobey.data.prepared import read_prepared
from disobey.job import Job


def run(job: "Job") -> None:
    """Write the training labels with the noise that the spec describes."""
    prepared = read_prepared(job.input(job.spec["data"]).file(), None)
    noise = job.spec["label_noise"]
    label = noisy_labels(
        prepared.train.clean_label, len(prepared.class_names), noise["rate"], noise["seed"]
    )
    with job.netcdf() as writer:
        writer.write("train", "label", ("example",), label)
        writer.write("train", "example_id", ("example",), prepared.train.example_id)
