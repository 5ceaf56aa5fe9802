"""The data of a run: what its spec names, read from the stores that its job was given."""

from typing import TYPE_CHECKING

from disobey.data.prepared import Prepared, read_prepared

if TYPE_CHECKING:
    from disobey.job import Job


def prepared_data(job: "Job") -> Prepared:
    """Read the data store of a job's spec and, where it names one, the label store."""
    labels = job.spec.get("labels")
    return read_prepared(
        job.input(job.spec["data"]).file(), None if labels is None else job.input(labels).file()
    )
