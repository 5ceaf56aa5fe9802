"""Analyse one setting: how a student's progress along eigendirections deviates at equal c_1."""

import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from disobey.analysis.bias import LayerProgress, analyse
from disobey.analysis.histories import (
    Recording,
    check_points,
    check_same_data,
    check_same_directions,
    check_same_start,
    check_same_steps,
    common_ranks,
    read_recording,
)
from disobey.analysis.names import PLACEBOS, REFERENCE, STUDENT
from disobey.errors import UserError
from disobey.stores.layout import HISTORY
from disobey.stores.writer import NetcdfWriter

if TYPE_CHECKING:
    from disobey.job import Job

Recordings = dict[str, list[Recording]]


def run(job: "Job") -> None:
    """Read the histories of all runs; write the bias store."""
    spec = job.spec
    attributes = {
        "about": json.dumps(spec["about"]),
        "setting": job.id,
        "layers": json.dumps(spec["layers"]),
    }
    with job.write(job.store) as path, NetcdfWriter(path, attributes) as writer:
        for layer in spec["layers"]:
            recordings = read_layer(job, layer)
            print(f"{layer}: {', '.join(recordings)}, {len(spec['seeds'])} seeds", file=sys.stderr)
            writer.write_dataset(layer, analyse_layer(recordings, spec["seeds"], _range(job)))


def _range(job: "Job") -> tuple[float, float]:
    low, high = job.spec["range"]
    return float(low), float(high)


def read_layer(job: "Job", layer: str) -> Recordings:
    """Read one layer of every run, by model and seed, and check what may be compared.

    Raises
    ------
    UserError
        See `disobey.analysis.histories`; also for models that are unknown or lack a seed.
    """
    runs, seeds = job.spec["runs"], job.spec["seeds"]
    unknown = [name for name in runs if name not in (REFERENCE, STUDENT, *PLACEBOS)]
    if unknown or REFERENCE not in runs or STUDENT not in runs:
        raise UserError(
            f"bias {job.id}: runs must be those of reference, student and placebos "
            f"({', '.join(PLACEBOS)}), got {', '.join(runs) or 'none'}"
        )
    for name, ids in runs.items():
        if len(ids) != len(seeds):
            raise UserError(
                f"bias {job.id}: {name} has {len(ids)} runs for {len(seeds)} seeds; name one run "
                f"per seed"
            )
    check_same_data([job.input(id) for ids in runs.values() for id in ids])
    names = [name for name in (REFERENCE, STUDENT, *PLACEBOS) if name in runs]
    found = {name: [_recording(job, id, layer) for id in runs[name]] for name in names}
    _check(found, seeds, _range(job))
    ranks = common_ranks(found[REFERENCE])
    return {name: [one.along(ranks) for one in of_model] for name, of_model in found.items()}


def _recording(job: "Job", id: str, layer: str) -> Recording:
    return read_recording(job.input(id).file(f"{id}/{HISTORY}"), id, layer)


def _check(found: Recordings, seeds: list[int], matched: tuple[float, float]) -> None:
    check_same_steps(recording for of_model in found.values() for recording in of_model)
    # Seed by seed: a deeper layer's eigendirections are those of each seed's own teacher.
    for of_seed in zip(*found.values(), strict=True):
        check_same_directions(of_seed)
    for seed, (reference, student, *placebos) in zip(
        seeds, zip(*found.values(), strict=True), strict=True
    ):
        for compared in (student, *placebos):
            check_same_start(compared, reference, seed)
            check_points(compared, reference, matched)
        for placebo in placebos:
            check_points(student, placebo, matched)


def analyse_layer(
    recordings: Recordings, seeds: list[int], matched: tuple[float, float]
) -> xr.Dataset:
    """Return the group of one layer; see `disobey.analysis.bias_store`."""
    references = recordings[REFERENCE]
    first = references[0]
    eigenvalue = np.mean([reference.eigenvalue for reference in references], 0)
    progress = np.array([[one.progress for one in of_model] for of_model in recordings.values()])
    layer = LayerProgress(
        tuple(recordings), tuple(seeds), first.step, progress, first.rank, eigenvalue
    )
    variance = float(np.mean([reference.total_variance for reference in references]))
    return analyse(layer, matched).assign_attrs(total_variance=variance)
