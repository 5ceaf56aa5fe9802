"""The data of a run: what its spec names, read from the stores that its job was given."""

from typing import TYPE_CHECKING

from disobey.data.prepared import ENCODED, SPLITS, Prepared, read_prepared

if TYPE_CHECKING:
    from disobey.job import Job


def prepared_data(job: "Job") -> Prepared:
    """Read the data store of a job's spec and, where it names one, the label store.

    Images that are decoded batch by batch are decoded by as many threads as the job may use.
    """
    labels = job.spec.get("labels")
    data = read_prepared(
        job.input(job.spec["data"]).file(), None if labels is None else job.input(labels).file()
    )
    if data.kind == ENCODED:
        for name in SPLITS:
            data.split(name).inputs.threads = job.threads
    return data
