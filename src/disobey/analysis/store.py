"""The analysis store of one setting, which tables, figures and claims read.

For each split (groups ``train``, ``test`` and, where students see a share of the training examples,
``held_out``: the others, which ``train`` then leaves out) one dataset with

- ``value(statistic, model, subset, seed)``: the statistic of each seed; NaN where it has no
  meaning (a teacher compared with itself, a subset that is empty);
- ``estimate``, ``low``, ``high`` ``(statistic, model, subset)``: mean over seeds and 95 % interval;
  with a single seed there is no interval and both ends are NaN; an interval of a share is cut to
  the values that a share can have (``disobey.analysis.names.Statistic.limits``);
- ``example_variance(statistic, model, subset)``: variance of the mean over seeds when examples are
  resampled; ``resampled(statistic, model, resample)``: that mean in each resample (``test`` only,
  subset all), equal draws in all settings over the same test set;
- ``examples(subset, seed)``: how many examples the subset has;
- ``most_frequent_class``: the share of the most frequent clean label, NaN without labels;
- ``density(compared, teacher_bin, model_bin)``: how many examples, over all seeds, fall into each
  cell of teacher's confidence x model's confidence, both in logits on the edges
  ``confidence_edge``; ``density_outside(compared)``: how many are beyond them;
- ``binned_teacher``, ``binned_model`` ``(compared, quantile)``: mean confidence of both within
  quantile bins of the teacher's;
- with ``label_`` before their names, the same at the class of the given label in place of the
  teacher's prediction (only with labels);
- ``dissected_density(compared, panel, teacher_bin, model_bin)``: ``density`` in four panels, by
  whether teacher and model predict the given label (only with labels);
- ``noise_density(compared, noise, teacher_bin, model_bin)``, ``noise_binned_teacher``,
  ``noise_binned_model`` ``(compared, noise, quantile)``: density and means of clean and of
  mislabelled examples apart, each by its own quantiles (only where any is mislabelled);
- ``measure_density(measure, compared, teacher_bin, model_bin)`` on the edges
  ``measure_edge(measure, edge)``: examples, over all seeds, by the teacher's and the model's
  probability of the class that the teacher predicts, and by the entropy of both in nats;
- ``curve_teacher(curve, quantile, seed)``, ``curve_model(curve, compared, quantile, seed)``: means
  within quantile bins, seed by seed: probability by probability, entropy by entropy, and
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
# Variables of a split that tables and claims read; figures read others, too.
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
        models), ``temperature``, ``weight``; the last two only where they are known.
    splits : dict of str to xarray.Dataset
        By name, as described above; one of them where a comparison has no more.
    bias : Bias or None
    curves : Curves or None
    gradients : Gradients or None
        The setting's analyses of other kinds, where the study asks for them; each is named by its
        stage.
    paper : dict of str to sequence of float
        Accuracies that the paper reports of this setting, in per cent: by split those of teacher,
        one-hot student and distilled student. They are the study file's, and in no store.
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
        """Return the accuracy that the paper reports, as a share; NaN where it gives none."""
        if split not in self.paper:
            return math.nan
        teacher, reference, student = (per_cent / 100 for per_cent in self.paper[split])
        known = {TEACHER: teacher, REFERENCE: reference, STUDENT: student}
        return (known | {EFFECT: student - reference})[model]

    def seeds(self, statistic: str, model: str, split: str = "test", subset: str = "all") -> Any:
        """Return the statistic of each seed: array of shape (seed,)."""
        return self.splits[split].value.sel(statistic=statistic, model=model, subset=subset).values


def read_analysis(manifest: Manifest, *, plots: bool = True) -> Analysis:
    """Read a verified analysis store into memory; without ``plots`` only `NUMBERS`.

    Raises
    ------
    UserError
        When it lacks a statistic: older code made it, and somebody vouched for it (``accept``).
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
    """Read a verified store of the bias, of curves or of gradients into memory."""
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
    """Read the analyses of ``settings``, in their order, each with its other analyses.

    All stores of a setting have its name as id; their stages tell them apart. ``paper`` gives the
    paper's accuracies of some settings, see `Analysis`; ``plots`` see `read_analysis`.

    Raises
    ------
    UserError
        When a setting's confidence analysis is not among the manifests.
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
