"""Recorded progress along eigendirections, and checks that recordings can be compared.

A failed check raises a `UserError` that names the runs and their difference.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from disobey.analysis.bias import LEAST_POINTS, common_range, points_inside
from disobey.errors import UserError, nearest
from disobey.stores.manifest import Manifest
from disobey.stores.reader import read_attributes, read_groups

PROGRESS = "progress"
VARIABLES = ["step", "progress", "norm", "norm_start", "rank", "eigenvalue"]


def read_recording(history: Path, run: str, layer: str) -> xr.Dataset:
    """Read one layer's progress from a run's history.

    Returns
    -------
    xarray.Dataset
        The `VARIABLES` of one run, as in `disobey.analysis.bias.Bias`. Attributes: ``run`` and
        ``layer``; ``basis``, the id of the store of the eigendirections; ``initialisation``, a hash
        of W(0); ``unit_norm``, true if filters were normalised before computing their progress; and
        ``total_variance``, the total variance of the layer's input.

    Raises
    ------
    UserError
        If the layer was not tracked, its progress is not finite, only the leading direction was
        tracked, or some direction has no progress to compare.
    """
    tracked = read_groups(history, PROGRESS)
    if layer not in tracked:
        raise UserError(
            f"{run}: layer {layer!r} was not tracked in training; write a tracked layer instead, "
            f"{nearest(layer, tracked)}"
        )
    stored = xr.load_dataset(history, group=f"{PROGRESS}/{layer}", engine="netcdf4")
    basis = read_attributes(history, PROGRESS)["basis"]
    recording = stored[VARIABLES].assign_attrs(run=run, layer=layer, basis=basis)
    _check_movement(recording)
    return recording


def _check_movement(recording: xr.Dataset) -> None:
    progress, step, rank = (recording[name].values for name in ("progress", "step", "rank"))
    where = f"{recording.run}, layer {recording.layer}"
    if not np.isfinite(progress).all():
        point, direction = np.argwhere(~np.isfinite(progress))[0]
        raise UserError(
            f"{where}: progress along rank {rank[direction]} is {progress[point, direction]} at "
            f"step {step[point]}: the training diverged; lower its learning rate"
        )
    if len(rank) == 1:
        raise UserError(
            f"{where}: only the leading direction was tracked; track a second rank to compare"
        )
    moving = progress[:, 0] > 0
    if not moving.any():
        raise UserError(
            f"{where}: never moves along its leading direction (rank {rank[0]}), by which runs "
            f"are matched; write a layer that is trained"
        )
    still = np.argwhere((progress == 0) & moving[:, None])
    if len(still):
        point, direction = still[0]
        raise UserError(
            f"{where}: has not moved along rank {rank[direction]} at step {step[point]}, so there "
            f"is no ratio; leave this rank out"
        )


def check_same_data(runs: Iterable[Manifest]) -> None:
    """Raise a `UserError` unless all runs were trained on the same data and labels."""
    first, *others = runs
    for other in others:
        for name in ("data", "labels", "centre"):
            given, expected = (str(m.spec.get(name, "none")) for m in (other, first))
            if given != expected:
                raise UserError(
                    f"{other.id} and {first.id}: were trained on different {name} ({given} and "
                    f"{expected}), so they cannot be compared; name runs of one data set"
                )


# Attributes that two recordings must share, with the error message and the format of the values.
DIFFERENCES: dict[str, tuple[str, Callable[[Any], str]]] = {
    "basis": ("was tracked in different bases ({} and {}); train both with the same basis", str),
    "rank": (
        "was tracked along different ranks ({} and {}); write the same ranks for both",
        lambda rank: ", ".join(map(str, rank)),
    ),
    "unit_norm": (
        "has normalised filters in one of them only; compare runs of one architecture", str,
    ),
    "step": (
        "was recorded at different steps ({} and {}); train both for equally many epochs or steps "
        "with the same batch size",
        lambda step: f"{len(step)} points, {step[0]} to {step[-1]}",
    ),
}  # fmt: skip


def check_same(recordings: Iterable[xr.Dataset], *names: str) -> None:
    """Raise a `UserError` if a recording differs from the first in one of the attributes ``names``.

    The names are keys of `DIFFERENCES`.
    """
    first, *others = recordings
    for other in others:
        for name in names:
            given, expected = (
                one[name].values if name in one else one.attrs[name] for one in (other, first)
            )
            if not np.array_equal(given, expected):
                words, printed = DIFFERENCES[name]
                which = f"{other.run} and {first.run}: layer {other.layer}"
                raise UserError(f"{which} {words.format(printed(given), printed(expected))}")


def common_ranks(references: Iterable[xr.Dataset]) -> np.ndarray:
    """Return the ranks that were tracked in every seed, in order.

    A deeper layer's input, and thus its basis and its number of ranks, depends on the seed's own
    teacher.

    Raises
    ------
    UserError
        If the seeds have only one rank in common.
    """
    first, *others = references
    ranks: np.ndarray = first["rank"].values
    for other in others:
        ranks = ranks[np.isin(ranks, other["rank"])]
    if len(ranks) == 1:
        raise UserError(
            f"{first.run}, layer {first.layer}: has no rank but {ranks[0]} in common with the "
            f"references of the other seeds; write the ranks to track as directions of the bias"
        )
    return ranks


def check_same_start(compared: xr.Dataset, reference: xr.Dataset, seed: int) -> None:
    """Raise a `UserError` if a run does not start from the reference's W(0)."""
    if compared.initialisation != reference.initialisation:
        raise UserError(
            f"{compared.run}: layer {compared.layer} starts from another initialisation than the "
            f"reference of seed {seed}, {reference.run}; both need the same seed of the "
            f"initialisation"
        )


def check_points(compared: xr.Dataset, against: xr.Dataset, matched: tuple[float, float]) -> None:
    """Raise a `UserError` if a run has fewer than `LEAST_POINTS` points in the matched range."""
    top = common_range(compared.progress.values, against.progress.values)
    low, high = (share * top for share in matched)
    for recording in (compared, against):
        count = points_inside(recording.progress.values, low, high)
        if count < LEAST_POINTS:
            raise UserError(
                f"{recording.run}, layer {recording.layer}: {count} recorded points are inside "
                f"the matched range, {matched[0]:.0%} to {matched[1]:.0%} of the leading progress "
                f"in common with {(against if recording is compared else compared).run}; "
                f"{LEAST_POINTS} are needed: train for more epochs, or at a lower learning rate"
            )
