"""One module per table, each with ``table(study, analyses)``."""
