"""Analyse one setting: how students and references deviate from the teacher in confidence."""

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from disobey.analysis.confidence import Rows
from disobey.analysis.names import HELD_OUT, REFERENCE, STUDENT, TEACHER
from disobey.analysis.setting import SplitLogits, analyse
from disobey.analysis.store import SPLITS
from disobey.errors import UserError
from disobey.job import Job
from disobey.stores.layout import store_and_variable
from disobey.stores.reader import ChosenRows, StoredRows, read_columns

Runs = Mapping[str, Sequence[str]]
# Rows that are analysed at a time.
BLOCK = 256


def run(job: "Job") -> None:
    """Read the logits of all models and seeds, block by block; write the analysis store."""
    spec = job.spec
    runs: Runs = {
        TEACHER: spec["teachers"],
        REFERENCE: spec["references"],
        STUDENT: spec["students"],
    }
    # Verified once instead of once per split: a store may have gigabytes.
    stored = {address: store_and_variable(address) for of in runs.values() for address in of}
    files = {id: job.input(id).file() for id in dict.fromkeys(id for id, _ in stored.values())}
    paths = {address: (files[id], variable) for address, (id, variable) in stored.items()}
    attributes = {"about": json.dumps(spec["about"]), "setting": job.id}
    seen = None
    with job.netcdf(attributes) as writer:
        for name in spec.get("splits", SPLITS):
            with ExitStack() as opened:
                split = open_split(paths, runs, name, opened)
                # The training examples are the population, so nothing is resampled.
                resamples = 0 if name == "train" else spec["analysis"]["resamples"]
                print(f"{name}: {split.examples} examples, {resamples} resamples", file=sys.stderr)
                of_seen = seen if name == HELD_OUT else None
                found = analyse(split, resamples, spec["analysis"]["seed"], seen=of_seen)
            found = found.assign_coords(seed=("seed", list(spec["seeds"])))
            seen = found if name == "train" else seen
            writer.write_dataset(name, found)


def open_split(
    paths: Mapping[str, tuple[Path, str]], runs: Runs, split: str, files: ExitStack
) -> SplitLogits:
    """Open one split of every run; all must have the same examples, labels and classes.

    If student and reference saw only a share of the training examples, which their stores record,
    ``train`` contains these examples and ``held_out`` the others.

    Parameters
    ----------
    paths : mapping of str to (Path, str)
        The logits of each run: a store and its variable.
    runs : mapping of str to sequence of str
        The run of each seed, by role; further teachers are replicates.
    split : str
    files : ExitStack
        Closes the stores.

    Raises
    ------
    UserError
        If two stores do not match or belong to the same teacher; the message names both.
    """
    first = runs[TEACHER][0]
    held_out, split = split == HELD_OUT, "train" if split == HELD_OUT else split
    opened: dict[str, StoredRows] = {}
    shared: dict[str, np.ndarray] = {}
    seen: dict[bytes, np.ndarray] = {}
    for id, (path, variable) in paths.items():
        arrays = read_columns(path, split)
        of_run = arrays.pop("seen", None)
        seen |= {} if of_run is None else {of_run.tobytes(): of_run}
        if len(seen) > 1:
            raise UserError(
                f"{id}: was trained on another share of the training examples than a run with "
                f"which it is compared; name runs of one share"
            )
        shared = shared or arrays
        for column, expected in shared.items():
            if not np.array_equal(arrays[column], expected):
                raise UserError(
                    f"{id} and {first}: their {split} stores differ in {column}, so they "
                    f"cannot be compared; both must come from the same data and noise"
                )
        opened[id] = files.enter_context(StoredRows(path, split, variable))
        if opened[id].shape != opened[first].shape:
            raise UserError(
                f"{id} and {first}: have different numbers of classes, so they cannot be "
                f"compared; both must come from the same data"
            )
    _refuse_twice({id: opened[id] for id in runs[TEACHER]}, split)
    shown: dict[str, Rows] = dict(opened)
    for mask in seen.values():
        rows = np.flatnonzero(mask == (not held_out))
        shown = {id: ChosenRows(of_run, rows) for id, of_run in opened.items()}
        shared = {column: values[rows] for column, values in shared.items()}
    logits = {role: [shown[id] for id in ids] for role, ids in runs.items()}
    return SplitLogits(logits, shared.get("label"), shared.get("clean_label"))


def _refuse_twice(teachers: Mapping[str, StoredRows], split: str) -> None:
    """Refuse a teacher with two names: it would be its own replicate and share its own noise.

    Different teachers differ in their first rows, so only those are read.
    """
    for (id, rows), (other, others) in itertools.combinations(teachers.items(), 2):
        blocks = (slice(start, start + BLOCK) for start in range(0, rows.shape[0], BLOCK))
        if all(np.array_equal(rows[block], others[block]) for block in blocks):
            raise UserError(
                f"{id} and {other}: hold the same {split} logits, so they are one teacher under "
                f"two names; name another one, or each teacher once"
            )
