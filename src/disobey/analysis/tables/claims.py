"""claims.csv: each claim in each setting, with interval, control and verdict."""

from collections.abc import Mapping

import pandas as pd

from disobey.analysis.claims.registry import findings
from disobey.analysis.store import Analysis


def table(study: str, analyses: Mapping[str, Analysis]) -> pd.DataFrame:
    """Return one row per claim, split, reading, setting; of the bias per layer, placebo and band.

    Rows that are not ``counted`` stand beside the one that decides their setting.
    """
    return pd.DataFrame(
        {
            "study": study,
            "claim": found.claim.name,
            "text": found.claim.text,
            "source": found.claim.source,
            "paper": found.claim.paper,
            "setting": found.setting,
            "layer": found.layer,
            "placebo": found.placebo,
            "band": found.band,
            "statistic": found.claim.statistic,
            "model": found.claim.model,
            "split": found.claim.split,
            "subset": found.claim.subset,
            "reading": found.claim.reading,
            "null": found.claim.null,
            "side": found.claim.side,
            "value": found.number.estimate,
            "low": found.number.low,
            "high": found.number.high,
            "control_name": found.control_name,
            "control": found.control,
            "seeds": found.seeds,
            "n": found.examples,
            "p": found.p,
            "verdict": found.verdict,
            "counted": found.counted,
            "remark": found.remark,
        }
        for found in findings(analyses)
    )
