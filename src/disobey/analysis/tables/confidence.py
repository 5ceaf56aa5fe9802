"""confidence.csv: exaggeration, gaps, inheritance, the plot's fits, other readings, fidelity."""

from collections.abc import Mapping

import pandas as pd

from disobey.analysis.names import FIDELITY, OTHER_READINGS, PLOTTED, PRIMARY
from disobey.analysis.store import Analysis
from disobey.analysis.tables.tidy import tidy


def table(study: str, analyses: Mapping[str, Analysis]) -> pd.DataFrame:
    """Return the table; see `tidy` for its columns."""
    return tidy(study, analyses, (*PRIMARY, *PLOTTED, *OTHER_READINGS, *FIDELITY))
