"""The bias store of one setting: what tables, figures and claims read of the implicit bias.

One group per layer. Dimensions: ``model`` (the teacher where it was tracked, reference, student,
placebos), ``compared`` (student and placebos), ``placebo``, ``seed``, ``point`` (of the histories),
``direction`` (the leading one first), ``band`` (of ranks: 2 to 9, 10 to 60, beyond 60), ``share``
(of the common range of c_1), ``side`` (0 the compared model, 1 the reference), ``end`` (0 the
beginning of the matched range, 1 its end), ``pair`` (of a top and a bottom direction).

- ``step(point)``, ``rank(direction)``: those tracked in every seed, ``eigenvalue(direction)`` and
  attribute ``total_variance``: means over seeds, whose bases are their own where the layer reads a
  teacher's activations; attribute ``range``: the matched range, as shares of c_1's common range;
- ``progress(model, seed, point, direction)``: c_k = ||(W(t) - W(0)) v_k||, as recorded;
  ``norm(model, seed, point, direction)``: ||W(t) v_k||, which the paper plots, and
  ``norm_start(model, seed, direction)``: ||W(0) v_k||;
- ``log_ratio_curve(compared, seed, direction, share)``: ln of compared over reference, c_k at
  equal first-passage c_1; ``log_ratio(compared, seed, direction)``: its mean over the range, with
  ``estimate``, ``low``, ``high`` ``(compared, direction)`` over seeds;
- ``difference(placebo, seed, direction)``: log ratio of the student minus that of the placebo at
  equal c_1, its mean over the range that the two have in common, with ``_estimate``, ``_low``,
  ``_high`` ``(placebo, direction)`` over seeds;
- ``overall(compared, seed)``: mean of the log ratio over all directions but the leading one;
  ``overall_difference(placebo, seed)``: such a mean of the difference; ``band_overall(compared,
  seed, band)``, ``band_difference(placebo, seed, band)``: the same means within bands of ranks, NaN
  where no direction of the band was tracked; ``trend(compared,
  seed)``: overall log ratio at the range's end minus at its beginning; each with ``_estimate``,
  ``_low``, ``_high`` over seeds;
- ``steps(compared, seed, side, end)``: steps that both had taken at the ends of the range;
- ``pair_top(pair)``, ``pair_bottom(pair)``: ranks of the pairs that are drawn;
  ``pair_log_ratio(model, seed, pair)``: ln of model over teacher, c along the bottom direction at
  equal c along the top one, its mean over 10 to 90 % of the teacher's way along the top one;
  ``pairs_expected(model, seed)``: in how many of 15 pairs the model has made less progress along
  the bottom direction than the teacher, at equal progress along the top one: the mean over all
  draws; ``pairs_drawn(model, seed)``: the count of the draw; each with ``_estimate``, ``_low``,
  ``_high`` ``(model)`` over seeds; NaN for the teacher. ``norm_pair_log_ratio``,
  ``norm_pairs_expected``, ``norm_pairs_drawn``: the same of norms, where all models start where the
  teacher does;
- ``theorem_log_ratio(direction, share)``, its mean over the range ``theorem(direction)``, and
  ``theorem_overall``, ``theorem_trend``: linear regression with this spectrum, one round;
- ``linear(linear_model, linear_point, direction)``: paths of the linear model's reference and
  student, as shares of the reference's limit.

With one seed there is no interval: both of its ends are NaN. Where a study has no placebos, the
variables along ``placebo`` are absent, and where it asks for no pairs those of pairs.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xarray as xr

from disobey.analysis.names import STUDENT

if TYPE_CHECKING:
    from disobey.stores.manifest import Manifest

LOG_RATIO, OVERALL, TREND = "log_ratio", "overall", "trend"
OVERALL_DIFFERENCE = "overall_difference"
BAND_OVERALL, BAND_DIFFERENCE = "band_overall", "band_difference"
PAIRS_EXPECTED, PAIRS_DRAWN = "pairs_expected", "pairs_drawn"
PAIR_LOG_RATIO = "pair_log_ratio"
# Before the names of what is counted of norms ||W v_k|| in place of progress.
OF_NORMS = "norm_"


@dataclass(frozen=True)
class Bias:
    """The bias analysis of one setting.

    Attributes
    ----------
    setting : str
        Its name in the study.
    about : dict
        As in `disobey.analysis.store.Analysis`.
    layers : dict of str to xarray.Dataset
        As described above, in the order of the study; the first one decides claims.
    """

    setting: str
    about: dict[str, Any]
    layers: dict[str, xr.Dataset]

    def number(
        self, layer: str, what: str = OVERALL, model: str = STUDENT
    ) -> tuple[float, float, float]:
        """Return estimate, low and high over seeds of ``overall`` or ``trend`` of one model."""
        chosen = self.layers[layer].sel(compared=model)
        return _interval(chosen, what)

    def difference(self, layer: str, placebo: str) -> tuple[float, float, float]:
        """Return estimate, low and high of overall log ratio (student) - log ratio (placebo)."""
        chosen = self.layers[layer].sel(placebo=placebo)
        return _interval(chosen, OVERALL_DIFFERENCE)

    def pairs(self, layer: str, what: str, model: str = STUDENT) -> tuple[float, float, float]:
        """Return estimate, low and high of a count of pairs; of 15, of one model."""
        return _interval(self.layers[layer].sel(model=model), what)

    def placebos(self, layer: str) -> tuple[str, ...]:
        """Return the placebos of a layer, in the order of the store; none where there are none."""
        dataset = self.layers[layer]
        return tuple(map(str, dataset.placebo.values)) if "placebo" in dataset.coords else ()


def _interval(chosen: xr.Dataset, what: str) -> tuple[float, float, float]:
    low, high = float(chosen[f"{what}_low"]), float(chosen[f"{what}_high"])
    return float(chosen[f"{what}_estimate"]), low, high


def read_bias(manifest: "Manifest") -> Bias:
    """Read a verified bias store into memory."""
    path = manifest.file()
    with xr.open_dataset(path, engine="netcdf4") as root:
        about, names = (json.loads(root.attrs[name]) for name in ("about", "layers"))
    layers = {name: xr.load_dataset(path, group=name, engine="netcdf4") for name in names}
    return Bias(manifest.id, about, layers)
