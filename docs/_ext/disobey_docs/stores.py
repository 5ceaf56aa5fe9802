"""Contents of the files in ``results/``, read from the results of a small study.

Running a study keeps the lists of groups and variables in step with the code.
"""

import contextlib
import functools
import inspect
import io
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from disobey.analysis.tables import TABLES
from disobey.errors import UserError
from disobey.stages.command import main as run_stage
from disobey.stores import layout
from disobey.stores.layout import STAGES
from disobey.stores.manifest import describe, read_manifest
from disobey.study.jobs import PlannedJob
from disobey.study.loader import load_study
from disobey.study.plan import make_plan

HERE = Path(__file__).parent
# In the order of the page: the study that makes the store, its path, and its stage.
STORES = {
    "Data: images": ("stores.yaml", layout.DATA, "prepare"),
    "Data: texts": ("texts.yaml", layout.DATA, "prepare"),
    "Data: features": ("features.yaml", layout.DATA, "prepare"),
    "Noisy labels": ("stores.yaml", layout.LABELS, "labels"),
    "Eigendirections": ("stores.yaml", layout.BASIS, "basis"),
    "A run": ("stores.yaml", layout.RUN, "train"),
    "Logits": ("stores.yaml", layout.LOGITS, "dump"),
    "Logits on augmented images": ("stores.yaml", layout.VIEWS, "views"),
    "The analysis of a setting": ("stores.yaml", layout.ANALYSIS, "confidence"),
    "The bias of a setting": ("stores.yaml", layout.BIAS, "bias"),
    "The curves of a setting": ("stores.yaml", layout.CURVES, "curves"),
    "The gradients of a setting": ("features.yaml", layout.GRADIENTS, "gradients"),
}
# The stages of each study that are run.
MADE = {
    "stores.yaml": {
        "table",
        *(stage for study, _, stage in STORES.values() if study == "stores.yaml"),
    },
    "texts.yaml": {"prepare"},
    "features.yaml": {"prepare", "train", "dump", "confidence", "gradients", "table"},
}


class Variable(NamedTuple):
    """A variable of a netCDF file."""

    group: str
    name: str
    dims: tuple[str, ...]
    dtype: str


class Made(NamedTuple):
    """Contents of the results: variables by heading, columns by table, keys of manifests."""

    variables: dict[str, list[Variable]]
    files: dict[str, list[str]]
    columns: dict[str, list[str]]
    keys: set[str]


def page() -> str:
    """Return each store with its files, groups, variables, dimensions and types, as Markdown."""
    return "\n".join(_lines(made()))


def _lines(found: Made) -> Iterator[str]:
    for head, (_, path, stage) in STORES.items():
        place = path.replace("{", "<").replace("}", ">")
        source = STAGES[stage].partition(" -> ")[0]
        yield from (f"## {head}", "", f"`{place}`, made by `{stage}` from {source}.", "")
        if found.files[head]:
            yield from (f"Files: {', '.join(f'`{name}`' for name in found.files[head])}.", "")
        yield from ("| variable | dimensions | type | group |", "| --- | --- | --- | --- |")
        groups: dict[tuple[str, str, str], list[str]] = {}
        for one in found.variables[head]:
            row = (f"`{one.name}`", ", ".join(one.dims) or "none", one.dtype)
            groups.setdefault(row, []).append(one.group.removeprefix("/") or "(root)")
        yield from (f"| {' | '.join(row)} | {', '.join(inn)} |" for row, inn in groups.items())
        yield ""


def tables() -> str:
    """Return the tables with their columns, as a definition list."""
    lines = []
    for name, columns in made().columns.items():
        listed = ", ".join(f"`{column}`" for column in columns)
        lines += [f"`{name}.csv`", f": {TABLES[name].words}.", "", f"  Columns: {listed}.", ""]
    return "\n".join(lines)


def manifest() -> str:
    """Return the keys of a manifest in the words of the code that writes it.

    Raises
    ------
    ValueError
        When that says nothing of a key.
    """
    words = (inspect.getdoc(describe) or "").partition("-------\ndict\n")[2]
    missing = sorted(key for key in made().keys if f"``{key}``" not in words)
    if missing:
        raise ValueError(f"disobey.stores.manifest.describe says nothing of {', '.join(missing)}")
    return inspect.cleandoc(words).replace("``", "`")


@functools.cache
def made() -> Made:
    """Make the studies in a folder of their own and read what they left; seconds."""
    variables, files, columns, keys = {}, {}, {}, set()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for study, stages in MADE.items():
            plan = make_plan(load_study(HERE / study))
            jobs = [job for job in plan.jobs.values() if job.stage in stages]
            for job in jobs:
                _run(job)
            for head, (of_study, _, stage) in STORES.items():
                if of_study == study:
                    # the last one: a teacher, which comes first, is not tracked
                    stored = read_manifest([job.manifest for job in jobs if job.stage == stage][-1])
                    names = sorted(stored.record["files"])
                    files[head] = [Path(name).name for name in names] if len(names) > 1 else []
                    variables[head] = [one for name in names if name.endswith(".nc")
                                       for one in _variables(stored.file(name))]  # fmt: skip
                    keys |= set(stored.record)
            columns |= {Path(job.key).name: _columns(job) for job in jobs if job.stage == "table"}
    return Made(variables, files, columns, keys)


def _run(job: PlannedJob) -> None:
    """Run one job in this process, as its rule calls it."""
    call = ["--spec", job.spec, "--inputs", *job.inputs, "--output", job.manifest]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        failed = run_stage(job.stage, [*call, "--device", "cpu"])
    if failed:
        raise UserError(f"{job.stage} {job.key} of the reference's study:\n{said.getvalue()}")


def _variables(path: Path) -> list[Variable]:
    import netCDF4

    def inside(group: netCDF4.Dataset) -> Iterable[Variable]:
        for variable in group.variables.values():
            dtype = "text" if variable.dtype is str else str(variable.dtype)
            yield Variable(group.path, variable.name, variable.dimensions, dtype)
        for one in group.groups.values():
            yield from inside(one)

    with netCDF4.Dataset(path) as file:
        return list(inside(file))


def _columns(job: PlannedJob) -> list[str]:
    (name,) = read_manifest(job.manifest).record["files"]
    text = (Path(job.manifest).parent / name).read_text(encoding="utf-8")
    return text.partition("\n")[0].split(",")
