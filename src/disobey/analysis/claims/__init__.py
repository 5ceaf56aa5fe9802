"""Claims: each has a statistic, a null value and a side, from which verdicts are computed.

`registry.findings` evaluates all claims in all settings of a study. There is one module per
subject, with its ``CLAIMS`` and ``findings(claim, analyses)``.
"""
