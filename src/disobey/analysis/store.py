"""The analysis store of one setting, which tables, figures and claims read.

There is one dataset per split: groups ``train``, ``test`` and, where students see only a share of
the training examples, ``held_out`` with the others, which ``train`` then omits. Each contains

- ``value(statistic, model, subset, seed)``: the statistic of each seed; NaN where it is undefined
  (a teacher compared with itself, an empty subset);
- ``estimate``, ``low``, ``high`` ``(statistic, model, subset)``: mean over seeds and 95 % interval;
  with a single seed there is no interval and both ends are NaN; intervals of shares are clipped to
  their possible values (``disobey.analysis.names.Statistic.limits``);
- ``example_variance(statistic, model, subset)``: variance of the mean over seeds when examples are
  resampled; ``resampled(statistic, model, resample)``: that mean in each resample (``test`` only,
  subset all), with the same draws in all settings over the same test set;
- ``examples(subset, seed)``: the number of examples in the subset;
- ``most_frequent_class``: the share of the most frequent clean label, NaN without labels;
- ``density(compared, teacher_bin, model_bin)``: the number of examples, over all seeds, in each
  cell of teacher's confidence x model's confidence, both in logits, with edges
  ``confidence_edge``; ``density_outside(compared)``: the number of examples beyond the edges;
- ``binned_teacher``, ``binned_model`` ``(compared, quantile)``: mean confidence of both within
  quantile bins of the teacher's;
- with the prefix ``label_``, the same for the class of the given label instead of the teacher's
  prediction (only with labels);
- ``dissected_density(compared, panel, teacher_bin, model_bin)``: ``density`` in four panels, by
  whether teacher and model predict the given label (only with labels);
- ``noise_density(compared, noise, teacher_bin, model_bin)``, ``noise_binned_teacher``,
  ``noise_binned_model`` ``(compared, noise, quantile)``: density and means separately for clean and
  mislabelled examples, each with its own quantiles (only if any example is mislabelled);
- ``measure_density(measure, compared, teacher_bin, model_bin)`` on the edges
  ``measure_edge(measure, edge)``: examples, over all seeds, by the teacher's and the model's
  probability of the class that the teacher predicts, and by the entropy of both in nats;
- ``curve_teacher(curve, quantile, seed)``, ``curve_model(curve, compared, quantile, seed)``: means
  within quantile bins, by seed: probability by probability, entropy by entropy, and
  KL(teacher || model) in nats by the teacher's confidence logit, probability and entropy;
  ``curve_estimate``, ``curve_low``, ``curve_high`` ``(curve, compared, quantile)``: mean over seeds
  and its 95 % interval over seeds; examples are not resampled.

Names of statistics, models and subsets: `disobey.analysis.names`.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import xarray as xr

from disobey.analysis.bias import Bias
from disobey.analysis.curves import Curves
from disobey.analysis.gradients import Gradients
from disobey.analysis.names import EFFECT, HELD_OUT, REFERENCE, SPLITS, STUDENT, TEACHER
from disobey.analysis.statistics import STATISTICS
from disobey.errors import UserError
from disobey.stores.manifest import Manifest
from disobey.stores.reader import read_groups

# The stores of `disobey.stores.layout.BESIDE`.
BESIDE = {"bias": Bias, "curves": Curves, "gradients": Gradients}
# Variables of a split that tables and claims read; figures also read others.
NUMBERS = (
    "value", "estimate", "low", "high", "example_variance", "resampled", "examples",
    "most_frequent_class", "statistic", "model", "compared", "subset", "seed",
)  # fmt: skip


@dataclass(frozen=True)
class Analysis:
    """The analysis of one setting.

    Attributes
    ----------
    setting : str
        Its name in the study.
    about : dict
        ``dataset``, ``label_noise`` (rate), ``teacher``, ``student`` (the study's names of the
        models), ``temperature``, ``weight``; the last two only if known.
    splits : dict of str to xarray.Dataset
        By name, as described above; a comparison may have only one split.
    bias : Bias or None
    curves : Curves or None
    gradients : Gradients or None
        Other analyses of the setting, if the study requests them; each is named after its stage.
    paper : dict of str to sequence of float
        Accuracies that the paper reports for this setting, in per cent: for each split, those of
        teacher, one-hot student and distilled student. They come from the study file, not a store.
    """

    setting: str
    about: dict[str, Any]
    splits: dict[str, xr.Dataset]
    bias: Bias | None = None
    curves: Curves | None = None
    gradients: Gradients | None = None
    paper: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def number(
        self, statistic: str, model: str, split: str = "test", subset: str = "all"
    ) -> tuple[float, float, float]:
        """Return estimate, low and high of one statistic."""
        chosen = self.splits[split].sel(statistic=statistic, model=model, subset=subset)
        return float(chosen.estimate), float(chosen.low), float(chosen.high)

    def paper_accuracy(self, model: str, split: str) -> float:
        """Return the accuracy that the paper reports, as a share; NaN if it reports none."""
        if split not in self.paper:
            return math.nan
        teacher, reference, student = (per_cent / 100 for per_cent in self.paper[split])
        known = {TEACHER: teacher, REFERENCE: reference, STUDENT: student}
        return (known | {EFFECT: student - reference})[model]

    def seeds(self, statistic: str, model: str, split: str = "test", subset: str = "all") -> Any:
        """Return the statistic of each seed, shape (seed,)."""
        return self.splits[split].value.sel(statistic=statistic, model=model, subset=subset).values


def read_analysis(manifest: Manifest, *, plots: bool = True) -> Analysis:
    """Read a verified analysis store into memory; without ``plots`` only `NUMBERS`.

    Raises
    ------
    UserError
        If the store lacks a statistic, because it was made by older code and then accepted by the
        user (``accept``).
    """
    path: Path = manifest.file()
    variables = read_groups(path)
    splits = {
        name: xr.load_dataset(
            path,
            group=name,
            engine="netcdf4",
            drop_variables=() if plots else set(variables[name]).difference(NUMBERS),
        )
        for name in (*SPLITS, HELD_OUT)
        if name in variables
    }
    for name, split in splits.items():
        if lacking := set(STATISTICS).difference(split.statistic.values):
            raise UserError(
                f"{path}, group {name}: lacks {', '.join(sorted(lacking))}, which the code that "
                f"made it did not compute; delete it and call snakemake again"
            )
    with xr.open_dataset(path, engine="netcdf4") as root:
        about = json.loads(root.attrs["about"])
    return Analysis(manifest.id, about, splits)


def read_beside(manifest: Manifest) -> Any:
    """Read a verified bias, curves or gradients store into memory."""
    path, made = manifest.file(), BESIDE[manifest.record["stage"]]
    with xr.open_dataset(path, engine="netcdf4") as root:
        about, layers = (json.loads(root.attrs.pop(name, "null")) for name in ("about", "layers"))
        data: Any = root.load()
    if layers:
        data = {name: xr.load_dataset(path, group=name, engine="netcdf4") for name in layers}
    return made(manifest.id, about, data)


def read_analyses(
    manifests: Iterable[Manifest],
    settings: Sequence[str],
    paper: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    *,
    plots: bool = True,
) -> dict[str, Analysis]:
    """Read the analyses of ``settings``, in their order, with bias, curves and gradients.

    All stores of a setting have its name as id and are distinguished by their stages. ``paper``
    contains the paper's accuracies for some settings, see `Analysis`; for ``plots`` see
    `read_analysis`.

    Raises
    ------
    UserError
        If a setting's confidence analysis is not among the manifests.
    """
    stores = {(manifest.record["stage"], manifest.id): manifest for manifest in manifests}
    found = {}
    for name in settings:
        if ("confidence", name) not in stores:
            given = ", ".join(id for stage, id in stores if stage == "confidence")
            raise UserError(
                f"--inputs: the spec names the setting {name}, whose analysis is not among them "
                f"({given or 'none'}); add the manifest of its confidence job"
            )
        beside = {
            stage: read_beside(stores[stage, name]) for stage in BESIDE if (stage, name) in stores
        }
        reported = (paper or {}).get(name, {})
        analysis = read_analysis(stores["confidence", name], plots=plots)
        found[name] = replace(analysis, **beside, paper=reported)
    return found
