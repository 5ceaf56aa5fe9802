"""The confidence analysis of one setting and split: from logits to a labelled dataset.

Logits may be larger than the memory, so they are read in blocks of examples: once for everything
that depends on single examples, and, if there are replicates, a second time for inner products of
logits centred by class means, which are known only after the first pass. Between the passes, a few
numbers per example are kept in memory (`disobey.analysis.readings.Kept`), such as a confidence
logit for each pair of a model and a teacher.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from disobey.analysis.confidence import CentredLogits, Rows, inheritance, plotted, primary
from disobey.analysis.intervals import crossed_interval, example_variance
from disobey.analysis.leak import enter_held_out
from disobey.analysis.names import (
    ALL,
    CLEAN,
    COMPARED,
    EFFECT,
    MISLABELLED,
    MODELS,
    REFERENCE,
    RIGHT,
    STUDENT,
    SUBSETS,
    TEACHER,
    UNJUDGED,
    WRONG,
)
from disobey.analysis.payoff import (
    COPIED,
    GAINS,
    INHERITED,
    DecilePayoff,
    beyond_reference,
    deviations,
    gains_of,
    mean_gains,
)
from disobey.analysis.plots import plots
from disobey.analysis.quality import (
    FIDELITY,
    QUALITY,
    Block,
    Outputs,
    calibration,
    example_means,
    kl_divergence,
    mean_teacher,
)
from disobey.analysis.readings import Kept, readings
from disobey.analysis.resampling import Averages, Gathered, Resamples, gather, mean_of
from disobey.analysis.statistics import STATISTICS

JUDGED, OF_NOISE = (RIGHT, WRONG), (CLEAN, MISLABELLED)
ROLES = (TEACHER, REFERENCE, STUDENT)
# Most logits of one model in a block, so that they and derived arrays in float64 stay in the cache.
BLOCK_LOGITS = 1 << 18
# Most counts of all resamples in a block.
BLOCK_COUNTS = 1 << 19
SMALLEST_BLOCK, LARGEST_BLOCK = 64, 4096
# The smallest and the largest value of each statistic of each model, (statistic, model, end).
LIMITS = np.array([[one.limits(model) for model in MODELS] for one in STATISTICS.values()])
ROW = {name: row for row, name in enumerate(STATISTICS)}

Statistics = Mapping[str, np.ndarray]
# Role and seed of a model.
Model = tuple[str, int]
# A subset, and the teacher by whose predictions it is defined.
Judged = tuple[str, int]


@dataclass(frozen=True)
class SplitLogits:
    """Logits of a setting's models on one split, seed by seed.

    Attributes
    ----------
    logits : mapping of str to sequence of Rows, shape (example, class)
        For ``teacher``, ``student`` and, if available, ``reference``: one array per seed of the
        study, or an object that reads its rows on slicing. Teachers beyond the number of students
        are only replicates of the others. A teacher of several seeds must be the same object for
        each, and is not a replicate of itself.
    label, clean_label : ndarray of int, shape (example,), or None
        The given label, and the label before noise; without them there are no statistics of
        quality, and the only subset is all examples.
    """

    logits: Mapping[str, Sequence[Rows]]
    label: np.ndarray | None
    clean_label: np.ndarray | None

    @property
    def examples(self) -> int:
        """The number of examples."""
        return self.logits[TEACHER][0].shape[0]


class SplitAnalysis:
    """All statistics of one split; see `analyse`, and `disobey.analysis.store` for the result."""

    def __init__(
        self,
        data: SplitLogits,
        resamples: Resamples,
        block: int,
        seen: xr.Dataset | None = None,
    ) -> None:
        self.data, self.resamples, self.block, self.seen = data, resamples, block, seen
        self.classes = data.logits[TEACHER][0].shape[1]
        self.seeds = range(len(data.logits[STUDENT]))
        self.teachers = range(len(data.logits[TEACHER]))
        self.roles = [role for role in ROLES if data.logits.get(role)]
        self.compared = [role for role in COMPARED if role in self.roles]
        self.models = [(role, seed) for seed in self.seeds for role in self.roles]
        self.models += [(TEACHER, other) for other in self.teachers if other not in self.seeds]
        self.labelled = data.label is not None and data.clean_label is not None
        # Without noise all examples are clean, so their statistics are copied from those of all.
        self.noisy = bool(self.labelled and np.any(data.label != data.clean_label))
        known = {ALL: True, **dict.fromkeys(JUDGED, self.labelled),
                 **dict.fromkeys(OF_NOISE, self.noisy)}  # fmt: skip
        self.subsets = [name for name in SUBSETS if known[name]]
        numbers = {role: len(data.logits[role]) for role in self.roles}
        given = data.label if self.labelled else None
        self.kept = Kept(numbers, len(self.seeds), data.examples, given)
        # Gains of deviations, see `gains_of`, for compared models if there are labels; in float32,
        # which suffices for means within deciles.
        self.gains = {
            (role, seed): np.empty((len(GAINS), data.examples), np.float32)
            for role, seed in itertools.product(self.compared * self.labelled, self.seeds)
        }
        shape = (len(STATISTICS), len(MODELS), len(self.seeds), resamples.rows)
        self.tables = {name: np.full(shape, np.nan) for name in SUBSETS}

    def dataset(self) -> xr.Dataset:
        """Compute all statistics and plots, and return them as the split's dataset."""
        class_mean = self._read()
        self._compare(class_mean)
        if self.labelled and not self.noisy:
            self.tables[CLEAN] = self.tables[ALL].copy()
        if self.seen is not None:
            compared = {role: MODELS.index(role) for role in self.compared}
            enter_held_out(self.tables, ROW, compared, self.seen, self.classes)
        student, reference = MODELS.index(STUDENT), MODELS.index(REFERENCE)
        inherited, copied = ([ROW[name] for name in names] for names in (INHERITED, COPIED))
        for table in self.tables.values():
            table[copied, student] = beyond_reference(
                table[inherited, student], table[inherited, reference]
            )
            table[:, MODELS.index(EFFECT)] = table[:, student] - table[:, reference]
        parts = [self._statistics(name) for name in SUBSETS]
        summary = xr.concat(parts, xr.IndexVariable("subset", list(SUBSETS)))
        summary["most_frequent_class"] = most_frequent_class(self.data.clean_label)
        # No other setting shares the draws of the held-out examples.
        drawn = resampled(self.tables[ALL]) if self.seen is None else xr.Dataset()
        return xr.merge([summary, self._plot(), drawn])

    def subset(self, name: str, teacher: int, rows: slice = slice(None)) -> np.ndarray:
        """Return a mask, shape (example,), of the examples ``rows`` that belong to a subset.

        ``teacher right`` and ``teacher wrong`` depend on the prediction of the given teacher: the
        replicate for statistics conditioned on a replicate, else the student's own teacher.
        """
        predicted = self.kept.prediction[teacher, rows]
        label, clean = self.data.label, self.data.clean_label
        if label is None or clean is None:
            return np.full(len(predicted), name == ALL)
        if name == ALL:
            return np.ones(len(predicted), bool)
        if name in OF_NOISE:
            return (label[rows] == clean[rows]) == (name == CLEAN)
        return (predicted == label[rows]) == (name == RIGHT)

    def _judge(self, name: str, teacher: int) -> Judged:
        """Return a subset with the teacher that defines it: the first one if it depends on none."""
        return name, teacher if name in JUDGED else 0

    def _judged(self) -> list[Judged]:
        """Return all distinct pairs of a subset and the teacher that defines it."""
        pairs = itertools.product(self.subsets, self.teachers)
        return list(dict.fromkeys(self._judge(name, teacher) for name, teacher in pairs))

    def _enter(self, subset: str, model: Model, found: Statistics) -> None:
        """Enter a model's statistics, each of shape (1 + resample,), into the subset's table."""
        role, seed = model
        for name, values in found.items():
            self.tables[subset][ROW[name], MODELS.index(role), seed] = values

    # --- the first pass: statistics of single examples ----------------------------------------

    def _read(self) -> dict[Judged, dict[Model, np.ndarray]]:
        """Read all logits, keep numbers per example, and enter means over examples.

        Returns the class means, (class,), of each model's centred logits by subset; empty without
        replicates.
        """
        means = {(role, i): self._means_of(role, i) for i in self.seeds for role in self.roles}
        sums: dict[Model, np.ndarray | float] = dict.fromkeys(self.models, 0.0)
        for rows, counts in self.resamples.blocks(self.block):
            logits = {(role, i): self.data.logits[role][i][rows] for role, i in self.models}
            self.kept.prediction[:, rows] = [logits[TEACHER, i].argmax(1) for i in self.teachers]
            teachers = [Outputs(logits[TEACHER, other]) for other in self.teachers]
            for other in self.teachers[len(self.seeds) :]:
                self.kept.keep_confidence(TEACHER, other, teachers[other], rows)
            for seed in self.seeds:
                where = np.column_stack([self.subset(name, seed, rows) for name in self.subsets])
                for role, block in self._blocks(seed, logits, teachers, rows).items():
                    for subsets, one in means[role, seed]:
                        one.add(counts, block, where[:, np.isin(self.subsets, subsets)])
            if self.replicated:
                inside = np.array([self.subset(*judged, rows) for judged in self._judged()], float)
                for model in self.models:
                    sums[model] += inside @ CentredLogits(logits[model])[slice(None)]
        for model, found in means.items():
            by_subset = [zip(subsets, one.statistics(), strict=True) for subsets, one in found]
            for subset, statistics in itertools.chain.from_iterable(by_subset):
                self._enter(subset, model, statistics)
        return self._class_means(sums) if self.replicated else {}

    def _means_of(self, role: str, seed: int) -> list[tuple[list[str], Averages]]:
        """Return the averages to compute for a model, each with the names of its subsets."""
        everywhere = [example_means(QUALITY), calibration()] if self.labelled else []
        of_unjudged = []
        if role in self.compared:
            everywhere += [example_means(FIDELITY), *([mean_gains()] if self.labelled else [])]
            kinds = {"labelled": self.labelled, "replicated": bool(self._others(seed))}
            of_unjudged = deviations(self.classes, **kinds)
        unjudged = [name for name in self.subsets if name in UNJUDGED]
        found = [(self.subsets, one) for one in everywhere]
        return found + [(unjudged, one) for one in of_unjudged]

    def _blocks(
        self,
        seed: int,
        logits: Mapping[Model, np.ndarray],
        teachers: Sequence[Outputs],
        rows: slice,
    ) -> dict[str, Block]:
        """Return the `Block` of each role in one seed; keep numbers that are needed later."""
        label, clean = (
            np.empty(0, int) if column is None else column[rows]
            for column in (self.data.label, self.data.clean_label)
        )
        teacher, blocks = teachers[seed], {}
        others = mean_teacher([teachers[other] for other in self._others(seed)])
        for role in self.roles:
            model = teacher if role == TEACHER else Outputs(logits[role, seed])
            self.kept.keep(role, seed, model, rows)
            kl = gains = np.empty(0)
            if role in self.compared:
                self.kept.kl[role][seed, rows] = kl = kl_divergence(teacher, model)
                if self.labelled:
                    gains = gains_of(model, teacher, label)
                    self.gains[role, seed][:, rows] = gains.T
            blocks[role] = Block(model, teacher, kl, label, clean, gains, others)
        return blocks

    def _class_means(
        self, sums: Mapping[Model, np.ndarray | float]
    ) -> dict[Judged, dict[Model, np.ndarray]]:
        """Return class means from each model's sums over subsets, (subset, class)."""
        means: dict[Judged, dict[Model, np.ndarray]] = {}
        for k, judged in enumerate(self._judged()):
            # The mean of an empty subset is never used.
            number = max(1, int(self.subset(*judged).sum()))
            means[judged] = {model: np.asarray(total)[k] / number for model, total in sums.items()}
        return means

    # --- the second pass: statistics that depend on the other examples ------------------------

    def _compare(self, class_mean: Mapping[Judged, Mapping[Model, np.ndarray]]) -> None:
        """Enter the statistics that depend on quantiles of confidence or on class means."""
        where = {judged: self.subset(*judged) for judged in self._judged()}
        groups: dict[tuple[str, Model], list[list[Averages]]] = {}
        for name, role, seed in itertools.product(self.subsets, self.compared, self.seeds):
            own = self.kept.phi[role][seed, seed], self.kept.phi[TEACHER][seed, seed]
            by_replicate = []
            for other in self._others(seed):
                m, t, r = (self.kept.phi[of][i, other] for of, i in _trio(role, seed, other))
                by_replicate.append(primary(m, t, r, where[self._judge(name, other)]))
            inside = where[self._judge(name, seed)]
            groups[name, (role, seed)] = [[plotted(*own, inside)], by_replicate]
            if self.labelled and name in UNJUDGED:
                wrong = ~self.subset(CLEAN, 0) if self.noisy and name == ALL else None
                found = readings(self.kept, own, (role, seed), self._others(seed), inside, wrong)
                groups[name, (role, seed)] += found
        logits = {(role, i): CentredLogits(self.data.logits[role][i]) for role, i in self.models}
        inherited = {
            judged: inheritance(logits, means, trios, where[judged])
            for judged, means in class_mean.items()
            if (trios := self._trios(*judged))
        }
        deciles = self._deciles()
        averages = [one for of_model in groups.values() for group in of_model for one in group]
        everything: list[Gathered] = [*averages, *inherited.values(), *deciles.values()]
        gather(self.resamples, everything, self.block)
        by_trio = {judged: one.statistics() for judged, one in inherited.items()}
        for (name, model), of_model in groups.items():
            for group in of_model:
                self._enter(name, model, mean_of([one.statistics() for one in group]))
            copied = [
                by_trio[self._judge(name, other)][_trio(*model, other)]
                for other in self._others(model[1])
            ]
            self._enter(name, model, mean_of(copied))
        for model in self.gains:
            in_deciles = [deciles[other].statistics(model) for other in self._others(model[1])]
            self._enter(ALL, model, mean_of(in_deciles))

    def _deciles(self) -> dict[int, DecilePayoff]:
        """Return the pay-off in deciles of the confidence of each teacher that is a replicate."""
        found = {}
        for other in self.teachers:
            gains = {m: of for m, of in self.gains.items() if other in self._others(m[1])}
            if gains:
                found[other] = DecilePayoff(gains, self.kept.phi[TEACHER][other, other])
        return found

    def _others(self, seed: int) -> list[int]:
        """Return the indices of the replicates of this seed's teacher."""
        teachers = self.data.logits[TEACHER]
        return [other for other in self.teachers if teachers[other] is not teachers[seed]]

    @property
    def replicated(self) -> bool:
        """True if any seed's teacher has a replicate."""
        return any(self._others(seed) for seed in self.seeds)

    def _trios(self, name: str, teacher: int) -> list[tuple[Model, Model, Model]]:
        """Return the trios to compare on a subset; if judged, those with the judge as replicate."""
        replicates = (teacher,) if name in JUDGED else self.teachers
        return [
            _trio(role, seed, other)
            for other in replicates
            for seed in self.seeds
            if other in self._others(seed)
            for role in self.compared
        ]

    # --- the result ---------------------------------------------------------------------------

    def _statistics(self, subset: str) -> xr.Dataset:
        """Return values, estimates, intervals, variances and counts of one subset."""
        table = self.tables[subset]
        by_seed = np.moveaxis(table, (2, 3), (0, 1))  # (seed, row, statistic, model)
        estimate, low, high = crossed_interval(by_seed)
        cell = ("statistic", "model")
        return xr.Dataset(
            {
                "value": ((*cell, "seed"), table[..., 0]),
                "estimate": (cell, estimate),
                "low": (cell, np.maximum(low, LIMITS[..., 0])),
                "high": (cell, np.minimum(high, LIMITS[..., 1])),
                "example_variance": (cell, example_variance(by_seed)),
                "examples": ("seed", [int(self.subset(subset, i).sum()) for i in self.seeds]),
            },
            coords={"statistic": list(STATISTICS), "model": list(MODELS)},
        )

    def _plot(self) -> xr.Dataset:
        """Return the data of the paper's plot and its variants, each model against its own teacher.

        Must be called last: it discards the confidence logits to save memory.
        """

        def diagonal(role: str) -> np.ndarray:
            of_role = self.kept.phi.pop(role)
            return np.stack([of_role[i, i] for i in self.seeds])

        phi = {role: diagonal(role) for role in (TEACHER, *self.compared)}
        clean = self.subset(CLEAN, 0) if self.noisy else None
        return plots(self.kept, phi, clean, self.classes)


def _trio(role: str, seed: int, other: int) -> tuple[Model, Model, Model]:
    """Return a model, its teacher and a replicate."""
    return (role, seed), (TEACHER, seed), (TEACHER, other)


def most_frequent_class(label: np.ndarray | None) -> float:
    """Return the share of the most frequent class: the accuracy of a constant answer, or NaN."""
    return np.nan if label is None else float(np.bincount(label).max() / len(label))


def resampled(table: np.ndarray) -> xr.Dataset:
    """Return the mean over seeds in each resample, (statistic, model, resample), if there are any.

    The draws depend only on the number of examples and the seed of the study, so settings over the
    same test set share them, and the example variance of a contrast between settings is exact.
    """
    if table.shape[-1] == 1:
        return xr.Dataset()
    means = table[..., 1:].mean(2).astype(np.float32)
    return xr.Dataset({"resampled": (("statistic", "model", "resample"), means)})


def analyse(
    split: SplitLogits,
    resamples: int,
    seed: int,
    block: int | None = None,
    seen: xr.Dataset | None = None,
) -> xr.Dataset:
    """Analyse one split, with ``resamples`` of the examples: 0 for a training split.

    ``seed`` is the seed of the resamples, and ``block`` the number of examples to read at a time,
    which does not affect results. If ``split`` contains the held-out training examples, ``seen`` is
    the analysis of the others. See `disobey.analysis.store` for the dataset.
    """
    drawn = Resamples(split.examples, resamples, seed)
    if block is None:
        classes = split.logits[TEACHER][0].shape[1]
        most = min(BLOCK_LOGITS // classes, BLOCK_COUNTS // drawn.rows, LARGEST_BLOCK)
        block = max(most, SMALLEST_BLOCK)
    return SplitAnalysis(split, drawn, block, seen).dataset()
