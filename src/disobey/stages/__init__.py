"""One thin command per rule of the workflow, each with ``run(job)``."""
