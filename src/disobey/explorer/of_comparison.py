"""The page of examples of a comparison: models that lie in no study."""

import tempfile
from pathlib import Path

from disobey.analysis.names import REFERENCE, STUDENT, TEACHER
from disobey.comparison.result import Comparison
from disobey.comparison.store import by_role, write_models
from disobey.explorer.deviations import seeds_of
from disobey.explorer.page import render
from disobey.explorer.sources import SPLITS, Setting, Sources
from disobey.explorer.study import content_of
from disobey.stores.writer import NetcdfWriter

STORE = "examples"


def page_of(found: Comparison, beside: str = "") -> str:
    """Return a page that opens from disk, in which every example can be looked at.

    Parameters
    ----------
    found : Comparison
    beside : str
        The file with verdicts and intervals that the page leads to, if any.
    """
    each = 3 if found.has_reference else 2
    roles = by_role(next(iter(found.models.values())), found.pairs, each)
    runs = {role: [f"{role}_{seed}" for seed in range(len(of))] for role, of in roles.items()}
    seeds = seeds_of({f"{role}s": runs.get(role, []) for role in (TEACHER, REFERENCE, STUDENT)})
    labelled = all(of_split.label is not None for of_split in found.models.values())
    splits = [split for split in SPLITS if split in found.models]
    labels = STORE if labelled else None
    name, about = found.analysis.setting, {"dataset": "", **found.analysis.about}
    setting = Setting(about, STORE, labels, seeds, splits, len(runs[TEACHER]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "models.nc")
        with NetcdfWriter(path) as writer:
            write_models(writer, found.models, found.pairs, each)
        logits = {run: (path, run) for of_role in runs.values() for run in of_role}
        sources = Sources({name: setting}, logits, {STORE: path})
        told, columns = content_of(sources, name, range(found.pairs))
    return render(told | {"report": beside}, columns)
