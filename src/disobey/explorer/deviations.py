"""What a page says of models on examples: confidence logits, top classes, and their density."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from disobey.analysis.confidence import confidence_logit
from disobey.explorer.columns import Columns
from disobey.stores.rows import StoredRows

TOP = 3
# Rows of logits read at a time, so that a store may be larger than the memory.
BLOCK_LOGITS = 1 << 20
# Cells along each axis of a density.
CELLS = 64
# A probability is kept as this many equal steps from 0 to 1.
PROBABILITY_STEPS = 65535


@dataclass(frozen=True)
class SeedRuns:
    """The runs of one seed of a setting, by their ids.

    Attributes
    ----------
    teacher, reference, student : str
    replicate : str or None
        A teacher of another seed; None where the study has one seed.
    """

    teacher: str
    reference: str
    student: str
    replicate: str | None


def seeds_of(spec: Mapping[str, Any]) -> list[SeedRuns]:
    """Return the runs of each seed, out of the spec of a setting's confidence analysis.

    The replicate of a seed is the teacher of the next one, of the last seed that of the first: one
    is shown, while the analysis averages over all.
    """
    teachers = spec["teachers"]
    others = [*teachers[1:], teachers[0]] if len(teachers) > 1 else [None]
    runs = zip(teachers, spec["references"], spec["students"], others, strict=True)
    return [SeedRuns(*of_seed) for of_seed in runs]


def density_name(teacher: str, model: str, chosen_by: str, split: str) -> str:
    """Return the column of the density of a model's confidence logits against its teacher's."""
    return f"density/{teacher}/{model}/{chosen_by}/{split}"


def phi_name(run: str, chosen_by: str, split: str) -> str:
    """Return the column of ``run``'s confidence logit in the class that ``chosen_by`` predicts."""
    return f"phi/{run}/{chosen_by}/{split}"


class SplitDeviations:
    """Fills columns with what models of some settings say of one split of one data store.

    Parameters
    ----------
    columns : Columns
    paths : mapping of str to Path
        The logits store of each run.
    split : str
    positions : ndarray of int, rising
        The sampled examples.
    examples : int
        All of them; where there are more than sampled ones, densities show all.
    """

    def __init__(
        self,
        columns: Columns,
        paths: Mapping[str, Path],
        split: str,
        positions: np.ndarray,
        examples: int,
    ) -> None:
        self.columns, self.paths, self.split = columns, paths, split
        self.positions = positions
        self.is_sampled = len(positions) < examples
        self._predictions: dict[str, np.ndarray] = {}

    def add(self, runs: SeedRuns) -> list[dict[str, Any]]:
        """Add the columns of one seed of a setting; return its densities, none unless sampled."""
        densities = []
        for run in (runs.teacher, runs.reference, runs.student):
            self._add_top_classes(run)
        for chosen_by in (runs.teacher, runs.replicate):
            if chosen_by is not None:
                densities += self._add_plot(runs, chosen_by)
        return densities

    def _add_plot(self, runs: SeedRuns, chosen_by: str) -> list[dict[str, Any]]:
        """Add confidence logits in the class that one run predicts."""
        models = (runs.reference, runs.student)
        names = [phi_name(run, chosen_by, self.split) for run in (runs.teacher, *models)]
        if not self.is_sampled and all(name in self.columns for name in names):
            return []  # of another setting with the same runs
        chosen = self._prediction(chosen_by)
        phi = [self._phi(run, chosen) for run in (runs.teacher, *models)]
        for name, values in zip(names, phi, strict=True):
            if name not in self.columns:
                self.columns.add_scaled(name, values[self.positions])
        if not self.is_sampled:
            return []
        return [
            self._add_density(runs.teacher, model, chosen_by, phi[0], of_model)
            for model, of_model in zip(models, phi[1:], strict=True)
        ]

    def _add_density(
        self, teacher: str, model: str, chosen_by: str, x: np.ndarray, y: np.ndarray
    ) -> dict[str, Any]:
        """Count all examples in cells; store the logarithm of the counts in 255 steps."""
        name = density_name(teacher, model, chosen_by, self.split)
        finite = np.isfinite(x) & np.isfinite(y)
        counts, x_edges, y_edges = np.histogram2d(x[finite], y[finite], CELLS)
        if name not in self.columns:
            levels = np.log1p(counts) / np.log1p(max(1.0, counts.max(initial=0)))
            self.columns.add(name, np.ceil(255 * levels).astype(np.uint8))
        extent = [float(edge) for edge in (x_edges[0], x_edges[-1], y_edges[0], y_edges[-1])]
        return {"column": name, "cells": CELLS, "extent": extent}

    def _add_top_classes(self, run: str) -> None:
        """Add the most probable classes of the sampled examples, and their probabilities."""
        if f"top/{run}/{self.split}" in self.columns:
            return
        logits = self._sampled_logits(run)
        order = np.argsort(-logits, axis=1, kind="stable")[:, :TOP]
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        probability = np.take_along_axis(shifted, order, 1) / shifted.sum(1, keepdims=True)
        self.columns.add_integers(f"top/{run}/{self.split}", order)
        steps = np.rint(PROBABILITY_STEPS * probability).astype(np.uint16)
        self.columns.add(f"probability/{run}/{self.split}", steps, 1 / PROBABILITY_STEPS)

    def _sampled_logits(self, run: str) -> np.ndarray:
        """Return the logits of the sampled examples in float64."""
        parts = []
        for start, block in self._blocks(run):
            first, last = np.searchsorted(self.positions, [start, start + len(block)])
            parts.append(block[self.positions[first:last] - start].astype(np.float64))
        return np.concatenate(parts)

    def _prediction(self, run: str) -> np.ndarray:
        """Return the class that a run predicts for each example, remembered."""
        if run not in self._predictions:
            parts = [block.argmax(1).astype(np.int32) for _, block in self._blocks(run)]
            self._predictions[run] = np.concatenate(parts)
        return self._predictions[run]

    def _phi(self, run: str, chosen: np.ndarray) -> np.ndarray:
        """Return a run's confidence logit in the chosen class of every example, float32."""
        parts = [
            confidence_logit(block, chosen[start : start + len(block)]).astype(np.float32)
            for start, block in self._blocks(run)
        ]
        return np.concatenate(parts)

    def _blocks(self, run: str) -> Iterator[tuple[int, np.ndarray]]:
        """Yield blocks of a run's logits, each with the position of its first row."""
        with StoredRows(self.paths[run], self.split, "logits") as rows:
            examples, classes = rows.shape
            block = max(1, BLOCK_LOGITS // classes)
            for start in range(0, examples, block):
                yield start, rows[start : start + block]
