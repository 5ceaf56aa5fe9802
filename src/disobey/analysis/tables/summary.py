"""summary.csv: each claim over all settings, k of n, with Holm and what chance would give."""

from collections.abc import Mapping

import pandas as pd

from disobey.analysis.claims.registry import findings, summaries
from disobey.analysis.store import Analysis


def table(study: str, analyses: Mapping[str, Analysis]) -> pd.DataFrame:
    """Return one row per claim, split and reading that is about a setting of the study."""
    return pd.DataFrame(
        {
            "study": study,
            "claim": found.claim.name,
            "text": found.claim.text,
            "source": found.claim.source,
            "paper": found.claim.paper,
            "split": found.claim.split,
            "reading": found.claim.reading,
            "settings": found.settings,
            "holds": found.holds,
            "contrary": found.contrary,
            "undecided": found.undecided,
            "withheld": found.withheld,
            "holds_after_holm": found.holds_after_holm,
            "contrary_after_holm": found.contrary_after_holm,
            "expected_by_chance": found.expected_by_chance,
        }
        for found in summaries(findings(analyses))
    )
