"""Progress along eigendirections as training recorded it, and checks of what can be compared.

A check raises a `UserError` that names the runs and how they differ.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from disobey.analysis.bias import LEAST_POINTS, common_range, points_inside
from disobey.errors import UserError, nearest
from disobey.stores.manifest import Manifest
from disobey.stores.reader import read_arrays, read_attributes, read_groups

PROGRESS = "progress"
VARIABLES = ("step", "progress", "norm", "norm_start", "rank", "eigenvalue")


@dataclass(frozen=True)
class Recording:
    """The progress of one run in one layer.

    ``basis`` is the id of the store of the eigendirections, ``initialisation`` a hash of W(0), and
    ``total_variance`` that of the layer's input; with ``unit_norm`` filters were normalised before
    their progress was taken. ``progress``, ||(W - W(0)) v_k||, and ``norm``, ||W v_k||, have the
    shape (point, direction).
    """

    run: str
    layer: str
    basis: str
    initialisation: str
    unit_norm: bool
    total_variance: float
    step: np.ndarray
    progress: np.ndarray
    norm: np.ndarray
    norm_start: np.ndarray
    rank: np.ndarray
    eigenvalue: np.ndarray

    def along(self, ranks: np.ndarray) -> "Recording":
        """Return the recording along some ranks."""
        kept = np.isin(self.rank, ranks)
        return replace(
            self,
            progress=self.progress[:, kept],
            norm=self.norm[:, kept],
            norm_start=self.norm_start[kept],
            rank=self.rank[kept],
            eigenvalue=self.eigenvalue[kept],
        )


def read_recording(history: Path, run: str, layer: str) -> Recording:
    """Read one layer's progress from a run's history.

    Raises
    ------
    UserError
        When the layer was not tracked, its progress is not finite or its leading direction never
        moves.
    """
    tracked = read_groups(history, PROGRESS)
    if layer not in tracked:
        raise UserError(
            f"{run}: layer {layer!r} was not tracked in training; write a tracked layer instead, "
            f"{nearest(layer, tracked)}"
        )
    group = f"{PROGRESS}/{layer}"
    arrays = read_arrays(history, group, *VARIABLES)
    attributes = read_attributes(history, group)
    recording = Recording(
        run,
        layer,
        str(read_attributes(history, PROGRESS)["basis"]),
        str(attributes["initialisation"]),
        bool(attributes["unit_norm"]),
        float(attributes["total_variance"]),
        **arrays,
    )
    _check_movement(recording)
    return recording


def _check_movement(recording: Recording) -> None:
    progress, step = recording.progress, recording.step
    where = f"{recording.run}, layer {recording.layer}"
    if not np.isfinite(progress).all():
        point, direction = np.argwhere(~np.isfinite(progress))[0]
        raise UserError(
            f"{where}: progress along rank {recording.rank[direction]} is "
            f"{progress[point, direction]} at step {step[point]}: the training diverged; "
            f"lower its learning rate"
        )
    if len(recording.rank) == 1:
        raise UserError(
            f"{where}: only the leading direction was tracked; track a second rank to compare"
        )
    moving = progress[:, 0] > 0
    if not moving.any():
        raise UserError(
            f"{where}: never moves along its leading direction (rank {recording.rank[0]}), by "
            f"which runs are matched; write a layer that is trained"
        )
    still = np.argwhere((progress == 0) & moving[:, None])
    if len(still):
        point, direction = still[0]
        raise UserError(
            f"{where}: has not moved along rank {recording.rank[direction]} at step {step[point]}, "
            f"so there is no ratio; leave this rank out"
        )


def check_same_data(runs: Iterable[Manifest]) -> None:
    """Refuse runs that were trained on other data, or other labels, than the first one."""
    first, *others = runs
    for other in others:
        for name in ("data", "labels", "centre"):
            given, expected = (str(m.spec.get(name, "none")) for m in (other, first))
            if given != expected:
                raise UserError(
                    f"{other.id} and {first.id}: were trained on different {name} ({given} and "
                    f"{expected}), so they cannot be compared; name runs of one data set"
                )


# Attributes that two recordings must share, the words of the error, and how it prints them.
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


def check_same(recordings: Iterable[Recording], *names: str) -> None:
    """Refuse recordings that differ from the first one in some of `DIFFERENCES`."""
    first, *others = recordings
    for other in others:
        for name in names:
            pair = getattr(other, name), getattr(first, name)
            if not np.array_equal(*pair):
                words, printed = DIFFERENCES[name]
                which = f"{other.run} and {first.run}: layer {other.layer}"
                raise UserError(f"{which} {words.format(*map(printed, pair))}")


def common_ranks(references: Iterable[Recording]) -> np.ndarray:
    """Return the ranks that were tracked in every seed, in order.

    A deeper layer's input comes from the seed's own teacher, and so do basis and number of ranks.
    """
    first, *others = references
    ranks = first.rank
    for other in others:
        ranks = ranks[np.isin(ranks, other.rank)]
    if len(ranks) == 1:
        raise UserError(
            f"{first.run}, layer {first.layer}: has no rank but {ranks[0]} in common with the "
            f"references of the other seeds; write the ranks to track as directions of the bias"
        )
    return ranks


def check_same_start(compared: Recording, reference: Recording, seed: int) -> None:
    """Refuse a run that does not start from the reference's W(0)."""
    if compared.initialisation != reference.initialisation:
        raise UserError(
            f"{compared.run}: layer {compared.layer} starts from another initialisation than the "
            f"reference of seed {seed}, {reference.run}; both need the same seed of the "
            f"initialisation"
        )


def check_points(compared: Recording, against: Recording, matched: tuple[float, float]) -> None:
    """Refuse a pair with fewer than `LEAST_POINTS` recorded points inside the matched range."""
    top = common_range(compared.progress, against.progress)
    low, high = (share * top for share in matched)
    for recording in (compared, against):
        count = points_inside(recording.progress, low, high)
        if count < LEAST_POINTS:
            raise UserError(
                f"{recording.run}, layer {recording.layer}: {count} recorded points are inside "
                f"the matched range, {matched[0]:.0%} to {matched[1]:.0%} of the leading progress "
                f"in common with {(against if recording is compared else compared).run}; "
                f"{LEAST_POINTS} are needed: train for more epochs, or at a lower learning rate"
            )
