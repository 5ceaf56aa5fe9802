"""What the user's own files hold, as one hash: ids of data sets stand on it, never on paths.

Hashes are kept by each file's size and time of change, so that planning reads a file once. The
times only spare work: a hash is always that of the bytes.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from disobey.stores.layout import CONTENTS
from disobey.stores.writer import atomic

SAID_FROM = 1 << 30  # bytes; a disk reads this in seconds


def content_of(paths: Sequence[Path], below: Path | None = None) -> str:
    """Return the SHA-256, in hex, of files in their order.

    Parameters
    ----------
    paths : sequence of Path
    below : Path, optional
        A folder; the files' names inside of it then count too.

    Raises
    ------
    OSError
        When a file cannot be read.
    """
    whole = hashlib.sha256()
    for path, known in zip(paths, _described(paths), strict=True):
        name = "" if below is None else path.relative_to(below).as_posix()
        whole.update(f"{name}\0{known['sha256']}\n".encode())
    return whole.hexdigest()


def facts_of(path: Path, facts: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Return what ``facts`` says of a file, asked once for each content of it."""
    kept = _kept()
    digest = _described([path])[0]["sha256"]
    key = f"{facts.__name__}:{digest}"
    if key not in kept:
        kept = _kept() | {key: facts(path)}
        _keep(kept)
    found: dict[str, Any] = kept[key]
    return found


def _described(paths: Sequence[Path]) -> list[dict[str, Any]]:
    kept, found, new = _kept(), [], {}
    states = [(str(path.resolve()), path.stat()) for path in paths]
    unknown = [state.st_size for key, state in states if not _is(kept.get(key), state)]
    if sum(unknown) > SAID_FROM:
        print(f"disobey: reading {sum(unknown) / 1e9:.1f} GB of data once", file=sys.stderr)
    for key, state in states:
        known = kept.get(key)
        if known is None or not _is(known, state):
            known = {"size": state.st_size, "time": state.st_mtime_ns, "sha256": _sha256(key)}
            new[key] = known
        found.append(known)
    if new:
        _keep(_kept() | new)
    return found


def _is(known: dict[str, Any] | None, state: os.stat_result) -> bool:
    seen = (state.st_size, state.st_mtime_ns)
    return known is not None and (known["size"], known["time"]) == seen


def _sha256(path: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _kept() -> dict[str, Any]:
    """Return what is kept; nothing where the file is missing or was written by something else."""
    try:
        kept = json.loads(Path(CONTENTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _keep(kept: dict[str, Any]) -> None:
    """Write what is kept; a folder that cannot be written to only costs time."""
    try:
        with atomic(Path(CONTENTS)) as path:
            path.write_text(json.dumps(kept, indent=0), encoding="utf-8")
    except OSError:
        return
