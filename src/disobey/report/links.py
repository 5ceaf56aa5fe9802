"""Links from the page to files beside it, which open from disk: relative, and to what is there."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from disobey.stores.layout import BESIDE, log_of

if TYPE_CHECKING:
    from disobey.stores.manifest import Manifest

# Stages with a store in the folder of a study; their logs lie in a folder of the study too.
OF_STUDY = ("confidence", *BESIDE, "table", "figure")


@dataclass(frozen=True)
class Link:
    """A word that leads to a file; without an address where the file is gone."""

    text: str
    href: str | None


def relative(path: Path, page: Path) -> str:
    """Return the address of a file as seen from the page."""
    return quote(Path(os.path.relpath(path, page.parent)).as_posix())


def link(text: str, path: Path, page: Path) -> Link:
    """Return a link to a file or folder, or the bare word where there is none."""
    return Link(text, relative(path, page) if path.exists() else None)


def links_of(manifest: "Manifest", page: Path) -> Iterator[Link]:
    """Yield links to a store's log, its manifest and its files.

    A log is named by where it lies, not by what is in it, so that no page is out of date when a job
    runs again.
    """
    yield link("log", _log(manifest), page)
    yield link("manifest", manifest.path, page)
    for name in manifest.record["files"]:
        path = manifest.path.parent / name
        yield link("store" if path == manifest.store else path.name, path, page)


def _log(manifest: "Manifest") -> Path:
    stage, key = manifest.record["stage"], manifest.id
    if stage in OF_STUDY:
        key = f"{manifest.path.parent.parent.name}/{key}"
    elif stage == "views":
        key = f"{manifest.path.parent.name}/{key}"
    return Path(log_of(stage, key))
