"""From any file of a store to its manifest, and from a manifest to everything upstream of it."""

from collections.abc import Iterator
from pathlib import Path

from disobey.errors import UserError
from disobey.stores.manifest import Manifest, read_manifest


def manifest_for(file: Path) -> Manifest:
    """Return the manifest that vouches for ``file``: a store, one file of it, or the manifest.

    Raises
    ------
    UserError
        When no manifest beside the file names it.
    """
    candidates = [
        # first: a folder may hold JSON files that are no manifests
        file.parent.with_name(file.parent.name + ".json"),
        file,
        file.with_name(file.name + ".json"),
        file.with_suffix(".json"),
    ]
    for candidate in candidates:
        if candidate.suffix == ".json" and candidate.is_file():
            manifest = read_manifest(candidate)
            inside = {manifest.path.parent / name for name in manifest.record["files"]}
            if file in (manifest.path, manifest.store) or file in inside:
                return manifest
    looked = ", ".join(dict.fromkeys(str(c) for c in candidates if c.suffix == ".json"))
    raise UserError(f"{file}: no manifest vouches for it; looked for {looked}")


def upstream(manifest: Manifest, root: Path) -> Iterator[tuple[int, str, Manifest | None]]:
    """Walk what a store was made from, depth first, each store once.

    Parameters
    ----------
    manifest : Manifest
        Where to begin.
    root : Path
        The folder that the paths in manifests are relative to.

    Yields
    ------
    depth : int
        1 for a direct input.
    path : str
        The upstream manifest, as the record names it.
    found : Manifest or None
        None when it is no longer there or cannot be read.
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
