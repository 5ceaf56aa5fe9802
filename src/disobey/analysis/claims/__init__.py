"""Each claim as one statistic, one null value, one side; never typed-in verdicts.

`registry.findings` holds all claims against all settings of a study; one module per subject, with
its ``CLAIMS`` and ``findings(claim, analyses)``.
"""
