"""accuracy.csv: accuracy, NLL, Brier score and ECE of teachers, references and students."""

from collections.abc import Mapping

import pandas as pd

from disobey.analysis.names import QUALITY
from disobey.analysis.store import Analysis
from disobey.analysis.tables.tidy import tidy


def table(study: str, analyses: Mapping[str, Analysis]) -> pd.DataFrame:
    """Return the table; see `tidy` for its columns."""
    return tidy(study, analyses, QUALITY)
