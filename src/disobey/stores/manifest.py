"""The manifest beside every store: its description, its origin, and the hashes of its bytes.

A store's manifest is found from any of its files, and all upstream stores from the manifest.
"""

import json
import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from disobey import code_digest, provenance
from disobey.errors import UserError
from disobey.stores.layout import ROOT, store_of

NEEDED = {"id", "spec", "spec_hash", "files", "content"}


@dataclass(frozen=True)
class Manifest:
    """The record of a store, read from ``<store>.json`` (``path``); `describe` lists its keys."""

    path: Path
    record: dict[str, Any]

    @property
    def id(self) -> str:
        """The store's id: the last part of its path, without a file suffix."""
        return self.record["id"]

    @property
    def spec(self) -> dict[str, Any]:
        """The resolved spec that the store was made from."""
        return self.record["spec"]

    @property
    def content(self) -> str:
        """One hash over the hashes of all files of the store."""
        return self.record["content"]

    @property
    def store(self) -> Path:
        """The store itself: a file, or a folder of the files in ``record["files"]``."""
        return Path(store_of(str(self.path)))

    def file(self, name: str | None = None) -> Path:
        """Return one verified file of the store.

        Parameters
        ----------
        name : str, optional
            Its path from the manifest's folder; optional if the store is a single file.

        Raises
        ------
        UserError
            If the file is missing, was cut short or changed since the manifest was written.
        """
        files = self.record["files"]
        name = next(iter(files)) if name is None else name
        path = self.path.parent / name
        if not path.is_file():
            raise UserError(
                f"{path}: is missing, though {self.path} vouches for it; "
                f"call snakemake again, it makes what is missing"
            )
        expected, found = files[name]["sha256"], provenance.file_sha256(path)
        if found != expected:
            raise UserError(
                f"{path}: has changed since it was written (SHA-256 {found[:12]}…, its manifest "
                f"says {expected[:12]}…); delete {self.path} and call snakemake again"
            )
        return path


def read_manifest(path: Path | str) -> Manifest:
    """Read a manifest and check the hash of its spec.

    Raises
    ------
    UserError
        If the manifest is missing (the store is unfinished or missing), broken or was edited.
    """
    path = Path(path)
    try:
        record = _parse(path.read_text(encoding="utf-8"))
        edited = provenance.spec_hash(record["spec"]) != record["spec_hash"]
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such manifest, so {store_of(str(path))} is missing or unfinished; "
            f"call snakemake to make it"
        ) from None
    except ValueError as error:
        raise UserError(
            f"{path}: is not a manifest ({error}); delete it and call snakemake again"
        ) from None
    if edited:
        raise UserError(f"{path}: its spec was edited; delete it and call snakemake again")
    return Manifest(path, record)


def _parse(text: str) -> dict[str, Any]:
    """Return the record in a manifest's text; raise ValueError if the text is not a record."""
    record = json.loads(text)
    if not isinstance(record, dict) or not record.keys() >= NEEDED or not record["files"]:
        raise ValueError(f"it has no {', '.join(sorted(NEEDED))}")
    return record


def describe(
    *,
    stage: str,
    id: str,
    spec: Mapping[str, Any],
    code: str,
    files: Iterable[Path],
    base: Path,
    inputs: Iterable[Manifest],
    started: float,
    measured: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return the record of a store whose ``files`` are complete on disk.

    Returns
    -------
    dict
        - ``stage``, ``id``: the command that made the store, and the store's id
        - ``spec``, ``spec_hash``: all that it depends on, upstream stores by their ids; its SHA-256
        - ``code``, ``modules``: digest of the code that it depends on, and of each module loaded
        - ``files``, ``content``: bytes and SHA-256 of each of its files; one hash over all of them
        - ``inputs``: the manifests of the stores that it was made from, each with its content
        - ``versions``, ``python``: versions of Python and of libraries that can affect the results
        - ``git``: commit of the checkout, and if it had changes
        - ``host``, ``machine``, ``device``: where it was made; ``cpu``, ``cuda``, or none
        - ``written``, ``seconds``, ``cpu_seconds``: time of writing, and the job's duration
        - ``measured``: ``host_mb`` and, on a GPU, ``card_mb``, the process's peak memory; and
          measurements of the stage itself
    """
    described = {
        str(file.relative_to(base)): {
            "bytes": file.stat().st_size,
            "sha256": provenance.file_sha256(file),
        }
        for file in files
    }
    return {
        "stage": stage,
        "id": id,
        "spec": dict(spec),
        "spec_hash": provenance.spec_hash(spec),
        "code": code,
        "modules": code_digest.loaded_modules(),
        "files": described,
        "content": provenance.spec_hash({name: f["sha256"] for name, f in described.items()}),
        "inputs": {str(manifest.path): manifest.content for manifest in inputs},
        "versions": provenance.versions(),
        "git": provenance.git_state(),
        "host": platform.node(),
        "machine": provenance.machine(),
        "device": provenance.device_used(),
        "python": platform.python_version(),
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.time() - started, 3),
        "cpu_seconds": round(sum(os.times()[:2]), 3),
        "measured": provenance.peak_memory() | dict(measured or {}),
    }


def write_manifest(path: Path, record: Mapping[str, Any]) -> None:
    """Write ``record`` to ``path`` atomically."""
    from disobey.stores.writer import atomic

    with atomic(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def remove_broken_manifests(manifests: Iterable[str]) -> list[str]:
    """Delete each manifest whose store is missing or of another size; return a message on each.

    Snakemake then finds an output missing, and remakes the store and all that depends on it.
    """
    removed = []
    for name in manifests:
        words = broken_store(Path(name))
        if words is not None:
            Path(name).unlink()
            removed.append(words)
    return removed


def broken_store(manifest: Path) -> str | None:
    """Return a message on a difference between a store and its manifest, or None.

    Only names and sizes are compared, which is fast for thousands of stores. A missing manifest
    gives None.
    """
    try:
        files = _parse(manifest.read_text(encoding="utf-8"))["files"]
        sizes = {file: entry["bytes"] for file, entry in files.items()}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{manifest}: is not a manifest"
    for file, size in sizes.items():
        path = manifest.parent / file
        try:
            found = path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return f"{path}: is missing"
        if found != size:
            return f"{path}: has {found} bytes instead of {size}"
    return None


def manifest_for(file: Path) -> Manifest:
    """Return the manifest for ``file``: a store, one of its files, or the manifest itself.

    Raises
    ------
    UserError
        If no manifest beside the file lists it, or the file does not exist yet.
    """
    # A bare name, or ".", has no folder that could have a manifest beside it.
    place = file if file.name and file.parent.name else file.absolute()
    candidates = _candidates(place)
    of_results = ROOT in file.absolute().parent.parts
    for candidate in filter(Path.is_file, candidates):
        try:
            manifest = read_manifest(candidate)
        except UserError:
            if of_results:
                raise
            continue  # a JSON file that is not a manifest
        files = (candidate.parent / name for name in manifest.record["files"])
        if place in (candidate, manifest.store, *files):
            return manifest
    if not of_results:
        raise UserError(f"{file}: is not a result; name a file below {ROOT}/")
    if not file.exists():
        raise UserError(
            f"{file}: is not made yet, or its name is misspelt; make figures makes all that a "
            f"study asks for, snakemake --cores all {file} this alone"
        )
    looked = ", ".join(str(candidate) for candidate in candidates)
    raise UserError(f"{file}: no manifest vouches for it; looked for {looked}")


def _candidates(file: Path) -> list[Path]:
    """Return the possible places of a file's manifest."""
    found = [
        # first, since a folder may hold JSON files that are not manifests
        Path(f"{file.parent}.json"),
        file,
        Path(f"{file}.json"),
        file.with_suffix(".json") if file.name else file,  # a disk's root has no suffix
    ]
    return list(dict.fromkeys(path for path in found if path.suffix == ".json"))


def upstream(manifest: Manifest, root: Path) -> Iterator[tuple[int, str, Manifest | None]]:
    """Yield all upstream stores of a store, depth first, each once.

    Yield the depth (1 for a direct input), the path of the manifest as written in the record,
    relative to ``root``, and the manifest, which is None if it is missing or unreadable.
    """
    seen: set[str] = set()
    waiting = [(1, path) for path in reversed(manifest.record["inputs"])]
    while waiting:
        depth, path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        try:
            found: Manifest | None = read_manifest(root / path)
        except UserError:
            found = None
        yield depth, path, found
        if found is not None:
            waiting += [(depth + 1, name) for name in reversed(found.record["inputs"])]
