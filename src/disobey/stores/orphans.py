"""What lies in ``results/`` and is asked for by nobody: stores, logs, saved states of trainings.

Only what a job of ours can have made counts: in the shared folders names that end with twelve hex
digits, in a study's folder stores with a manifest. All else is left alone, and not looked at.
"""

import json
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from disobey.locks import Lock
from disobey.stores import layout
from disobey.stores.layout import STORES, lock_of, manifest_of, store_of

WILDCARD = re.compile(r"\{(\w+)\}")
ID = r"[^/]+-[0-9a-f]{8}(?:[0-9a-f]{4})?(?:@[0-9]+)?"
NAME = r"[^/]+"
# What a wildcard may be; all others are ids.
VALUES = {
    "study": NAME, "setting": NAME, "table": NAME, "figure": NAME, "block": r"[0-9]+(?:-\w+)?",
}  # fmt: skip
STATES = re.compile(rf"(?P<run>{ID})-[0-9a-f]{{12}}")
# Beside a store: what a killed process was writing, and the lock that it held.
LEFT = re.compile(r"\.(?P<store>.+?)(?:\.json)?(?:\.[0-9]+\.tmp|\.lock)")


@dataclass(frozen=True)
class Orphan:
    """Something that nobody asks for.

    Attributes
    ----------
    what : str
        ``store``, ``log`` or ``states``.
    path : Path
        The store, the log, or the folder of a training's saved states.
    also : tuple of Path
        What goes with it: a store's manifest, a figure's files, leftovers of killed processes.
    lock : Path
        Whoever makes the store holds this.
    """

    what: str
    path: Path
    also: tuple[Path, ...]
    lock: Path

    def bytes(self) -> int:
        """Return what it takes on the disk; a link counts for itself."""
        return sum(_size(path) for path in (self.path, *self.also))

    def delete(self) -> bool:
        """Delete it unless a job holds the lock of its store; return whether it is gone."""
        lock = Lock(self.lock)
        if not lock.try_take():
            return False
        try:
            for path in (self.path, *self.also):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path != self.lock:
                    path.unlink(missing_ok=True)
        finally:
            lock.release(remove=True)
        for folder in {self.path.parent, self.lock.parent}:  # the lock may have made its own
            _remove_empty(folder)
        return True


def manifest_by(stage: str, key: str) -> str:
    """Return the manifest that a stage's job writes, by the job's key."""
    values = iter(key.split("/"))
    return manifest_of(WILDCARD.sub(lambda _: next(values), STORES[stage]))


def orphans(
    kept: Collection[str],
    states: Mapping[str, Collection[Path]],
    studies_kept: Collection[str] = (),
) -> Iterator[Orphan]:
    """Yield what nobody asks for, stage by stage.

    Parameters
    ----------
    kept : collection of str
        Manifests of all stores that are asked for.
    states : mapping
        By the id of a run that is kept, the folders of states that it could still go on from; all
        of them are kept where a run is not named here.
    studies_kept : collection of str
        Names of studies whose folder, with its logs, is kept as it is.
    """
    for stage in STORES:
        for manifest in sorted(_found(stage)):
            if manifest not in kept and not _is_of(manifest, studies_kept):
                store = Path(store_of(manifest))
                yield Orphan("store", store, tuple(_beside(store)), lock_of(manifest))
    for stage in STORES:
        for log, manifest in _logs(stage):
            if manifest not in kept and not _is_of(manifest, studies_kept):
                yield Orphan("log", log, (), lock_of(manifest))
    for folder in sorted(Path(layout.CHECKPOINTS).glob("*")):
        named = STATES.fullmatch(folder.name)
        if named:
            manifest = manifest_by("train", named["run"])
            if manifest not in kept or folder not in states.get(named["run"], [folder]):
                yield Orphan("states", folder, (), lock_of(manifest))


def upstream_of(manifests: Iterable[str]) -> set[str]:
    """Return ``manifests`` and all that they say they were made from, as far as it is there."""
    reached: set[str] = set()
    waiting = list(manifests)
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting.extend(_inputs(path))
    return reached


def studies_in_results() -> dict[str, list[str]]:
    """Return the manifests in the folder of each study, by its name."""
    found: dict[str, list[str]] = {}
    for folder in sorted(Path(layout.ROOT).glob("*")):
        if folder.is_dir() and folder.name not in layout.SHARED_FOLDERS:
            manifests = [str(path) for path in folder.rglob("*.json") if _inputs(str(path))]
            if manifests:
                found[folder.name] = manifests
    return found


def _inputs(manifest: str) -> list[str]:
    """Return what a manifest names as inputs; nothing where it cannot be read."""
    try:
        record = json.loads(Path(manifest).read_text(encoding="utf-8"))
        return list(record["inputs"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _found(stage: str) -> set[str]:
    """Return the manifests of all stores of a stage that are there, whole or in part."""
    pattern = STORES[stage]
    of_study = "{study}" in pattern
    matches = re.compile(_expression(pattern)).fullmatch
    folder, _, name = WILDCARD.sub("*", pattern).rpartition("/")
    stores = {store_of(str(path)) for path in Path().glob(f"{folder}/{name}.json")}
    if not of_study:  # there a store without a manifest may be anybody's
        stores |= {str(path) for path in Path().glob(f"{folder}/{name}") if path.suffix != ".json"}
        for path in Path().glob(f"{folder}/.*"):
            left = LEFT.fullmatch(path.name)
            stores |= {str(path.with_name(left["store"]))} if left else set()
    return {manifest_of(store) for store in stores if matches(store)}


def _expression(pattern: str) -> str:
    """Return the regular expression of a pattern's paths."""
    parts = WILDCARD.split(pattern)  # text, name, text, name, ..., text
    return "".join(
        VALUES.get(part, ID) if index % 2 else re.escape(part) for index, part in enumerate(parts)
    )


def _logs(stage: str) -> Iterator[tuple[Path, str]]:
    """Yield the logs of a stage's jobs, and the manifests of these jobs."""
    folder = Path(layout.ROOT) / "logs" / stage
    wildcards = WILDCARD.findall(STORES[stage])
    names = [f"(?:{VALUES.get(name, ID)})" for name in wildcards]
    for log in sorted(folder.glob("/".join("*" for _ in wildcards) + ".log")):
        key = str(log.relative_to(folder)).removesuffix(".log")
        if re.fullmatch("/".join(names), key):
            yield log, manifest_by(stage, key)


def _is_of(manifest: str, studies: Collection[str]) -> bool:
    return Path(manifest).parts[1] in studies


def _beside(store: Path) -> Iterator[Path]:
    """Yield what goes with a store."""
    names = [f"{store.name}.json", *(f"{store.name}{suffix}" for suffix in layout.FIGURE_FORMATS)]
    yield from (path for name in names if (path := store.with_name(name)).exists())
    for path in store.parent.glob(".*"):
        left = LEFT.fullmatch(path.name)
        if left and left["store"] == store.name:
            yield path


def _size(path: Path) -> int:
    try:
        if path.is_dir() and not path.is_symlink():
            return sum(_size(Path(entry.path)) for entry in os.scandir(path))
        return path.lstat().st_size
    except OSError:
        return 0


def _remove_empty(folder: Path) -> None:
    """Remove a folder, and those around it, that nothing is left in."""
    while folder.name and folder != Path(layout.ROOT):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
