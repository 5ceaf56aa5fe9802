"""The jobs behind a page, read from the manifests of all its stores."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from disobey.stores.layout import STAGES
from disobey.stores.manifest import Manifest, upstream

SHORT_COMMIT = 10


def walk(manifests: Iterable[Manifest], root: Path) -> tuple[list[Manifest], list[str]]:
    """Return a page's inputs and everything upstream, each once, and the paths that are missing.

    Paths in manifests start from ``root``. Missing is what is no longer there or cannot be read.
    """
    own = {str(manifest.path): manifest.content for manifest in manifests}
    page = Manifest(root, {"inputs": own})
    found, missing = [], []
    for _, path, manifest in upstream(page, root):
        if manifest is None:
            missing.append(path)
        else:
            found.append(manifest)
    return found, sorted(missing)


@dataclass(frozen=True)
class Stage:
    """All jobs of one stage, what it makes out of what, and when its stores were written."""

    name: str
    what: str
    jobs: int
    seconds: float
    cpu_seconds: float
    hosts: list[str]
    commits: list[str]
    first: str
    last: str


def by_stage(manifests: Iterable[Manifest]) -> list[Stage]:
    """Return one entry per stage, from the data down to the figures."""
    records: dict[str, list[Mapping[str, Any]]] = {}
    for manifest in manifests:
        records.setdefault(manifest.record["stage"], []).append(manifest.record)
    order = list(STAGES)
    known = sorted(records, key=lambda name: order.index(name) if name in order else len(order))
    return [stage(name, records[name]) for name in known]


def stage(name: str, records: Sequence[Mapping[str, Any]]) -> Stage:
    """Add up the records of one stage."""
    written = sorted(record["written"] for record in records)
    return Stage(
        name,
        STAGES.get(name, ""),
        len(records),
        sum(record["seconds"] for record in records),
        sum(record["cpu_seconds"] for record in records),
        sorted({record["host"] for record in records}),
        sorted({commit(record["git"]) for record in records}),
        written[0],
        written[-1],
    )


def elapsed(records: Iterable[Mapping[str, Any]]) -> float:
    """Return the seconds during which at least one of the jobs was at work.

    Jobs at the same time count once, pauses between two calls of the workflow not at all. A record
    says when its store was written and how long its job took.
    """
    total, until = timedelta(), datetime.min
    spans = []
    for record in records:
        end = datetime.strptime(record["written"], "%Y-%m-%dT%H:%M:%SZ")
        spans.append((end - timedelta(seconds=record["seconds"]), end))
    for start, end in sorted(spans):
        total += max(end - max(start, until), timedelta())
        until = max(until, end)
    return total.total_seconds()


@dataclass(frozen=True)
class Machine:
    """A machine, what ran on it, and the devices of jobs that run a model, if any job said so."""

    host: str
    words: str
    devices: list[str]
    jobs: int
    seconds: float


def machines(manifests: Iterable[Manifest]) -> list[Machine]:
    """Return where jobs ran, the machine that did most first."""
    records: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for manifest in manifests:
        record = manifest.record
        records.setdefault((record["host"], record["machine"]), []).append(record)
    made = [
        Machine(
            host,
            words,
            sorted({name for record in of if (name := record.get("device"))}),
            len(of),
            sum(record["seconds"] for record in of),
        )
        for (host, words), of in records.items()
    ]
    return sorted(made, key=lambda machine: -machine.seconds)


def commit(git: Mapping[str, Any]) -> str:
    """Return the short commit, and whether files differed from it."""
    if git["commit"] is None:
        return "no git checkout"
    return git["commit"][:SHORT_COMMIT] + (" (dirty)" if git["dirty"] else "")


def versions(manifests: Iterable[Manifest]) -> dict[str, str]:
    """Return the versions by library; where jobs differ, with how many jobs had each."""
    seen: dict[str, Counter[str]] = {}
    for manifest in manifests:
        record = manifest.record
        for library, version in {"Python": record["python"], **record["versions"]}.items():
            seen.setdefault(library, Counter())[version] += 1
    return {library: _counted(seen[library]) for library in sorted(seen, key=str.casefold)}


def _counted(found: Counter[str]) -> str:
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(
        f"{version} ({jobs} job{'' if jobs == 1 else 's'})" for version, jobs in found.most_common()
    )
