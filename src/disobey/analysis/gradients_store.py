"""The gradients of one setting: signs of either target, and weights against true directions.

Dimensions: ``target`` (one_hot, teacher), ``model`` (teacher, reference, student, controls),
``control`` (reference and controls), ``seed``, ``class``.

- ``right_signs(target, seed)``: share of pairs (training example, class) whose gradient has the
  right sign, as the paper counts; ``right_first_gradients(target, seed)``: the same of gradients at
  weights 0; both are explained in ``disobey.analysis.gradients``. The teacher's target is softened
  as for the student;
- ``right_signs_difference(seed)``, ``right_first_gradients_difference(seed)``: teacher minus
  one-hot;
- ``cosine(model, seed, class)``: of the weights of a class with its true direction, and
  ``mean_cosine(model, seed)``: its mean over classes;
- ``cosine_difference(control, seed, class)``, ``mean_cosine_difference(control, seed)``: the
  student's minus a control's.

Each variable also has ``_estimate``, ``_low``, ``_high``: its mean over seeds with the 95 %
interval, which is over trainings: all seeds share one draw of the data. With one seed both ends are
NaN.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xarray as xr

from disobey.analysis.names import TEACHER

if TYPE_CHECKING:
    from disobey.stores.manifest import Manifest

ONE_HOT = "one_hot"
TARGETS = (ONE_HOT, TEACHER)
RIGHT_SIGNS, RIGHT_FIRST_GRADIENTS = SHARES = ("right_signs", "right_first_gradients")
COSINE, MEAN_COSINE = "cosine", "mean_cosine"
MEAN_COSINE_DIFFERENCE = "mean_cosine_difference"
ENDS = ("estimate", "low", "high")


@dataclass(frozen=True)
class Gradients:
    """The gradients of one setting.

    Attributes
    ----------
    setting : str
        Its name in the study.
    about : dict
        As in `disobey.analysis.store.Analysis`.
    data : xarray.Dataset
        As described above.
    """

    setting: str
    about: dict[str, Any]
    data: xr.Dataset

    def number(self, statistic: str, **of: str) -> tuple[float, float, float]:
        """Return estimate, low and high; ``of`` is ``target=``, ``model=`` or ``control=``."""
        chosen = self.data.sel(of)
        estimate, low, high = (float(chosen[f"{statistic}_{end}"]) for end in ENDS)
        return estimate, low, high

    @property
    def controls(self) -> tuple[str, ...]:
        """Reference and controls, in the order of the store."""
        return tuple(map(str, self.data.control.values))


def read_gradients(manifest: "Manifest") -> Gradients:
    """Read a verified store of gradients into memory."""
    data = xr.load_dataset(manifest.file(), engine="netcdf4")
    return Gradients(manifest.id, json.loads(data.attrs.pop("about")), data)
