"""Hashes of files' contents, by which a spec names data and weights instead of by their paths.

Hashes are cached by each file's size and time of change, so that planning reads a file only once.
"""

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from disobey.errors import UserError
from disobey.provenance import file_sha256
from disobey.stores.layout import CONTENTS
from disobey.stores.writer import atomic

# A file that changed this recently may change again without a change of its size and time.
SETTLED_SECONDS = 2.0
NUL = "\0"  # ends a file's name
SAID_FROM = 1 << 30  # bytes; a disk reads this in seconds

_KEEPS: ContextVar[bool] = ContextVar("keeps", default=True)
# Maps a path to size, times of change in ns, inode and SHA-256; and a function's name with a
# SHA-256 to the function's result.
Cache = dict[str, Any]


def content_of(paths: Sequence[Path], below: Path | None = None) -> str:
    """Return the SHA-256, in hex, of the bytes of files in the order of ``paths``.

    A file's hash is cached in ``results/contents.json`` and computed again if its size or time of
    change differs.

    Parameters
    ----------
    paths : sequence of Path
    below : Path, optional
        If given, the hash includes the files' paths relative to this folder. Otherwise it does not
        depend on names and folders, so files may be moved.

    Raises
    ------
    UserError
        If a file cannot be read, such as a broken link.
    """
    try:
        return _over(paths, _kept_hashes(paths), below)
    except OSError as error:
        raise UserError(
            f"{error.filename}: cannot be read: {error.strerror}; repair or remove it"
        ) from None
    except UnicodeEncodeError as error:
        raise UserError(
            f"{below}: the file name {error.object.partition(NUL)[0]!r} is not UTF-8; rename it"
        ) from None


def read_content(paths: Sequence[Path], below: Path | None = None) -> str:
    """Return the hash of `content_of`, computed from the files' bytes without the cache."""
    return _over(paths, [file_sha256(path) for path in paths], below)


@contextlib.contextmanager
def nothing_kept() -> Iterator[None]:
    """Context in which hashes are not cached, for callers that must not write files."""
    token = _KEEPS.set(False)
    try:
        yield
    finally:
        _KEEPS.reset(token)


def facts_of(path: Path, facts: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Return the result of ``facts`` on a file, computed once for each content and cached."""
    key = f"{facts.__name__}:{_kept_hashes([path])[0]}"
    known = _read()
    if not isinstance(known.get(key), dict):
        known[key] = facts(path)
        _write(_read() | {key: known[key]})
    found: dict[str, Any] = known[key]
    return found


def _over(paths: Sequence[Path], hashes: Sequence[str], below: Path | None) -> str:
    whole = hashlib.sha256()
    for path, one in zip(paths, hashes, strict=True):
        name = "" if below is None else path.relative_to(below).as_posix()
        whole.update(f"{name}{NUL}{one}\n".encode())
    return whole.hexdigest()


def _kept_hashes(paths: Sequence[Path]) -> list[str]:
    known, now = _read(), time.time()
    states = {path: path.stat() for path in paths}
    keys = {path: str(path.absolute()) for path in paths}
    unread = [path for path in states if not _is_of(known.get(keys[path]), states[path])]
    size = sum(states[path].st_size for path in unread)
    if size > SAID_FROM:
        print(f"disobey: reading {size / 1e9:.1f} GB of files once", file=sys.stderr)
    known |= {keys[path]: [*_state(states[path]), file_sha256(path)] for path in unread}
    settled = [path for path in unread if now - states[path].st_mtime > SETTLED_SECONDS]
    if settled:
        _write(_read() | {keys[path]: known[keys[path]] for path in settled})
    return [str(known[keys[path]][-1]) for path in paths]


def _is_of(entry: Any, state: os.stat_result) -> bool:
    return isinstance(entry, list) and len(entry) == 5 and entry[:-1] == _state(state)


def _state(state: os.stat_result) -> list[int]:
    """Return size, times and inode, which change with the file even if a copy keeps its mtime."""
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]


def _read() -> Cache:
    """Return the cached hashes; an unreadable cache counts as empty, since it can be rebuilt."""
    try:
        entries = json.loads(Path(CONTENTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _write(cache: Cache) -> None:
    """Write the cache; errors are ignored, since the hashes can be computed again."""
    if not _KEEPS.get():
        return
    with contextlib.suppress(OSError), atomic(Path(CONTENTS)) as temporary:
        temporary.write_text(json.dumps(cache, indent=1, sort_keys=True) + "\n", encoding="utf-8")
