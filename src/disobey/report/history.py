"""The jobs that contributed to a page, read from the manifests of all its stores."""

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

    Paths in manifests are relative to ``root``. A path is missing if its manifest no longer exists
    or cannot be read.
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
class Jobs:
    """Totals of some jobs, and the times when their first and last stores were written.

    ``devices`` are those of the jobs that run a model, if recorded.
    """

    name: str
    jobs: int
    seconds: float
    cpu_seconds: float
    devices: list[str]
    commits: list[str]
    first: str
    last: str


def add_up(name: str, records: Sequence[Mapping[str, Any]]) -> Jobs:
    """Add up the records of some jobs."""
    written = sorted(record["written"] for record in records)
    return Jobs(
        name,
        len(records),
        sum(record["seconds"] for record in records),
        sum(record["cpu_seconds"] for record in records),
        sorted({record["device"] for record in records if record.get("device")}),
        sorted({commit(record["git"]) for record in records}),
        written[0],
        written[-1],
    )


def by_stage(manifests: Iterable[Manifest]) -> list[Jobs]:
    """Return the jobs of each stage, from the data down to the figures."""
    records: dict[str, list[Mapping[str, Any]]] = {name: [] for name in STAGES}
    for manifest in manifests:
        records.setdefault(manifest.record["stage"], []).append(manifest.record)
    return [add_up(name, of_stage) for name, of_stage in records.items() if of_stage]


def by_machine(manifests: Iterable[Manifest]) -> list[Jobs]:
    """Return the jobs of each machine, named ``<host>: <description>``, in order of total time."""
    records: dict[str, list[Mapping[str, Any]]] = {}
    for manifest in manifests:
        record = manifest.record
        records.setdefault(f"{record['host']}: {record['machine']}", []).append(record)
    made = [add_up(name, of_machine) for name, of_machine in records.items()]
    return sorted(made, key=lambda machine: -machine.seconds)


def elapsed(records: Iterable[Mapping[str, Any]]) -> float:
    """Return the seconds during which at least one of the jobs was running.

    Simultaneous jobs count once, and pauses between calls of the workflow do not count. The times
    come from the records, which contain when a store was written and the duration of its job.
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


def commit(git: Mapping[str, Any]) -> str:
    """Return the short hash of the commit, with a remark if files differed from it."""
    if git["commit"] is None:
        return "no git checkout"
    return git["commit"][:SHORT_COMMIT] + (" (dirty)" if git["dirty"] else "")


def versions(manifests: Iterable[Manifest]) -> dict[str, str]:
    """Return the versions by library; if jobs differ, with the number of jobs per version."""
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
