"""Draw noisy labels, and the examples that students see: a small store beside the data."""

import numpy as np

from disobey.data.label_noise import noisy_labels, seen_share
from disobey.data.prepared import read_prepared
from disobey.errors import UserError
from disobey.job import Job


def run(job: "Job") -> None:
    """Write the training labels with the noise, and the share of examples, of the spec.

    Raises
    ------
    UserError
        If the share leaves out a class.
    """
    prepared = read_prepared(job.input(job.spec["data"]).file(), None)
    label, names = prepared.train.clean_label, prepared.class_names
    noise, share = job.spec.get("label_noise"), job.spec.get("student_share")
    if noise is not None:
        label = noisy_labels(label, len(names), noise["rate"], noise["seed"])
    seen = None if share is None else seen_share(label, share)
    if seen is not None:
        given, kept = (np.bincount(of, minlength=len(names)) for of in (label, label[seen]))
        for left_out in np.flatnonzero((given > 0) & (kept == 0)):
            least = 1 / given[left_out]
            raise UserError(
                f"student_share: {share:g} leaves out class '{names[left_out]}', which has "
                f"{given[left_out]} training examples; write {np.ceil(100 * least) / 100:g} or more"
            )
    with job.netcdf() as writer:
        writer.write("train", "label", ("example",), label)
        writer.write("train", "example_id", ("example",), prepared.train.example_id)
        if seen is not None:
            writer.write("train", "seen", ("example",), seen.astype(np.int8))
