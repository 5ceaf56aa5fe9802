"""Analyse one setting: how students and references deviate from the teacher in confidence."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from disobey.analysis.names import REFERENCE, STUDENT, TEACHER
from disobey.analysis.setting import SplitLogits, analyse
from disobey.analysis.store import SPLITS
from disobey.errors import UserError
from disobey.stores.reader import read_arrays
from disobey.stores.writer import NetcdfWriter

if TYPE_CHECKING:
    from disobey.stages.command import Job


def run(job: "Job") -> None:
    """Read the logits of all models and seeds; write the analysis store."""
    spec = job.spec
    attributes = {"about": json.dumps(spec["about"]), "setting": job.id}
    with job.write(job.store) as path, NetcdfWriter(path, attributes) as writer:
        for name in SPLITS:
            split = read_split(job, spec, name)
            # On the training set the examples are the population: nothing to resample.
            resamples = spec["analysis"]["resamples"] if name == "test" else 0
            print(f"{name}: {len(split.label)} examples, {resamples} resamples", file=sys.stderr)
            found = analyse(split, resamples, spec["analysis"]["seed"])
            found = found.assign_coords(seed=("seed", list(spec["seeds"])))
            writer.write_dataset(name, found)


def read_split(job: "Job", spec: Mapping[str, Any], split: str) -> SplitLogits:
    """Read one split of every run; all must hold the same examples, labels and classes.

    Raises
    ------
    UserError
        Naming the two stores that do not fit together.
    """
    runs: dict[str, Sequence[str]] = {
        TEACHER: spec["teachers"],
        REFERENCE: spec["references"],
        STUDENT: spec["students"],
    }
    first = spec["teachers"][0]
    shared: dict[str, np.ndarray] = {}
    logits: dict[str, list[np.ndarray]] = {role: [] for role in runs}
    for role, ids in runs.items():
        for id in ids:
            arrays = read_arrays(job.input(id).file(), split)
            values = arrays.pop("logits")
            shared = shared or arrays
            for column, expected in shared.items():
                if not np.array_equal(arrays[column], expected):
                    raise UserError(
                        f"{id} and {first}: their {split} stores differ in {column}, so they "
                        f"cannot be compared; both must come from the same data and noise"
                    )
            if logits[TEACHER] and values.shape[1] != logits[TEACHER][0].shape[1]:
                raise UserError(f"{id} and {first}: have different numbers of classes")
            logits[role].append(values)
    return SplitLogits(logits, shared["label"], shared["clean_label"])
