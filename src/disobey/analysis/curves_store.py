"""The curves of one setting: accuracies along training, and students compared at equal fit.

Dimensions: ``model`` (teacher where it was recorded, reference, student, placebos), ``compared``
(the same without teacher and reference), ``placebo``, ``seed``, ``point`` (of the histories),
``level`` (of train accuracy, see ``disobey.analysis.curves``).

- ``step(model, point)``, ``train_accuracy`` and ``test_accuracy`` ``(model, seed, point)``: as
  recorded, in shares of given labels; NaN beyond the last point of a shorter training;
- ``final_train_accuracy``, ``final_test_accuracy`` ``(model, seed)``: after the last step;
- ``test_at_level``, ``steps_at_level`` ``(model, seed, level)``: test accuracy, and steps taken,
  when train accuracy first reaches a level; NaN where it never does, or has before the first point;
- ``equal_accuracy(compared, seed)``: mean over the levels that both reach of the test accuracy
  minus that of the reference; ``equal_accuracy_difference(placebo, seed)``: of the student's minus
  the placebo's; NaN where there are too few such levels;
- ``log_steps_ratio(compared, seed)``, ``log_steps_ratio_difference(placebo, seed)``: the same means
  of ln(steps of one / steps of the other).

Each variable along ``seed`` also has ``_estimate``, ``_low``, ``_high``: its mean over seeds with
the 95 % interval. The interval is over trainings: all models and seeds are judged by the same test
examples, and what other ones would give is not covered. With one seed both ends are NaN. Where a
study has no placebos, the variables along ``placebo`` are absent.

Attributes: ``train_examples``, ``test_examples``: how many the models were evaluated on; and where
the student's loss changes during training, ``switch_steps``: the first step of the change and the
first after it.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xarray as xr

if TYPE_CHECKING:
    from disobey.stores.manifest import Manifest

EQUAL_ACCURACY, LOG_STEPS_RATIO = "equal_accuracy", "log_steps_ratio"
EQUAL_ACCURACY_DIFFERENCE = "equal_accuracy_difference"
FINAL_TRAIN, FINAL_TEST = "final_train_accuracy", "final_test_accuracy"


@dataclass(frozen=True)
class Curves:
    """The curves of one setting.

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
        """Return estimate, low and high; ``of`` is ``model=``, ``compared=`` or ``placebo=``."""
        chosen = self.data.sel(of)
        estimate, low, high = (float(chosen[f"{statistic}_{end}"]) for end in ENDS)
        return estimate, low, high

    @property
    def test_examples(self) -> int:
        """How many test examples the models were evaluated on."""
        return int(self.data.attrs["test_examples"])

    @property
    def placebos(self) -> tuple[str, ...]:
        """The placebos, in the order of the store; none where there are none."""
        return tuple(map(str, self.data.placebo.values)) if "placebo" in self.data.coords else ()


ENDS = ("estimate", "low", "high")


def read_curves(manifest: "Manifest") -> Curves:
    """Read a verified store of curves into memory."""
    data = xr.load_dataset(manifest.file(), engine="netcdf4")
    return Curves(manifest.id, json.loads(data.attrs.pop("about")), data)
