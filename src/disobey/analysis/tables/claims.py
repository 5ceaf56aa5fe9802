"""claims.csv: each claim in each setting, with interval, control and verdict."""

from collections.abc import Mapping

import pandas as pd

from disobey.analysis.claims import CLAIMS, find
from disobey.analysis.store import Analysis


def table(study: str, analyses: Mapping[str, Analysis]) -> pd.DataFrame:
    """Return one row per claim and setting."""
    findings = [find(claim, analysis) for claim in CLAIMS for analysis in analyses.values()]
    return pd.DataFrame(
        {
            "study": study,
            "claim": found.claim.name,
            "text": found.claim.text,
            "source": found.claim.source,
            "paper": found.claim.paper,
            "setting": found.setting,
            "statistic": found.claim.statistic,
            "model": found.claim.model,
            "null": found.claim.null,
            "side": "above" if found.claim.above else "below",
            "value": found.estimate,
            "low": found.low,
            "high": found.high,
            "control": found.control,
            "seeds": found.seeds,
            "n": found.examples,
            "p": found.p,
            "verdict": found.verdict,
        }
        for found in findings
    )
