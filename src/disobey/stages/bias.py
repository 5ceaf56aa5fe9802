"""Analyse one setting: how a student's progress along eigendirections deviates at equal c_1."""

import json
import sys

import numpy as np
import xarray as xr

from disobey.analysis.bias import analyse, recorded
from disobey.analysis.histories import (
    check_points,
    check_same,
    check_same_data,
    check_same_start,
    common_ranks,
    read_recording,
)
from disobey.analysis.names import PLACEBOS, REFERENCE, STUDENT, TEACHER
from disobey.analysis.pairs import Pairs, analyse_pairs
from disobey.errors import UserError
from disobey.job import Job
from disobey.stores.layout import HISTORY

Recordings = dict[str, list[xr.Dataset]]


def run(job: "Job") -> None:
    """Read the histories of all runs; write the bias store."""
    spec = job.spec
    attributes = {
        "about": json.dumps(spec["about"]),
        "setting": job.id,
        "layers": json.dumps(spec["layers"]),
    }
    with job.netcdf(attributes) as writer:
        for layer in spec["layers"]:
            recordings = read_layer(job, layer)
            print(f"{layer}: {', '.join(recordings)}, {len(spec['seeds'])} seeds", file=sys.stderr)
            found = analyse_layer(recordings, spec["seeds"], _range(job), _pairs(job))
            writer.write_dataset(layer, found)


def _range(job: "Job") -> tuple[float, float]:
    low, high = job.spec["range"]
    return float(low), float(high)


def _pairs(job: "Job") -> Pairs | None:
    given = job.spec.get("pairs")
    return given and Pairs(given["top"], tuple(given["bottom"]), given["seed"])


def read_layer(job: "Job", layer: str) -> Recordings:
    """Read one layer of every run, by model and seed, and check that the runs are comparable.

    Raises
    ------
    UserError
        See `disobey.analysis.histories`.
    """
    runs, seeds = job.spec["runs"], job.spec["seeds"]
    known = (TEACHER, REFERENCE, STUDENT, *PLACEBOS)
    check_same_data([job.input(id) for ids in runs.values() for id in ids])
    names = [name for name in known if name in runs]
    found = {name: [_recording(job, id, layer) for id in runs[name]] for name in names}
    _check(found, seeds, _range(job))
    ranks = common_ranks(found[REFERENCE])
    _check_pairs(job, layer, ranks)
    return {
        name: [one.isel(direction=np.isin(one["rank"], ranks)) for one in of_model]
        for name, of_model in found.items()
    }


def _check_pairs(job: "Job", layer: str, ranks: np.ndarray) -> None:
    """Refuse pairs of directions that were not tracked."""
    pairs = _pairs(job)
    if pairs is None:
        return
    missing = np.setdiff1d(np.concatenate([pairs.tops, pairs.bottoms]), ranks)
    if len(missing):
        raise UserError(
            f"bias {job.id}: layer {layer} was not tracked along rank {missing[0]}, of which pairs "
            f"are made; leave out directions, or name this rank among them"
        )


def _recording(job: "Job", id: str, layer: str) -> xr.Dataset:
    return read_recording(job.input(id).file(f"{id}/{HISTORY}"), id, layer)


def _check(found: Recordings, seeds: list[int], matched: tuple[float, float]) -> None:
    check_same((one for of_model in found.values() for one in of_model), "step")
    # Seed by seed: the eigendirections of a deeper layer depend on the seed's own teacher.
    for of_seed in zip(*found.values(), strict=True):
        check_same(of_seed, "basis", "rank", "unit_norm")
    # The teacher may start anywhere, because it is not compared at equal leading progress.
    trained = [of_model for name, of_model in found.items() if name != TEACHER]
    for seed, (reference, student, *placebos) in zip(
        seeds, zip(*trained, strict=True), strict=True
    ):
        for compared in (student, *placebos):
            check_same_start(compared, reference, seed)
            check_points(compared, reference, matched)
        for placebo in placebos:
            check_points(student, placebo, matched)


def analyse_layer(
    recordings: Recordings,
    seeds: list[int],
    matched: tuple[float, float],
    pairs: Pairs | None = None,
) -> xr.Dataset:
    """Return the analysis of one layer; see `disobey.analysis.bias`."""
    references = recordings[REFERENCE]
    first = references[0]
    eigenvalue = np.mean([reference.eigenvalue.values for reference in references], 0)
    progress, norm, norm_start = (
        np.array([[one[name].values for one in of_model] for of_model in recordings.values()])
        for name in ("progress", "norm", "norm_start")
    )
    layer = recorded(
        list(recordings), seeds, first.step.values, progress, norm, norm_start,
        first["rank"].values, eigenvalue,
    )  # fmt: skip
    found = analyse(layer, matched)
    if pairs is not None:
        found = found.merge(analyse_pairs(layer, pairs, same_start=_same_start(recordings)))
    variance = float(np.mean([reference.total_variance for reference in references]))
    return found.assign_attrs(total_variance=variance)


def _same_start(recordings: Recordings) -> bool:
    """Return True if every model starts from the initial weights of its seed's teacher."""
    by_seed = zip(*recordings.values(), strict=True)
    return all(len({one.initialisation for one in of_seed}) == 1 for of_seed in by_seed)
