"""Files that a data set can be read from: their formats, and what a folder of images holds."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".jsonl": "json",
    ".json": "json",
    ".npz": "npz",
}
FOLDER = "folder"
IMAGES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".webp", ".bmp", ".gif", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".tga",
)  # fmt: skip


def format_of_path(path: Path) -> str:
    """Return ``parquet``, ``csv``, ``json``, ``npz`` or ``folder``.

    Raises
    ------
    ValueError
        For any other.
    """
    if path.is_dir():
        return FOLDER
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(FORMATS)
        raise ValueError(
            f"{path.name}: what format is this? Files end in {known}, or name a folder of images"
        ) from None


def all_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files, and in place of a folder the images in its folders, in a fixed order.

    This one list is what is hashed, counted and read.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = files_below(path)
        yield from sorted(
            file for file in found if file.parent != path and file.suffix.lower() in IMAGES
        )


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and its folders.

    Links to folders are followed, but each folder counts once: a link may lead back. Hidden files
    and folders are left out (``.ipynb_checkpoints`` of Jupyter, ``._1.png`` of macOS).
    """
    seen = {os.path.realpath(folder)}
    for place, folders, names in os.walk(folder, followlinks=True):
        found, folders[:] = sorted(filter(visible, folders)), []
        for name in found:
            real = os.path.realpath(Path(place, name))
            if real not in seen:
                seen.add(real)
                folders.append(name)
        yield from (Path(place, name) for name in names if visible(name))


def visible(name: str) -> bool:
    """Return whether a file or folder is the user's own, not one that a program hides there."""
    return not name.startswith(".") and name != "__MACOSX"
