"""Claims: each is a statistic, a null value and a side, from which verdicts are computed.

`registry.findings` holds all claims against all settings of a study; one module per subject, with
its ``CLAIMS`` and ``findings(claim, analyses)``.
"""
