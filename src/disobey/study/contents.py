"""What files hold, as one hash: a spec names data and weights by it, not by where they lie."""

import contextlib
import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from disobey.provenance import file_sha256
from disobey.stores.layout import CONTENTS
from disobey.stores.writer import atomic

# A file that was changed this recently may change once more and keep its size and its time.
SETTLED_SECONDS = 2.0

Cache = dict[str, tuple[int, int, str]]


def content_of(paths: Sequence[Path]) -> str:
    """Return the SHA-256, in hex, of the bytes of files in the order of ``paths``.

    Neither names nor folders count, so that moving files changes nothing. A file's hash is kept in
    ``results/contents.json`` and computed again when its size or time of change differs.

    Raises
    ------
    OSError
        When a file cannot be read.
    """
    known = _read()
    hashes, found = [], {}
    for path in paths:
        state = path.stat()
        key, size, changed = str(path.absolute()), state.st_size, state.st_mtime_ns
        if known.get(key, ())[:2] == (size, changed):
            hashes.append(known[key][2])
            continue
        hashes.append(file_sha256(path))
        if time.time() - changed / 1e9 > SETTLED_SECONDS:
            found[key] = (size, changed, hashes[-1])
    if found:
        _write(known | found)
    return _over(hashes)


def read_content(paths: Sequence[Path]) -> str:
    """Return the same hash out of the bytes themselves, whatever was kept of them."""
    return _over(map(file_sha256, paths))


def _over(hashes: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _read() -> Cache:
    """Return what is kept; nothing where that is unreadable, as it can be made again."""
    try:
        entries = json.loads(Path(CONTENTS).read_text(encoding="utf-8"))
        return {
            path: (int(size), int(time), str(sha)) for path, (size, time, sha) in entries.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(cache: Cache) -> None:
    """Keep the hashes; a folder that cannot be written only means that they are computed again."""
    with contextlib.suppress(OSError), atomic(Path(CONTENTS)) as temporary:
        temporary.write_text(json.dumps(cache, indent=1, sort_keys=True) + "\n", encoding="utf-8")
