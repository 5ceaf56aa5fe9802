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

    This one list is what is hashed, counted and read. Links to folders are followed.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = [
            Path(place, name)
            for place, _, names in os.walk(path, followlinks=True)
            for name in names
            if Path(place) != path and Path(name).suffix.lower() in IMAGES
        ]
        yield from sorted(found)
