"""The base of the stored analyses of curves and of gradients."""

from dataclasses import dataclass
from typing import Any

import xarray as xr

from disobey.analysis.intervals import Interval, interval_in


@dataclass(frozen=True)
class Beside:
    """An analysis of a setting beside that of its confidence, as its store holds it.

    Attributes
    ----------
    setting : str
        Its name in the study.
    about : dict
        As in `disobey.analysis.store.Analysis`.
    data : xarray.Dataset
    """

    setting: str
    about: dict[str, Any]
    data: xr.Dataset

    def number(self, statistic: str, **of: str) -> Interval:
        """Return estimate, low and high at a name along dimensions, such as ``model="student"``."""
        return interval_in(self.data.sel(of), statistic)
