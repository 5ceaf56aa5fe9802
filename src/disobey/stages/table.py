"""Write one table over all settings of a study, as CSV."""

from disobey.analysis.store import read_analyses
from disobey.analysis.tables import in_parts
from disobey.job import Job
from disobey.numbers import FLOAT_FORMAT


def run(job: "Job") -> None:
    """Build the table that the spec names."""
    spec = job.spec
    analyses = read_analyses(job.inputs, spec["settings"], spec.get("paper"), plots=False)
    with job.write(job.store) as path, open(path, "w", encoding="utf-8", newline="") as stream:
        for i, part in enumerate(in_parts(spec["table"], spec["study"], analyses)):
            part.to_csv(stream, index=False, header=i == 0, float_format=FLOAT_FORMAT)
