"""The confidence analysis of one setting and split: from logits to a labelled dataset."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from disobey.analysis import confidence, quality
from disobey.analysis.density import student_teacher_plot
from disobey.analysis.intervals import crossed_interval, example_variance
from disobey.analysis.names import (
    ALL,
    COMPARED,
    EFFECT,
    MODELS,
    REFERENCE,
    STATISTICS,
    STUDENT,
    SUBSETS,
    TEACHER,
)
from disobey.analysis.resampling import Resamples

Statistics = dict[str, np.ndarray]


@dataclass(frozen=True)
class SplitLogits:
    """Logits of a setting's models on one split, seed by seed.

    Attributes
    ----------
    logits : dict of str to list of ndarray, shape (example, class)
        For ``teacher``, ``reference`` and ``student`` one array per seed of the study.
    label, clean_label : ndarray of int, shape (example,)
        The given label, and the one before noise.
    """

    logits: dict[str, list[np.ndarray]]
    label: np.ndarray
    clean_label: np.ndarray


class SplitAnalysis:
    """All statistics of one split; see `disobey.analysis.store` for what comes out.

    Parameters
    ----------
    data : SplitLogits
    resamples : Resamples
        Of the examples; without resamples for a training split, whose examples are not resampled.
    """

    def __init__(self, data: SplitLogits, resamples: Resamples) -> None:
        self.data = data
        self.resamples = resamples
        self.seeds = range(len(data.logits[TEACHER]))
        self.prediction = [logits.argmax(1) for logits in data.logits[TEACHER]]
        # phi[model][i][j]: confidence of the model of seed i in what the teacher of seed j predicts
        self.phi = {
            model: [
                [confidence.confidence_logit(logits, chosen) for chosen in self.prediction]
                for logits in per_seed
            ]
            for model, per_seed in data.logits.items()
        }

    def subset(self, name: str, teacher: int) -> np.ndarray:
        """Return which examples belong to a subset, shape (example,).

        ``teacher right`` and ``wrong`` are judged by the given teacher and label: for statistics
        that condition on a replicate that is the replicate, else the student's own teacher.
        """
        label, clean = self.data.label, self.data.clean_label
        right = self.prediction[teacher] == label
        return {
            ALL: np.ones(len(label), bool),
            "teacher right": right,
            "teacher wrong": ~right,
            "clean": label == clean,
            "mislabelled": label != clean,
        }[name]

    def dataset(self) -> xr.Dataset:
        """Compute everything."""
        tables = {name: self._table(name) for name in SUBSETS}
        parts = [self._statistics(name, table) for name, table in tables.items()]
        summary = xr.concat(parts, xr.IndexVariable("subset", list(SUBSETS)))
        return xr.merge([summary, self._plot(), resampled(tables[ALL])])

    # --- statistics -------------------------------------------------------------------------

    def _table(self, subset: str) -> np.ndarray:
        """Return all statistics, (statistic, model, seed, 1 + resample); NaN without a meaning."""
        shape = (len(STATISTICS), len(MODELS), len(self.seeds), len(self.resamples.counts))
        table = np.full(shape, np.nan)
        for seed in self.seeds:
            for model in (TEACHER, REFERENCE, STUDENT):
                for name, values in self._of(model, seed, subset).items():
                    table[STATISTICS.index(name), MODELS.index(model), seed] = values
        student, reference = MODELS.index(STUDENT), MODELS.index(REFERENCE)
        table[:, MODELS.index(EFFECT)] = table[:, student] - table[:, reference]
        return table

    def _statistics(self, subset: str, table: np.ndarray) -> xr.Dataset:
        """Return value, estimate, interval, variance and counts of one subset."""
        by_seed = np.moveaxis(table, (2, 3), (0, 1))  # (seed, row, statistic, model)
        estimate, low, high = crossed_interval(by_seed)
        cell = ("statistic", "model")
        return xr.Dataset(
            {
                "value": ((*cell, "seed"), table[..., 0]),
                "estimate": (cell, estimate),
                "low": (cell, low),
                "high": (cell, high),
                "example_variance": (cell, example_variance(by_seed)),
                "examples": ("seed", [int(self.subset(subset, i).sum()) for i in self.seeds]),
            },
            coords={"statistic": list(STATISTICS), "model": list(MODELS)},
        )

    def _of(self, model: str, seed: int, subset: str) -> Statistics:
        """Return all statistics of one model of one seed, each of shape (1 + resample,)."""
        data, where = self.data, self.subset(subset, seed)
        logits = data.logits[model][seed]
        own = confidence.confidence_logit(logits, logits.argmax(1))
        found = quality.quality(self.resamples, logits, data.label, data.clean_label, own, where)
        if model == TEACHER:
            return found
        teacher = data.logits[TEACHER][seed]
        found |= quality.fidelity(self.resamples, logits, teacher, where)
        phi_model, phi_teacher = self.phi[model][seed][seed], self.phi[TEACHER][seed][seed]
        found |= confidence.plotted(self.resamples, phi_model, phi_teacher, where)
        return found | self._replicated(model, seed, subset)

    def _replicated(self, model: str, seed: int, subset: str) -> Statistics:
        """Average the replicate-conditioned statistics over all other teachers."""
        found: list[Statistics] = []
        for other in self.seeds:
            if other == seed:
                continue
            where = self.subset(subset, other)
            trio = ((model, seed), (TEACHER, seed), (TEACHER, other))
            m, t, r = (self.phi[who][i][other] for who, i in trio)
            found.append(confidence.primary(self.resamples, m, t, r, where))
            m, t, r = (
                confidence.centred_logits(self.data.logits[who][i], where) for who, i in trio
            )
            found[-1] |= confidence.inheritance(self.resamples, m, t, r, where)
        return {name: np.mean([f[name] for f in found], 0) for name in found[0]} if found else {}

    # --- the plot ---------------------------------------------------------------------------

    def _plot(self) -> xr.Dataset:
        """Return the paper's plot: teacher i against its student and reference, all seeds."""

        def diagonal(model: str) -> np.ndarray:
            return np.concatenate([self.phi[model][i][i] for i in self.seeds])

        return student_teacher_plot(COMPARED, diagonal(TEACHER), [diagonal(m) for m in COMPARED])


def resampled(table: np.ndarray) -> xr.Dataset:
    """Return the mean over seeds of each resample, (statistic, model, resample); empty without any.

    The draws depend on the number of examples and on the seed of the study alone, so settings over
    the same test set share them, and a contrast of two settings has its exact example variance.
    """
    if table.shape[-1] == 1:
        return xr.Dataset()
    means = table[..., 1:].mean(2).astype(np.float32)
    return xr.Dataset({"resampled": (("statistic", "model", "resample"), means)})


def analyse(split: SplitLogits, resamples: int, seed: int) -> xr.Dataset:
    """Analyse one split.

    Parameters
    ----------
    split : SplitLogits
    resamples : int
        Bootstrap resamples of the examples; 0 for a training split.
    seed : int
        Of the resamples.
    """
    return SplitAnalysis(split, Resamples.draw(len(split.label), resamples, seed)).dataset()
