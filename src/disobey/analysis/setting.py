"""The confidence analysis of one setting and split: from logits to a labelled dataset.

Logits may be larger than the memory. They are read in blocks of examples: once for everything that
depends on single examples, and, where there are replicates, a second time for inner products of
logits about class means, which are known only after the first reading. In between, memory holds a
few numbers per example (`disobey.analysis.readings.Kept`), such as a confidence logit for each pair
of a model and a teacher.
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
# Logits of one model in a block: in float64 they, and what is computed of them, stay in a cache.
BLOCK_LOGITS = 1 << 18
# Counts of all resamples in a block.
BLOCK_COUNTS = 1 << 19
SMALLEST_BLOCK, LARGEST_BLOCK = 64, 4096
# The smallest and the largest value of each statistic of each model, (statistic, model, end).
LIMITS = np.array([[one.limits(model) for model in MODELS] for one in STATISTICS.values()])
ROW = {name: row for row, name in enumerate(STATISTICS)}

Statistics = Mapping[str, np.ndarray]
# A model of a seed, by its role.
Model = tuple[str, int]
# A subset, and by which teacher it is judged.
Judged = tuple[str, int]


@dataclass(frozen=True)
class SplitLogits:
    """Logits of a setting's models on one split, seed by seed.

    Attributes
    ----------
    logits : mapping of str to sequence of Rows, shape (example, class)
        For ``teacher``, ``student`` and, where there are any, ``reference`` one array per seed of
        the study, or what reads its rows when it is asked for a slice of them. Teachers beyond the
        number of students are replicates of the others and nothing else; one that teaches several
        seeds is the same object for each, and no replicate of itself.
    label, clean_label : ndarray of int, shape (example,), or None
        The given label, and the one before noise; without them there is no quality, and no subset
        but all examples.
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
        # Without noise all examples are clean, and there is nothing to compute twice.
        self.noisy = bool(self.labelled and np.any(data.label != data.clean_label))
        known = {ALL: True, **dict.fromkeys(JUDGED, self.labelled),
                 **dict.fromkeys(OF_NOISE, self.noisy)}  # fmt: skip
        self.subsets = [name for name in SUBSETS if known[name]]
        numbers = {role: len(data.logits[role]) for role in self.roles}
        given = data.label if self.labelled else None
        self.kept = Kept(numbers, len(self.seeds), data.examples, given)
        # What deviations are worth, see `gains_of`; of models that are compared, where labelled; in
        # half the digits, which suffice for means within deciles.
        self.gains = {
            (role, seed): np.empty((len(GAINS), data.examples), np.float32)
            for role, seed in itertools.product(self.compared * self.labelled, self.seeds)
        }
        shape = (len(STATISTICS), len(MODELS), len(self.seeds), resamples.rows)
        self.tables = {name: np.full(shape, np.nan) for name in SUBSETS}

    def dataset(self) -> xr.Dataset:
        """Compute everything."""
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
        # Draws of the held-out examples are no other setting's.
        drawn = resampled(self.tables[ALL]) if self.seen is None else xr.Dataset()
        return xr.merge([summary, self._plot(), drawn])

    def subset(self, name: str, teacher: int, rows: slice = slice(None)) -> np.ndarray:
        """Return which of the examples ``rows`` belong to a subset, shape (example,).

        ``teacher right`` and ``wrong`` are judged by the given teacher and label: for statistics
        that condition on a replicate that is the replicate, else the student's own teacher.
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
        """Return a subset with its judge: always the first teacher where it needs none."""
        return name, teacher if name in JUDGED else 0

    def _judged(self) -> list[Judged]:
        """Return all subsets that differ."""
        pairs = itertools.product(self.subsets, self.teachers)
        return list(dict.fromkeys(self._judge(name, teacher) for name, teacher in pairs))

    def _enter(self, subset: str, model: Model, found: Statistics) -> None:
        """Put statistics, each of shape (1 + resample,), into the table of their subset."""
        role, seed = model
        for name, values in found.items():
            self.tables[subset][ROW[name], MODELS.index(role), seed] = values

    # --- the first reading: all that an example says by itself --------------------------------

    def _read(self) -> dict[Judged, dict[Model, np.ndarray]]:
        """Read all logits; keep predictions and confidence logits, enter what they complete.

        Returns class means, (class,), of each model's centred logits; none without replicates.
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
        """Return what is averaged over the examples of a model, and in which subsets."""
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
        """Return a block of one seed as statistics see it, by role; keep what is needed later."""
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
        """Divide sums over subsets, (subset, class) for each model, by the subsets' sizes."""
        means: dict[Judged, dict[Model, np.ndarray]] = {}
        for k, judged in enumerate(self._judged()):
            # An empty subset has no example to centre.
            number = max(1, int(self.subset(*judged).sum()))
            means[judged] = {model: np.asarray(total)[k] / number for model, total in sums.items()}
        return means

    # --- the second reading: all that needs to know the other examples ------------------------

    def _compare(self, class_mean: Mapping[Judged, Mapping[Model, np.ndarray]]) -> None:
        """Enter what depends on quantiles of confidence and on class means."""
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
        """Return the pay-off in deciles of each teacher's confidence, as others' replicate."""
        found = {}
        for other in self.teachers:
            gains = {m: of for m, of in self.gains.items() if other in self._others(m[1])}
            if gains:
                found[other] = DecilePayoff(gains, self.kept.phi[TEACHER][other, other])
        return found

    def _others(self, seed: int) -> list[int]:
        """Return which teachers are replicates of this seed's teacher."""
        teachers = self.data.logits[TEACHER]
        return [other for other in self.teachers if teachers[other] is not teachers[seed]]

    @property
    def replicated(self) -> bool:
        """Whether any seed's teacher has a replicate."""
        return any(self._others(seed) for seed in self.seeds)

    def _trios(self, name: str, teacher: int) -> list[tuple[Model, Model, Model]]:
        """Return what is to be compared on a subset: those of the replicate that judges it."""
        replicates = (teacher,) if name in JUDGED else self.teachers
        return [
            _trio(role, seed, other)
            for other in replicates
            for seed in self.seeds
            if other in self._others(seed)
            for role in self.compared
        ]

    # --- what comes out -----------------------------------------------------------------------

    def _statistics(self, subset: str) -> xr.Dataset:
        """Return value, estimate, interval, variance and counts of one subset."""
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
        """Return the paper's plot and its variants: teacher i against its student and reference.

        Comes last: it lets go of the confidence logits, and takes the memory of a part of them.
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
    """Return the share of the most frequent class, the accuracy of always naming it, or NaN."""
    return np.nan if label is None else float(np.bincount(label).max() / len(label))


def resampled(table: np.ndarray) -> xr.Dataset:
    """Return the mean over seeds of each resample, (statistic, model, resample); empty without any.

    The draws depend on the number of examples and on the seed of the study alone, so settings over
    the same test set share them, and a contrast of two settings has its exact example variance.
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

    ``seed`` is that of the resamples, and ``block`` the number of examples to be read at a time,
    which changes no result. Where ``split`` is of the held-out training examples, ``seen`` is the
    analysis of the others.
    """
    drawn = Resamples(split.examples, resamples, seed)
    if block is None:
        classes = split.logits[TEACHER][0].shape[1]
        most = min(BLOCK_LOGITS // classes, BLOCK_COUNTS // drawn.rows, LARGEST_BLOCK)
        block = max(most, SMALLEST_BLOCK)
    return SplitAnalysis(split, drawn, block, seen).dataset()
