"""Model outputs for the examples of a page: confidence logits, top classes, and densities."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from disobey.analysis.confidence import confidence_logit
from disobey.explorer.page import Columns
from disobey.stores.reader import StoredRows

TOP = 3
# Number of logits read at a time, so that a store may be larger than the memory.
BLOCK_LOGITS = 1 << 20
# Cells along each axis of a density.
CELLS = 64
# Probabilities, from 0 to 1, and Brier scores, from 0 to 2, are stored in this many equal steps.
PROBABILITY_STEPS = 65535
LARGEST_BRIER = 2


@dataclass(frozen=True)
class SeedRuns:
    """The ids of the runs of one seed of a setting.

    A comparison may have no reference. The replicate, a teacher of another seed, is None if there
    is no other teacher.
    """

    teacher: str
    reference: str | None
    student: str
    replicate: str | None

    @property
    def models(self) -> list[str]:
        """The models that are compared with the teacher."""
        return [run for run in (self.reference, self.student) if run is not None]

    @property
    def all(self) -> list[str]:
        """Every run that a page reads."""
        return [self.teacher, *self.models, *([self.replicate] if self.replicate else [])]


def seeds_of(spec: Mapping[str, Any]) -> list[SeedRuns]:
    """Return the runs of each seed from the spec of a setting's confidence analysis.

    Only one replicate is shown, while the analysis averages over all: it is the next different
    teacher in the list of teachers, cyclically.
    """
    teachers, students = spec["teachers"], spec["students"]
    references = spec["references"] or [None] * len(students)
    # Teachers beyond the number of students are replicates.
    found = []
    for seed, of_seed in enumerate(zip(teachers, references, students, strict=False)):
        others = (one for one in (*teachers[seed:], *teachers[:seed]) if one != teachers[seed])
        found.append(SeedRuns(*of_seed, next(others, None)))
    return found


class Confidences:
    """Confidence logits of models on one split, read in blocks of examples.

    ``paths`` contains the store and the variable of each run's logits.
    """

    def __init__(self, paths: Mapping[str, tuple[Path, str]], split: str) -> None:
        self.paths, self.split = paths, split
        self._predictions: dict[str, np.ndarray] = {}
        self._phi: dict[tuple[str, str], np.ndarray] = {}

    def phi(self, run: str, chosen_by: str) -> np.ndarray:
        """Return a run's confidence logits of the class that the run ``chosen_by`` predicts.

        The array, float32 of shape (example,), is cached. It contains all examples, since those to
        show are chosen among all.
        """
        if (run, chosen_by) not in self._phi:
            chosen = self._prediction(chosen_by)
            parts = [
                confidence_logit(block, chosen[start : start + len(block)]).astype(np.float32)
                for start, block in self.blocks(run)
            ]
            self._phi[run, chosen_by] = np.concatenate(parts)
        return self._phi[run, chosen_by]

    def gap(self, teacher: str, model: str, chosen_by: str) -> np.ndarray:
        """Return the absolute gap in confidence logits of model and teacher; -1 if not finite."""
        gap = np.abs(self.phi(model, chosen_by) - self.phi(teacher, chosen_by))
        return np.where(np.isfinite(gap), gap, -1)

    def _prediction(self, run: str) -> np.ndarray:
        """Return the class that a run predicts for each example, shape (example,); cached."""
        if run not in self._predictions:
            parts = [block.argmax(1).astype(np.int32) for _, block in self.blocks(run)]
            self._predictions[run] = np.concatenate(parts)
        return self._predictions[run]

    def blocks(self, run: str) -> Iterator[tuple[int, np.ndarray]]:
        """Yield blocks of a run's logits, each with the position of its first row."""
        path, variable = self.paths[run]
        with StoredRows(path, self.split, variable) as rows:
            examples, classes = rows.shape
            block = max(1, BLOCK_LOGITS // classes)
            for start in range(0, examples, block):
                yield start, rows[start : start + block]


def plots_of(seeds: Iterable[SeedRuns]) -> Iterator[tuple[SeedRuns, str, str]]:
    """Yield every plot: the runs of a seed, the model, and the run whose prediction is used."""
    for runs in seeds:
        for chosen_by in (runs.teacher, runs.replicate):
            if chosen_by is not None:
                for model in runs.models:
                    yield runs, model, chosen_by


def worst(
    confidences: Confidences, seeds: Iterable[SeedRuns], sampled: np.ndarray, most: int
) -> tuple[np.ndarray, int]:
    """Return the examples to add to a sample so that it contains the worst ones of every plot.

    Parameters
    ----------
    confidences : Confidences
    seeds : iterable of SeedRuns
        The runs of all settings on the split.
    sampled : ndarray of int
        Positions in the sample.
    most : int
        Maximum number of examples to add.

    Returns
    -------
    added : ndarray of int
        Sorted positions.
    depth : int
        Number of examples in each plot, those that deviate most from the teacher, that the extended
        sample contains.
    """
    plots = dict.fromkeys((runs.teacher, *rest) for runs, *rest in plots_of(seeds))
    leaders = []
    for teacher, model, chosen_by in plots:
        gap = confidences.gap(teacher, model, chosen_by)
        furthest = np.argsort(-gap, kind="stable")[: len(sampled) + most]
        leaders.append(furthest[gap[furthest] >= 0])
    shown, added, depth = set(sampled.tolist()), set[int](), 0
    for rank in range(min(map(len, leaders), default=0)):
        more = {int(order[rank]) for order in leaders} - shown - added
        if len(added) + len(more) > most:
            break
        added |= more
        depth = rank + 1
    return np.array(sorted(added), np.int64), depth


class SplitDeviations:
    """Adds columns with model outputs on one split of one data store.

    ``positions`` are the sorted positions of the examples shown. If these are fewer than
    ``examples``, the number of all examples, densities of all examples are added.
    """

    def __init__(
        self,
        columns: Columns,
        confidences: Confidences,
        positions: np.ndarray,
        examples: int,
    ) -> None:
        self.columns, self.confidences, self.positions = columns, confidences, positions
        self.split = confidences.split
        self.is_sampled = len(positions) < examples

    def add(
        self, runs: SeedRuns, labels: str | None = None, label: np.ndarray | None = None
    ) -> list[dict[str, Any]]:
        """Add the columns of one seed of a setting; return its densities, if any.

        ``label``, (example,), contains the labels of the examples shown, from the store with the
        id ``labels``; both are None without labels.
        """
        for run in runs.all:
            self._add_probabilities(run, labels, label)
        densities = []
        for _, model, chosen_by in plots_of([runs]):
            for run in (runs.teacher, model):
                self._add_phi(run, chosen_by)
            if self.is_sampled:
                densities.append(self._add_density(runs.teacher, model, chosen_by))
        return densities

    def _add_phi(self, run: str, chosen_by: str) -> None:
        """Add a run's confidence logits of the class that the run ``chosen_by`` predicts."""
        name = f"phi/{run}/{chosen_by}/{self.split}"
        if name not in self.columns:
            self.columns.add_scaled(name, self.confidences.phi(run, chosen_by)[self.positions])

    def _add_density(self, teacher: str, model: str, chosen_by: str) -> dict[str, Any]:
        """Add the log counts of all examples in cells, in 255 steps; return the cells' extent."""
        name = f"density/{teacher}/{model}/{chosen_by}/{self.split}"
        x, y = (self.confidences.phi(run, chosen_by) for run in (teacher, model))
        finite = np.isfinite(x) & np.isfinite(y)
        counts, x_edges, y_edges = np.histogram2d(x[finite], y[finite], CELLS)
        if name not in self.columns:
            levels = np.log1p(counts) / np.log1p(max(1.0, counts.max(initial=0)))
            self.columns.add(name, np.ceil(255 * levels).astype(np.uint8))
        extent = [float(edge) for edge in (x_edges[0], x_edges[-1], y_edges[0], y_edges[-1])]
        return {"column": name, "cells": CELLS, "extent": extent}

    def _add_probabilities(self, run: str, labels: str | None, label: np.ndarray | None) -> None:
        """Add top classes with their probabilities, and Brier scores, of the examples shown."""
        top = f"top/{run}/{self.split}"
        brier = None if labels is None else f"brier/{run}/{labels}/{self.split}"
        if top in self.columns and (brier is None or brier in self.columns):
            return
        logits = self._shown_logits(run)
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        if top not in self.columns:
            order = np.argsort(-logits, axis=1, kind="stable")[:, :TOP]
            self.columns.add_integers(top, order)
            steps = np.rint(PROBABILITY_STEPS * np.take_along_axis(p, order, 1)).astype(np.uint16)
            self.columns.add(f"probability/{run}/{self.split}", steps, 1 / PROBABILITY_STEPS)
        if brier is not None and label is not None:
            score = (p**2).sum(1) - 2 * p[np.arange(len(p)), label] + 1
            steps = np.rint(PROBABILITY_STEPS / LARGEST_BRIER * score.clip(0)).astype(np.uint16)
            self.columns.add(brier, steps, LARGEST_BRIER / PROBABILITY_STEPS)

    def _shown_logits(self, run: str) -> np.ndarray:
        """Return the logits of the examples shown, in float64."""
        parts = []
        for start, block in self.confidences.blocks(run):
            first, last = np.searchsorted(self.positions, [start, start + len(block)])
            parts.append(block[self.positions[first:last] - start].astype(np.float64))
        return np.concatenate(parts)
