"""``python -m disobey curves STUDY --to csv|tensorboard``: a study's trainings, epoch by epoch.

Loss, accuracy, learning rate and seconds of every finished training, and accuracies along training
where the recipe has evaluate. csv writes one tidy table, results/<study>/curves.csv; tensorboard
writes event files, one folder for each run, below results/<study>/tensorboard/.
"""

import shutil
from calendar import timegm
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from time import strptime
from typing import NamedTuple

import numpy as np
import pandas as pd

from disobey.errors import UserError
from disobey.stores.layout import HISTORY, ROOT, RUN, manifest_of
from disobey.stores.manifest import Manifest, read_manifest
from disobey.stores.reader import read_arrays, read_groups
from disobey.stores.writer import atomic
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.tools import argument_parser, tool

EVALUATE = "evaluate"  # the group of accuracies along training
FLOAT_FORMAT = "%.9g"


class Point(NamedTuple):
    """One number of a training: the name of the variable in the run's history, and its value.

    ``unit`` says what ``at`` counts, ``epoch`` or ``step``; ``time`` is when, in seconds since
    1970, NaN for accuracies along training, whose times are not kept.
    """

    name: str
    unit: str
    at: int
    time: float
    value: float


@tool
def main(arguments: Sequence[str]) -> int:
    """Write the curves; 2 if the study cannot be used or no training has finished."""
    parser = argument_parser("curves", __doc__)
    parser.add_argument("study", nargs="?", default="config.yaml", help="the study file")
    parser.add_argument("--to", choices=tuple(WRITERS), default="csv")
    parser.add_argument("--output", type=Path, help="a file for csv, a folder for tensorboard")
    options = parser.parse_args(arguments)
    study = load_study(options.study)
    found = dict(_trainings(make_plan(study).jobs))
    if not found:
        raise UserError(f"{options.study}: no training has finished yet")
    written = WRITERS[options.to](found, Path(ROOT, study.study), options.output)
    print(f"{len(found)} trainings: {written}")
    return 0


def _trainings(jobs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[Point]]]:
    for stage, run in jobs:
        manifest = Path(manifest_of(RUN.format(run=run)))
        if stage == "train" and manifest.is_file():
            yield run, list(points_of(read_manifest(manifest)))


def points_of(run: Manifest) -> Iterator[Point]:
    """Yield what a training recorded, of a verified history."""
    history = run.file(f"{run.id}/{HISTORY}")
    columns = read_arrays(history)
    columns.pop("epoch", None)  # earlier versions did not write it
    ended = timegm(strptime(run.record["written"], "%Y-%m-%dT%H:%M:%SZ"))
    times = ended - columns["seconds"].sum() + np.cumsum(columns["seconds"])
    for name, values in columns.items():
        for epoch, (time, value) in enumerate(zip(times, values, strict=True), 1):
            yield Point(name, "epoch", epoch, float(time), float(value))
    if EVALUATE in read_groups(history):
        along = read_arrays(history, EVALUATE)
        steps = along.pop("step")
        for name, values in along.items():
            for step, value in zip(steps, values, strict=True):
                yield Point(name, "step", int(step), float("nan"), float(value))


def _to_csv(found: dict[str, list[Point]], folder: Path, output: Path | None) -> Path:
    rows = [(run, *point) for run, points in found.items() for point in points]
    table = pd.DataFrame(rows, columns=["run", *Point._fields])
    path = output or folder / "curves.csv"
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, float_format=FLOAT_FORMAT)
    return path


def _to_tensorboard(found: dict[str, list[Point]], folder: Path, output: Path | None) -> Path:
    """Write event files; runs that have some already are written anew."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError(
            "tensorboard is not installed; pip install 'disobey[tensorboard]', or write --to csv"
        ) from None
    path = output or folder / "tensorboard"
    for run, points in found.items():
        shutil.rmtree(path / run, ignore_errors=True)
        with SummaryWriter(str(path / run)) as writer:
            for name, unit, at, time, value in points:
                when = None if np.isnan(time) else time
                writer.add_scalar(f"{unit}/{name}", value, at, when)
    return path


WRITERS = {"csv": _to_csv, "tensorboard": _to_tensorboard}
