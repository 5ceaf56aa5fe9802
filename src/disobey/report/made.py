"""What each setting was made from: its runs and stores, with links to their logs and files."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from disobey.analysis.names import REFERENCE, STUDENT, TEACHER
from disobey.report.links import Link, link, links_of
from disobey.stores.layout import BESIDE, store_and_variable

if TYPE_CHECKING:
    from disobey.stores.manifest import Manifest

# What stores are called, those before the runs and those after them.
BEFORE = {
    "pretrained": "checkpoint",
    "prepare": "data",
    "labels": "labels with noise",
    "basis": "eigendirections",
    "compared": "logits of all models, aligned",
}
OF_LOGITS = ("dump", "classify", "compared")
AFTER = {
    "confidence": "analysis of confidence",
    "bias": "analysis of bias",
    "curves": "accuracies along training",
}
ROLES = {TEACHER: "teachers", REFERENCE: "references", STUDENT: "students"}


@dataclass(frozen=True)
class Row:
    """One run or one other store of a setting.

    Attributes
    ----------
    what : str
        Such as ``teacher, seed 0``.
    id : str
    epochs : int or None
        Of a training; None for anything else, and where its history is gone.
    seconds : float
        Of all its jobs.
    parts : dict of str to list of Link
        By the job: ``training``, ``logits``, ``views``; an empty name where there is one job.
    """

    what: str
    id: str
    epochs: int | None
    seconds: float
    parts: dict[str, list[Link]]


@dataclass(frozen=True)
class Made:
    """A setting, and everything that its analyses were made from."""

    setting: str
    rows: list[Row]

    @property
    def runs(self) -> int:
        """How many models were trained for it, each counted once."""
        return len({row.id for row in self.rows if "training" in row.parts})


def made_from(
    analyses: Iterable["Manifest"],
    found: Iterable["Manifest"],
    epochs: Mapping[str, int],
    page: Path,
) -> list[Made]:
    """Return, per setting, its runs by role and seed and its other stores.

    Parameters
    ----------
    analyses : iterable of Manifest
        Of confidence, one per setting, in the order of the study.
    found : iterable of Manifest
        All that the page stands on.
    epochs : mapping of str to int
        How many a run was trained for, by its id.
    page : Path
        From which files are linked.
    """
    by_path = {str(manifest.path): manifest for manifest in found}
    beside = [m for m in by_path.values() if m.record["stage"] in BESIDE]
    made = []
    for analysis in analyses:
        own = [analysis, *(m for m in beside if m.id == analysis.id)]
        setting = _Setting(_upstream(own, by_path), epochs, page)
        made.append(Made(analysis.id, list(setting.rows(_roles(own)))))
    return made


def _upstream(own: Iterable["Manifest"], by_path: Mapping[str, "Manifest"]) -> list["Manifest"]:
    """Return some manifests and all upstream of them, each once."""
    seen: dict[str, Manifest] = {}
    waiting = list(own)
    while waiting:
        manifest = waiting.pop()
        if str(manifest.path) not in seen:
            seen[str(manifest.path)] = manifest
            waiting += [by_path[name] for name in manifest.record["inputs"] if name in by_path]
    return list(seen.values())


def _roles(own: Iterable["Manifest"]) -> list[tuple[str, str]]:
    """Return ``(what, run)`` of each role and seed; analyses beside name placebos."""
    roles: dict[tuple[str, str], None] = {}
    for manifest in own:
        spec = manifest.spec
        runs = spec.get("runs") or {role: spec[name] for role, name in ROLES.items()}
        for role, ids in runs.items():
            name = role if role in ROLES else f"placebo {role.replace('_', ' ')}"
            # A comparison may have no references, and teachers that are replicates only.
            for seed, run in itertools.zip_longest(spec["seeds"][: len(ids)], ids):
                of = "replicate" if seed is None else f"{name}, seed {seed}"
                roles[of, store_and_variable(run)[0]] = None
    return list(roles)


@dataclass(frozen=True)
class _Setting:
    """The stores of one setting, to be put into rows."""

    stores: list["Manifest"]
    epochs: Mapping[str, int]
    page: Path

    def rows(self, roles: list[tuple[str, str]]) -> Iterator[Row]:
        named = {run for _, run in roles}
        rest = sorted(m.id for m in self._of("train") if m.id not in named)
        yield from self._others(BEFORE)
        runs = [*roles, *(("upstream of a teacher", run) for run in rest)]
        of_all = {m.id for m in self._of("compared") if _is_comparison(m)}
        for what, run in runs:
            if run not in of_all:
                yield self._run(what, run)
        yield from self._others(AFTER)

    def _of(self, stage: str, id: str | None = None) -> list["Manifest"]:
        return [m for m in self.stores if m.record["stage"] == stage and id in (None, m.id)]

    def _others(self, called: Mapping[str, str]) -> Iterator[Row]:
        for stage, what in called.items():
            found = [m for m in self._of(stage) if stage != "compared" or _is_comparison(m)]
            for store in sorted(found, key=lambda store: store.id):
                links = list(links_of(store, self.page))
                yield Row(what, store.id, None, store.record["seconds"], {"": links})

    def _run(self, what: str, run: str) -> Row:
        trained = self._of("train", run)
        dumped = [m for stage in OF_LOGITS for m in self._of(stage, run)]
        views = [m for m in self._of("views") if m.path.parent.name == run]
        parts = {
            name: [link for manifest in manifests for link in links_of(manifest, self.page)]
            for name, manifests in (("training", trained), ("logits", dumped))
        }
        if views:  # many blocks: their folder
            count = f"{len(views)} block{'' if len(views) == 1 else 's'}"
            parts["views"] = [link(count, views[0].path.parent, self.page)]
        seconds = sum(m.record["seconds"] for m in (*trained, *dumped, *views))
        return Row(what, run, self.epochs.get(run), seconds, parts)


def _is_comparison(compared: "Manifest") -> bool:
    """Tell whether a store of logits holds all models of a comparison, not a trained teacher."""
    return "students" in compared.spec
