"""The user's own data files: where they are, of which format, and how many rows they hold."""

import glob
import json
from pathlib import Path
from typing import Any

from disobey.data.raw import SPLITS
from disobey.data.tables import FOLDER, IMAGES, all_files, format_of_path, visible
from disobey.stores.contents import content_of, facts_of
from disobey.study.datasets import Files


def files_of(dataset: Files, root: str | None) -> dict[str, list[Path]]:
    """Return the files of each split, in a fixed order; a folder's are its images.

    Parameters
    ----------
    dataset : Files
    root : str, optional
        The study's ``data_root``.
    """
    return {split: list(all_files(given_files(dataset, root, split))) for split in SPLITS}


def given_files(dataset: Files, root: str | None, split: str) -> list[Path]:
    """Return the paths of a split, with patterns expanded: files, or a folder."""
    return _given(getattr(dataset, split), root)


def format_of(dataset: Files, root: str | None) -> str:
    """Return ``parquet``, ``csv``, ``json``, ``npz`` or ``folder``.

    Raises
    ------
    ValueError
        In words, for files of no known format or of several.
    """
    formats = {
        format_of_path(path) for split in SPLITS for path in given_files(dataset, root, split)
    }
    if len(formats) > 1:
        raise ValueError(f"files of one format are needed, got {' and '.join(sorted(formats))}")
    return formats.pop()


def content_of_split(dataset: Files, root: str | None, split: str) -> str:
    """Return the hash of a split's files."""
    given = given_files(dataset, root, split)
    below = given[0] if format_of_path(given[0]) == FOLDER else None
    return content_of(list(all_files(given)), below)


def mistake_in(dataset: Files, root: str | None, split: str) -> str | None:
    """Return the mistake in a split's files, in words, or None."""
    given = getattr(dataset, split)
    for word in [given] if isinstance(given, str) else given:
        paths = _given(word, root)
        missing = [path for path in paths if not path.exists()]
        if missing or not paths:
            place = missing[0] if missing else Path(root or "", word)
            below = "" if root is None else f" (data_root is {root})"
            return f"there is no file {place.absolute()}{below}; correct the path"
    try:
        found = files_of(dataset, root)[split]
        if format_of(dataset, root) == FOLDER:
            if not isinstance(given, str):
                return "a folder of images must be the only one; write one folder"
            if not found:
                return f"{given} holds no images in folders, one for each class"
            (folder,) = given_files(dataset, root, split)
            classes = {path.relative_to(folder).parts[0] for path in found}
            inside = {one.name for one in folder.iterdir() if one.is_dir() and visible(one.name)}
            if inside - classes:
                return (
                    f"{given}/{min(inside - classes)} holds no image of its own that can be read "
                    f"({', '.join(IMAGES[:3])}, ...); convert its images, or remove the folder"
                )
        else:
            rows_of(dataset, root, split)
    except (OSError, ValueError) as error:
        return str(error)
    return None


def rows_of(dataset: Files, root: str | None, split: str) -> int:
    """Return about how many rows a split has: each line of a CSV file counts as one."""
    found = files_of(dataset, root)[split]
    if format_of(dataset, root) == FOLDER:
        return len(found)
    return sum(int(facts_of(path, table_facts)["rows"]) for path in found)


def classes_of(dataset: Files, root: str | None) -> int | None:
    """Return the number of classes; None if it takes reading all rows."""
    found = files_of(dataset, root)["train"]
    kind = format_of(dataset, root)
    if kind == FOLDER:
        return len(
            {path.relative_to(given_files(dataset, root, "train")[0]).parts[0] for path in found}
        )
    if kind != "parquet":
        return None
    known: dict[str, int] = facts_of(found[0], table_facts)["classes"]
    return known.get(dataset.columns.label)


def table_facts(path: Path) -> dict[str, Any]:
    """Return ``rows`` of a table, and ``classes`` by column where the file says so.

    Raises
    ------
    ValueError
        In words, for a file that is not what its name says.
    """
    kind = format_of_path(path)
    try:
        if kind == "npz":
            return {"rows": _rows_of_arrays(path), "classes": {}}
        if kind == "parquet":
            return _parquet_facts(path)
    except Exception as error:  # each library has its own for a file that is damaged
        raise ValueError(f"{path.name}: cannot be read as {kind}: {error}") from None
    with open(path, "rb") as stream:
        return {"rows": sum(1 for _ in stream), "classes": {}}


def _rows_of_arrays(path: Path) -> int:
    """Return the length of an npz file's arrays; a header says it, objects are not loaded."""
    import zipfile

    from numpy.lib import format as npy

    rows: list[int] = []
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as stream:
                version = npy.read_magic(stream)
                read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                shape = read(stream)[0]
                rows += shape[:1]
    return max(rows, default=0)


def _parquet_facts(path: Path) -> dict[str, Any]:
    import pyarrow.parquet

    about = pyarrow.parquet.read_metadata(path)
    said = about.schema.to_arrow_schema().metadata or {}
    features = json.loads(said.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    classes = {name: len(kind["names"]) for name, kind in features.items() if "names" in kind}
    return {"rows": about.num_rows, "classes": classes}


def _given(words: str | list[str], root: str | None) -> list[Path]:
    """Return paths with patterns expanded."""
    found: list[Path] = []
    for word in [words] if isinstance(words, str) else words:
        place = Path(root or "", word)
        if glob.has_magic(word) and not place.exists():
            found += sorted(
                Path(root or "", match) for match in glob.glob(word, root_dir=root, recursive=True)
            )
        else:
            found.append(place)
    return found
