"""All statistics of pairs of a teacher and its student, given replicates of the teacher.

A study has as many teachers as seeds, and each is a replicate of the others. Here a pair may stand
alone, and replicates may come without students. What comes out has the form of a study's analysis
(`disobey.analysis.store`), so that figures and claims read it as they read one.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from disobey.analysis.confidence import (
    CentredLogits,
    Inheritance,
    Plotted,
    Primary,
    confidence_logit,
)
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
from disobey.analysis.quality import Fidelity, Quality, read_outputs
from disobey.analysis.resampling import Gathered, Resamples, gather

RIGHT, WRONG, CLEAN, MISLABELLED = SUBSETS[1:]
JUDGED = (RIGHT, WRONG)
# Logits of one model that are read at a time.
BLOCK_LOGITS = 1 << 18
SMALLEST_BLOCK, LARGEST_BLOCK = 64, 4096

Statistics = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Pair:
    """A teacher, its student and what they are compared with, on one split.

    Attributes
    ----------
    teacher, student : ndarray, shape (example, class)
        Logits.
    replicates : sequence of ndarray, shape (example, class)
        Teachers of other seeds: same data, labels and recipe.
    reference : ndarray, shape (example, class), or None
        The student's architecture, trained on labels alone.
    label, clean_label : ndarray of int, shape (example,), or None
        The given label, and the one before noise.
    """

    teacher: np.ndarray
    student: np.ndarray
    replicates: Sequence[np.ndarray] = ()
    reference: np.ndarray | None = None
    label: np.ndarray | None = None
    clean_label: np.ndarray | None = None

    @property
    def compared(self) -> dict[str, np.ndarray]:
        """The models that are compared with the teacher, by their roles."""
        models = {REFERENCE: self.reference, STUDENT: self.student}
        return {role: logits for role, logits in models.items() if logits is not None}

    def subsets(self) -> dict[str, np.ndarray]:
        """Return which examples each subset has, as the pair's own teacher judges it."""
        return {name: self.subset(name, self.teacher.argmax(1)) for name in SUBSETS}

    def subset(self, name: str, predicted: np.ndarray) -> np.ndarray:
        """Return which examples a subset has, shape (example,); none without the labels it needs.

        Parameters
        ----------
        name : str
        predicted : ndarray of int, shape (example,)
            What the judge of "teacher right" and "teacher wrong" predicts: for statistics that
            condition on a replicate that is the replicate, else the pair's own teacher.
        """
        if name == ALL:
            return np.ones(len(self.teacher), bool)
        if self.label is None or self.clean_label is None:
            return np.zeros(len(self.teacher), bool)
        if name in JUDGED:
            return (predicted == self.label) == (name == RIGHT)
        return (self.label == self.clean_label) == (name == CLEAN)


class PairAnalysis:
    """All statistics of one pair.

    Parameters
    ----------
    pair : Pair
    resamples : Resamples
        Of the examples.
    """

    def __init__(self, pair: Pair, resamples: Resamples) -> None:
        self.pair, self.resamples = pair, resamples
        classes = pair.teacher.shape[1]
        self.block = min(max(BLOCK_LOGITS // classes, SMALLEST_BLOCK), LARGEST_BLOCK)
        self.subsets = pair.subsets()
        shape = (len(SUBSETS), len(STATISTICS), len(MODELS), resamples.rows)
        self._table = np.full(shape, np.nan)

    def table(self) -> np.ndarray:
        """Compute everything.

        Returns
        -------
        ndarray of float64, shape (subset, statistic, model, 1 + resample)
            In the orders of `disobey.analysis.names`; NaN where a statistic has no value.
        """
        self._read()
        self._compare()
        student, reference = MODELS.index(STUDENT), MODELS.index(REFERENCE)
        table = self._table
        table[:, :, MODELS.index(EFFECT)] = table[:, :, student] - table[:, :, reference]
        return table

    def _enter(self, subset: str, model: str, found: Statistics) -> None:
        for name, values in found.items():
            cell = SUBSETS.index(subset), STATISTICS.index(name), MODELS.index(model)
            self._table[cell] = values

    def _read(self) -> None:
        """Enter what every model, or every model beside its teacher, says by itself."""
        pair, where = self.pair, np.column_stack(list(self.subsets.values()))
        models = {TEACHER: pair.teacher, **pair.compared}
        labelled = models if pair.label is not None else ()
        quality = {role: Quality() for role in labelled}
        fidelity = {role: Fidelity() for role in pair.compared}
        for rows, counts in self.resamples.blocks(self.block):
            outputs = {role: read_outputs(logits[rows]) for role, logits in models.items()}
            if pair.label is not None and pair.clean_label is not None:
                labels = pair.label[rows], pair.clean_label[rows]
                for role, of_role in quality.items():
                    of_role.add(counts, outputs[role], *labels, where[rows])
            for role, beside in fidelity.items():
                beside.add(counts, outputs[role], outputs[TEACHER], where[rows])
        of_subsets = [(role, of_role.statistics()) for role, of_role in quality.items()]
        of_subsets += [(role, beside.statistics()) for role, beside in fidelity.items()]
        for role, statistics in of_subsets:
            for subset, found in zip(SUBSETS, statistics, strict=True):
                self._enter(subset, role, found)

    def _compare(self) -> None:
        """Enter the paper's plot, and for every replicate what is conditioned on it."""
        pair, own = self.pair, self.pair.teacher.argmax(1)
        phi = confidence_logit(pair.teacher, own)
        plotted = {
            (name, role): Plotted(confidence_logit(logits, own), phi, where)
            for role, logits in pair.compared.items()
            for name, where in self.subsets.items()
        }
        conditioned = [Conditioned(pair, replicate) for replicate in pair.replicates]
        parts = itertools.chain(plotted.values(), *(one.gathered() for one in conditioned))
        gather(self.resamples, parts, self.block)
        for (name, role), found in plotted.items():
            self._enter(name, role, found.statistics())
        for name, role in itertools.product(SUBSETS if conditioned else (), pair.compared):
            each = [one.statistics(name, role) for one in conditioned]
            self._enter(name, role, {of: np.mean([f[of] for f in each], 0) for of in each[0]})


class Conditioned:
    """A, G, A_z and B of a pair's models, conditioned on one replicate.

    Parameters
    ----------
    pair : Pair
    replicate : ndarray, shape (example, class)
        Logits of a teacher of another seed.
    """

    def __init__(self, pair: Pair, replicate: np.ndarray) -> None:
        chosen = replicate.argmax(1)
        phi_t, phi_r = (confidence_logit(logits, chosen) for logits in (pair.teacher, replicate))
        models = {TEACHER: pair.teacher, "replicate": replicate, **pair.compared}
        centred = {key: CentredLogits(logits) for key, logits in models.items()}
        self._trios = {role: (role, TEACHER, "replicate") for role in pair.compared}
        phi = {role: confidence_logit(logits, chosen) for role, logits in pair.compared.items()}
        self._primary: dict[tuple[str, str], Primary] = {}
        self._inherited: dict[str, Inheritance[str]] = {}
        for name in SUBSETS:
            where = pair.subset(name, chosen)
            means = {key: _class_mean(logits, where) for key, logits in models.items()}
            trios = list(self._trios.values())
            self._inherited[name] = Inheritance(centred, means, trios, where)
            for role, phi_m in phi.items():
                self._primary[name, role] = Primary(phi_m, phi_t, phi_r, where)

    def gathered(self) -> Iterator[Gathered]:
        """Yield what is to be shown every example."""
        yield from self._primary.values()
        yield from self._inherited.values()

    def statistics(self, subset: str, role: str) -> Statistics:
        """Return the statistics of one model by name, each of shape (1 + resample,)."""
        primary = self._primary[subset, role].statistics()
        return primary | self._inherited[subset].statistics(self._trios[role])


def _class_mean(logits: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the mean over a subset of logits that are centred within each example, (class,)."""
    inside = np.flatnonzero(where)
    total = np.zeros(logits.shape[1])
    for start in range(0, len(inside), LARGEST_BLOCK):
        block = logits[inside[start : start + LARGEST_BLOCK]].astype(np.float64)
        total += (block - block.mean(1, keepdims=True)).sum(0)
    return total / max(1, len(inside))


# --- what comes out --------------------------------------------------------------------------


def with_each_other(pairs: Sequence[Pair]) -> list[Pair]:
    """Let every pair's teacher be a replicate of the others' teachers, as the seeds of a study."""
    return [
        replace(
            pair,
            replicates=[
                *(other.teacher for other in pairs if other is not pair),
                *pair.replicates,
            ],
        )
        for pair in pairs
    ]


def analyse_pairs(pairs: Sequence[Pair], resamples: int, seed: int) -> xr.Dataset:
    """Return the analysis of one split, as described in `disobey.analysis.store`.

    Parameters
    ----------
    pairs : sequence of Pair
        Over the same examples. Each stands for a seed: one pair alone has no interval, but an
        ``example_variance``.
    resamples : int
        Bootstrap resamples of the examples, identical for all pairs; 0 for a training split.
    seed : int
        Of the resamples.

    Returns
    -------
    xarray.Dataset
    """
    drawn = Resamples.draw(len(pairs[0].teacher), resamples, seed)
    rows = np.stack([PairAnalysis(pair, drawn).table() for pair in pairs])
    by_pair = np.moveaxis(rows, -1, 1)  # (pair, row, subset, statistic, model)
    estimate, low, high = crossed_interval(by_pair)
    cell = ("subset", "statistic", "model")
    examples = [[int(where.sum()) for where in pair.subsets().values()] for pair in pairs]
    summary = xr.Dataset(
        {
            "value": ((*cell, "seed"), np.moveaxis(rows[..., 0], 0, -1)),
            "estimate": (cell, estimate),
            "low": (cell, low),
            "high": (cell, high),
            "example_variance": (cell, example_variance(by_pair)),
            "examples": (("seed", "subset"), examples),
        },
        coords={
            "subset": list(SUBSETS),
            "statistic": list(STATISTICS),
            "model": list(MODELS),
            "seed": np.arange(len(pairs)),
        },
    )
    return xr.merge([summary, _plot(pairs)])


def _plot(pairs: Sequence[Pair]) -> xr.Dataset:
    """Return the paper's plot: every teacher against its student, and its reference if any."""
    roles = [role for role in COMPARED if role in pairs[0].compared]
    own = [pair.teacher.argmax(1) for pair in pairs]

    def together(models: Sequence[np.ndarray]) -> np.ndarray:
        phi = [confidence_logit(z, chosen) for z, chosen in zip(models, own, strict=True)]
        return np.concatenate(phi)

    teacher = together([pair.teacher for pair in pairs])
    models = [together([pair.compared[role] for pair in pairs]) for role in roles]
    return student_teacher_plot(roles, teacher, models)
