"""From any file of a store to its manifest, and from a manifest to everything upstream of it."""

from collections.abc import Iterator
from pathlib import Path

from disobey.errors import UserError
from disobey.stores.layout import ROOT
from disobey.stores.manifest import Manifest, read_manifest


def manifest_for(file: Path) -> Manifest:
    """Return the manifest that vouches for ``file``: a store, one file of it, or the manifest.

    Raises
    ------
    UserError
        When no manifest beside the file names it, or there is no such file yet.
    """
    # A bare name, or ".", has no folder beside which a manifest could lie.
    place = file if file.name and file.parent.name else file.absolute()
    candidates = _candidates(place)
    of_results = ROOT in file.absolute().parent.parts
    for candidate in candidates:
        try:
            manifest = read_manifest(candidate) if candidate.is_file() else None
        except UserError:
            if of_results:
                raise
            continue  # some other JSON file, which is none of ours to call broken
        if manifest is not None and _vouches(manifest, place):
            return manifest
    if not of_results:
        raise UserError(f"{file}: is no result; name a file below {ROOT}/")
    if not file.exists():
        raise UserError(
            f"{file}: is not made yet, or its name is misspelt; make figures makes all that a "
            f"study asks for, snakemake --cores all {file} this alone"
        )
    looked = ", ".join(str(candidate) for candidate in candidates)
    raise UserError(f"{file}: no manifest vouches for it; looked for {looked}")


def _vouches(manifest: Manifest, file: Path) -> bool:
    inside = {manifest.path.parent / name for name in manifest.record["files"]}
    return file in (manifest.path, manifest.store) or file in inside


def _candidates(file: Path) -> list[Path]:
    """Return where the manifest of a file may lie."""
    found = [
        # first: a folder may hold JSON files that are no manifests
        Path(f"{file.parent}.json"),
        file,
        Path(f"{file}.json"),
        file.with_suffix(".json") if file.name else file,  # the root of the disk has none
    ]
    return list(dict.fromkeys(path for path in found if path.suffix == ".json"))


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
