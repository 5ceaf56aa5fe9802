"""Other readings of the same logits: the label's class, who is right, other measures.

The first reading of the logits leaves a few numbers of each example, see `Kept`; statistics and
plots are made of these alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from disobey.analysis.density import Points, student_teacher_plot
from disobey.analysis.dissection import Dissection, panel_of
from disobey.analysis.labels import LabelClass, MislabelledAUC
from disobey.analysis.measures import Measured, measures
from disobey.analysis.names import (
    ALL,
    BY_REPLICATE,
    CLEAN,
    MISLABELLED,
    MISLABELLED_AUC,
    PANELS,
    PLOT_MISLABELLED_AUC,
    TEACHER,
)
from disobey.analysis.quality import Outputs, entropy
from disobey.analysis.resampling import Gathered, mean_of

# The subsets of these readings: no model decides who belongs to them.
SUBSETS = (ALL, CLEAN, MISLABELLED)


class Kept:
    """What the first reading of the logits keeps of each example, beside confidence logits.

    Parameters
    ----------
    models : mapping of str to int
        How many models each role has; of the teachers those beyond the number of seeds are
        replicates only.
    seeds, examples : int
    label : ndarray of int, shape (example,), or None
        The given label.

    Attributes
    ----------
    label_phi : dict of str to ndarray, shape (model, example)
        Confidence logit in the given label, by role.
    right : dict of str to ndarray of bool, shape (seed, example)
        Whether the given label is predicted.
    entropy : dict of str to ndarray, shape (seed, example)
        In nats.
    kl : dict of str to ndarray, shape (seed, example)
        KL(teacher || model) in nats, by compared role.
    """

    def __init__(
        self, models: Mapping[str, int], seeds: int, examples: int, label: np.ndarray | None
    ) -> None:
        self._label = label
        shape = seeds, examples
        self.label_phi: dict[str, np.ndarray] = {}
        self.right: dict[str, np.ndarray] = {}
        if label is not None:
            self.label_phi = {role: np.empty((of, examples)) for role, of in models.items()}
            self.right = {role: np.empty(shape, bool) for role in models}
        self.entropy = {role: np.empty(shape) for role in models}
        self.kl = {role: np.empty(shape) for role in models if role != TEACHER}

    def keep_confidence(self, role: str, model: int, outputs: Outputs, rows: slice) -> None:
        """Keep a block of a model's confidence in the label; all that is kept of a replicate."""
        if self._label is not None:
            self.label_phi[role][model, rows] = outputs.confidence_logit(self._label[rows])

    def keep(self, role: str, seed: int, outputs: Outputs, rows: slice) -> None:
        """Keep a block of what the model of a seed says."""
        self.keep_confidence(role, seed, outputs, rows)
        self.entropy[role][seed, rows] = entropy(outputs)
        if self._label is not None:
            self.right[role][seed, rows] = outputs.predicted == self._label[rows]

    def panel(self, role: str, seed: int) -> np.ndarray:
        """Return the panel of each example, see `disobey.analysis.dissection.panel_of`."""
        return panel_of(self.right[TEACHER][seed], self.right[role][seed])


class ModelReadings:
    """All readings of one model on one subset that are statistics.

    Parameters
    ----------
    kept : Kept
    phi : tuple of ndarray, shape (example,)
        Confidence logits of the model and of its teacher in what the teacher predicts.
    model : tuple of (str, int)
        Role and seed.
    replicates : sequence of int
        Which teachers are replicates.
    where : ndarray of bool, shape (example,)
        The subset.
    mislabelled : ndarray of bool, shape (example,), or None
        Whose label was moved; to be given for the subset of all examples, where any was.
    """

    def __init__(
        self,
        kept: Kept,
        phi: tuple[np.ndarray, np.ndarray],
        model: tuple[str, int],
        replicates: Sequence[int],
        where: np.ndarray,
        mislabelled: np.ndarray | None,
    ) -> None:
        role, seed = model
        teachers = kept.label_phi[TEACHER]
        own = kept.label_phi[role][seed], teachers[seed]
        self._by_teacher = LabelClass(*own, teachers[seed], where)
        self._by_replicate = [LabelClass(*own, teachers[other], where) for other in replicates]
        self._dissection = Dissection(*phi, kept.panel(role, seed), where)
        self._auc: list[MislabelledAUC] = []
        self._plot_auc: list[MislabelledAUC] = []
        if mislabelled is not None:
            self._plot_auc = [MislabelledAUC(*phi, phi[1], mislabelled)]
            self._auc = [MislabelledAUC(*own, teachers[k], mislabelled) for k in replicates]

    def add(self, counts: np.ndarray, rows: slice) -> None:
        """Add a block of examples; see `disobey.analysis.resampling.Gathered`."""
        everything: list[Gathered] = [self._by_teacher, self._dissection, *self._by_replicate]
        for one in (*everything, *self._auc, *self._plot_auc):
            one.add(counts, rows)

    def statistics(self) -> dict[str, np.ndarray]:
        """Return the statistics by name, each of shape (1 + resample,)."""
        by_replicate = mean_of([one.statistics() for one in self._by_replicate])
        return {
            **self._by_teacher.statistics(),
            **{f"{name}{BY_REPLICATE}": values for name, values in by_replicate.items()},
            **self._dissection.statistics(),
            **mean_of([{MISLABELLED_AUC: one.statistics()} for one in self._auc]),
            **mean_of([{PLOT_MISLABELLED_AUC: one.statistics()} for one in self._plot_auc]),
        }


def plots(
    kept: Kept, phi: Mapping[str, np.ndarray], clean: np.ndarray | None, classes: int
) -> xr.Dataset:
    """Return the paper's plot and all its variants; see `disobey.analysis.store`.

    Parameters
    ----------
    kept : Kept
    phi : mapping of str to ndarray, shape (seed, example)
        Confidence logits in what each seed's teacher predicts, by role; the teacher's first.
    clean : ndarray of bool, shape (example,), or None
        Whose label was not moved; to be given where any was.
    classes : int
    """
    compared = [role for role in phi if role != TEACHER]
    seeds = range(len(phi[TEACHER]))
    points = Points(phi[TEACHER].ravel(), [phi[role].ravel() for role in compared])
    found = [student_teacher_plot(compared, points)]
    if kept.right:
        panels = [np.concatenate([kept.panel(role, i) for i in seeds]) for role in compared]
        found += [_dissected(points, panels), _at_the_label(kept, compared, len(seeds))]
    if clean is not None:
        found.append(_by_noise(points, np.tile(clean, len(seeds))))
    of = {role: [Measured(*pair) for pair in zip(phi[role], kept.entropy[role], strict=True)]
          for role in phi}  # fmt: skip
    teachers = of.pop(TEACHER)
    found.append(measures(teachers, of, {role: list(kept.kl[role]) for role in of}, classes))
    return xr.merge(found)


def _dissected(points: Points, panels: Sequence[np.ndarray]) -> xr.Dataset:
    counts = points.density(panels, len(PANELS))
    cells = ("compared", "panel", "teacher_bin", "model_bin")
    return xr.Dataset({"dissected_density": (cells, counts)}, coords={"panel": list(PANELS)})


def _at_the_label(kept: Kept, compared: Sequence[str], seeds: int) -> xr.Dataset:
    """Return the plot at the label, with ``label_`` before the names of its variables."""
    phi = [kept.label_phi[role][:seeds].ravel() for role in (TEACHER, *compared)]
    plot = student_teacher_plot(compared, Points(phi[0], phi[1:]))
    return plot.rename({name: f"label_{name}" for name in plot.data_vars})


def _by_noise(points: Points, clean: np.ndarray) -> xr.Dataset:
    """Return the plot of clean and of mislabelled points."""
    kinds = {CLEAN: clean, MISLABELLED: ~clean}
    number = len(points.models)
    per_kind = [points.binned(where) for where in kinds.values()]
    of_teacher, of_model = (np.stack(of, 1) for of in zip(*per_kind, strict=True))
    return xr.Dataset(
        {
            "noise_density": (
                ("compared", "noise", "teacher_bin", "model_bin"),
                points.density([~clean] * number, len(kinds)),
            ),
            "noise_binned_teacher": (("compared", "noise", "quantile"), of_teacher),
            "noise_binned_model": (("compared", "noise", "quantile"), of_model),
        },
        coords={"noise": list(kinds)},
    )
