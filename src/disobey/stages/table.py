"""Write one table over all settings of a study, as CSV."""

from disobey.analysis.store import read_analyses
from disobey.analysis.tables import TABLES
from disobey.job import Job

# Enough digits to recompute a verdict from, few enough to read.
FLOAT_FORMAT = "%.9g"


def run(job: "Job") -> None:
    """Build the table that the spec names."""
    spec = job.spec
    analyses = read_analyses(job.inputs, spec["settings"], spec.get("paper"))
    make = TABLES[spec["table"]].make
    with job.write(job.store) as path:
        make(spec["study"], analyses).to_csv(path, index=False, float_format=FLOAT_FORMAT)
