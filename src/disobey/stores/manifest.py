"""The manifest beside every store: what it is, what made it, and the hashes of its bytes.

From any file of a store one finds its manifest, and from a manifest all that is upstream of it.
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
    """A store's record as read from ``<store>.json``, its path; see `describe` for its content."""

    path: Path
    record: dict[str, Any]

    @property
    def id(self) -> str:
        """The store's id: the last part of its path without a suffix of a file."""
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
            Its path from the manifest's folder; not needed where the store is a single file.

        Raises
        ------
        UserError
            When the file is missing, was cut short or changed since the manifest was written.
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
    """Read ``path``; its spec must hash to the hash written beside it.

    Raises
    ------
    UserError
        When there is no manifest (the store is unfinished or missing), it is broken or was edited.
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
    """Return the record in a manifest's text; ValueError where it is none."""
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
        - ``stage``, ``id``: which command made it, and what it is called
        - ``spec``, ``spec_hash``: all that it depends on, upstream stores by their ids; its SHA-256
        - ``code``, ``modules``: digest of the code that it depends on, and of each module loaded
        - ``files``, ``content``: bytes and SHA-256 of each of its files; one hash over all of them
        - ``inputs``: the manifests of the stores that it was made from, each with its content
        - ``versions``, ``python``: of the libraries that can change a number
        - ``git``: commit of the checkout, and whether it had changes
        - ``host``, ``machine``, ``device``: where it was made; ``cpu``, ``cuda``, or none
        - ``written``, ``seconds``, ``cpu_seconds``: when, and how long it took
        - ``measured``: ``host_mb`` and, on a GPU, ``card_mb``, the most memory that the process
          took; and what the stage measured itself
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
    """Write ``record`` to ``path`` in one step: a reader sees all of it or none."""
    from disobey.stores.writer import atomic

    with atomic(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def remove_broken_manifests(manifests: Iterable[str]) -> list[str]:
    """Delete each manifest whose store is missing or of another size; return a line about each.

    Snakemake then sees an output missing, and makes the store and all that depends on it again.
    """
    removed = []
    for name in manifests:
        words = broken_store(Path(name))
        if words is not None:
            Path(name).unlink()
            removed.append(words)
    return removed


def broken_store(manifest: Path) -> str | None:
    """Return in words how a store differs from its manifest, or None.

    Looks at names and sizes only, so that it stays quick for thousands of stores; a manifest that
    is not there makes no promise that could be broken.
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
    """Return the manifest that vouches for ``file``: a store, one file of it, or the manifest.

    Raises
    ------
    UserError
        When no manifest beside the file names it, or there is no such file yet.
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
            continue  # some other JSON file, which is none of ours to call broken
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
        # first: a folder may hold JSON files that are not manifests
        Path(f"{file.parent}.json"),
        file,
        Path(f"{file}.json"),
        file.with_suffix(".json") if file.name else file,  # the root of the disk has none
    ]
    return list(dict.fromkeys(path for path in found if path.suffix == ".json"))


def upstream(manifest: Manifest, root: Path) -> Iterator[tuple[int, str, Manifest | None]]:
    """Walk the stores that a store was made from, depth first, each once.

    Yields depth (1 for a direct input), the path of the manifest as the record names it, from the
    folder ``root``, and the manifest; None if it is gone or cannot be read.
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
