"""Write one table over all settings of a study, as CSV."""

import importlib
from typing import TYPE_CHECKING

from disobey.analysis.store import read_analyses
from disobey.members import member

if TYPE_CHECKING:
    from disobey.job import Job

# Enough digits to recompute a verdict from, few enough to read.
FLOAT_FORMAT = "%.9g"


def run(job: "Job") -> None:
    """Build the table that the spec names."""
    spec = job.spec
    analyses = read_analyses(job.inputs, spec["settings"], spec.get("paper"))
    module = importlib.import_module(member("analysis.tables", spec["table"]))
    with job.write(job.store) as path:
        module.table(spec["study"], analyses).to_csv(path, index=False, float_format=FLOAT_FORMAT)
