"""The user's files and tables of rows: hub, parquet, CSV, JSON lines, npz and image folders.

Except for `features_table`, which uses `datasets`, this module parses the files itself: messages
name the line, CSV values stay text (0012, NA) and short rows are refused.
"""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from disobey.errors import UNREADABLE_ARRAYS, UserError

FORMATS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "json", ".json": "json", ".npz": "npz"}
FOLDER = "folder"
IMAGES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".webp", ".bmp", ".gif", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".tga",
)  # fmt: skip


def format_of_path(path: Path) -> str:
    """Return the format of a path: ``parquet``, ``csv``, ``json``, ``npz`` or ``folder``.

    Raises
    ------
    ValueError
        For any other format.
    """
    if path.is_dir():
        return FOLDER
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(FORMATS)
        raise ValueError(
            f"{path.name} has an unknown format; name files that end in {known}, or a folder of "
            f"images"
        ) from None


def all_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files, with a folder replaced by the images in its subfolders, in a fixed order.

    Hashing, counting and reading all use this list.
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
    """Yield the files in a folder and its subfolders.

    Links to folders are followed, but each folder is visited once, since links may form a cycle.
    Hidden files and folders are left out (``.ipynb_checkpoints`` of Jupyter, ``._1.png`` of macOS).
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
    """Return True if a file or folder is not hidden, so that it is the user's own."""
    return not name.startswith(".") and name != "__MACOSX"


# No progress bars in logs, and no telemetry.
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
csv.field_size_limit(1 << 30)  # the default limit is 128 KiB

ROWS_AT_ONCE, IMAGES_AT_ONCE = 1000, 32  # a photograph takes megabytes

Row = Mapping[str, Any]
Batch = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Table:
    """One split as a table.

    Attributes
    ----------
    where : str
        Its name in messages.
    columns : tuple of str
    class_names : callable
        Maps a column to the names of its classes, or to None if the table has no names.
    batches : callable
        Maps the columns to read to an iterator over batches of rows.
    by_path : bool
        True if images may be paths of files, which must be part of the source; otherwise their
        content would not be hashed.
    files : sequence of Path, optional
        The file of each row, for a folder of images.
    """

    where: str
    columns: tuple[str, ...]
    class_names: Callable[[str], Sequence[str] | None]
    batches: Callable[[Sequence[str]], Iterable[Batch]]
    by_path: bool = False
    files: Sequence[Path] | None = None


# --- what `datasets` reads ---------------------------------------------------------------------


def features_table(
    where: str,
    builder: str,
    *,
    by_path: bool = False,
    **options: Any,
) -> Table:
    """Return a split as a table; images stay encoded.

    Parameters
    ----------
    where : str
        Its name in messages.
    builder : str
        A file format, or a repository of the hub.
    by_path : bool
        As for `Table`.
    **options
        Options of `datasets.load_dataset`.

    Raises
    ------
    UserError
        If a file does not have the format of its name. Errors of the hub are passed on.
    """
    import datasets
    import pyarrow

    reading = (datasets.exceptions.DatasetGenerationError, pyarrow.ArrowException)
    try:
        rows = datasets.load_dataset(builder, **options)
    except reading as error:
        raise UserError(f"{where}: cannot be read: {error}") from None
    features = rows.features
    for name, feature in features.items():
        if isinstance(feature, datasets.Image):
            rows = rows.cast_column(name, datasets.Image(decode=False))

    def batches(columns: Sequence[str]) -> Iterator[Batch]:
        with_images = any(isinstance(features[name], datasets.Image) for name in columns)
        try:
            at_once = IMAGES_AT_ONCE if with_images else ROWS_AT_ONCE
            yield from rows.select_columns(list(columns)).iter(at_once)
        except (*reading, OSError) as error:
            raise UserError(f"{where}: cannot be read: {error}") from None

    def class_names(column: str) -> Sequence[str] | None:
        return getattr(features.get(column), "names", None)

    return Table(where, tuple(features), class_names, batches, by_path)


def _by_rows(where: str, columns: Sequence[str], rows: Callable[[], Iterable[Row]]) -> Table:
    """Return a table of rows; ``rows`` makes a new iterator for each pass."""

    def batches(wanted: Sequence[str]) -> Iterator[Batch]:
        for some in _batched(rows(), ROWS_AT_ONCE):
            yield {name: [row.get(name) for row in some] for name in wanted}

    return Table(where, tuple(columns), lambda _: None, batches)


# --- CSV -------------------------------------------------------------------------------------


def csv_table(where: str, paths: Sequence[Path]) -> Table:
    """Return CSV files with the same header as a table; every value is text, 0012 stays 0012.

    Raises
    ------
    UserError
        If a file has no header or another header. When rows are read: if a row has another length,
        or bytes are not UTF-8.
    """
    headers = [_header(path) for path in paths]
    for path, header in zip(paths, headers, strict=True):
        if header != headers[0]:
            raise UserError(
                f"{path}: has the columns {', '.join(header)}; {paths[0]} has "
                f"{', '.join(headers[0])}"
            )
    return _by_rows(where, headers[0], lambda: chain.from_iterable(map(_csv_rows, paths)))


def _header(path: Path) -> list[str]:
    header = next(_csv_lines(path), (0, []))[1]
    if not header:
        raise UserError(f"{path}: is empty; its first line must name the columns")
    if len(header) == 1 and ";" in header[0]:
        raise UserError(f"{path}: line 1: separate columns by commas, not by semicolons")
    twice = [name for number, name in enumerate(header) if name in header[:number]]
    if twice:
        raise UserError(f"{path}: line 1 names two columns '{twice[0]}'; rename one of them")
    return header


def _csv_rows(path: Path) -> Iterator[Row]:
    lines = _csv_lines(path)
    _, header = next(lines)
    for number, fields in lines:
        if fields and len(fields) != len(header):
            raise UserError(
                f"{path}: line {number} has {len(fields)} fields, the header {len(header)}; put "
                f"text with commas in quotes"
            )
        if fields:
            yield dict(zip(header, fields, strict=True))


def _csv_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    with open(path, newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, strict=True)
        while True:
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise UserError(f"{path}: line {reader.line_num}: {error}") from None
            except UnicodeDecodeError as error:
                where = f"line {reader.line_num + 1} or soon after"
                raise UserError(f"{path}: {where}: {error}; save it as UTF-8") from None
            yield reader.line_num, fields


# --- JSON ------------------------------------------------------------------------------------


def json_table(where: str, paths: Sequence[Path]) -> Table:
    """Return files of JSON lines, or of one array of objects, as a table.

    The columns are those of the first row; a row without one of them has None there.

    Raises
    ------
    UserError
        If a row is not a JSON object; the message has its line.
    """

    def rows() -> Iterable[Row]:
        return chain.from_iterable(map(_json_rows, paths))

    first = next(iter(rows()), None)
    if first is None:
        raise UserError(f'{paths[0]}: is empty; each line is an object, as {{"text": "..."}}')
    return _by_rows(where, list(first), rows)


def _json_rows(path: Path) -> Iterator[Row]:
    number = 0
    try:
        with open(path, encoding="utf-8-sig") as stream:
            if next(filter(str.strip, stream), "").lstrip().startswith("["):
                stream.seek(0)
                values: Iterable[tuple[int, Any]] = enumerate(json.load(stream), 1)
                yield from (_object(value, path, f"entry {n}") for n, value in values)
                return
            stream.seek(0)
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield _object(json.loads(line), path, f"line {number}")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: {error}; save it as UTF-8") from None
    except (ValueError, RecursionError) as error:  # also for too many digits or brackets
        said = f"line {number}: {getattr(error, 'msg', error)}" if number else error
        raise UserError(f"{path}: is not JSON: {said}; write one object on each line") from None


def _object(value: object, path: Path, where: str) -> Row:
    if not isinstance(value, dict):
        raise UserError(f'{path}: {where} is not an object; write {{"text": "...", "label": 0}}')
    return value


# --- a folder of images -----------------------------------------------------------------------


def folder_table(where: str, folder: Path) -> Table:
    """Return the images of a folder as a table with the columns ``image`` and ``label``.

    Its subfolders are the classes; images may be nested deeper. The log lists ignored files.
    """
    files = list(all_files([folder]))
    others = sorted(set(files_below(folder)) - set(files))
    if others:
        print(
            f"{where}: {len(others):,} files are left out, since their names are no images' in a "
            f"folder: {', '.join(map(str, others[:5]))}{', ...' if len(others) > 5 else ''}",
            file=sys.stderr,
        )
    names = sorted({path.relative_to(folder).parts[0] for path in files})

    def batches(wanted: Sequence[str]) -> Iterator[Batch]:
        for some in _batched(files, IMAGES_AT_ONCE):
            batch: dict[str, Sequence[Any]] = {}
            if "image" in wanted:
                batch["image"] = [path.read_bytes() for path in some]
            if "label" in wanted:
                batch["label"] = [names.index(path.relative_to(folder).parts[0]) for path in some]
            yield batch

    return Table(where, ("image", "label"), {"label": names}.get, batches, files=files)


# --- npz -------------------------------------------------------------------------------------


def npz_table(where: str, paths: Sequence[Path]) -> Table:
    """Return the arrays of an npz file as the columns of a table, in memory.

    Raises
    ------
    UserError
        For more than one file, arrays of objects, or arrays of different lengths.
    """
    if len(paths) > 1:
        raise UserError(f"{where}: one npz file for a split; write one name")
    try:
        with np.load(paths[0], allow_pickle=False) as opened:
            arrays = {name: opened[name] for name in opened.files if opened[name].ndim}
    except UNREADABLE_ARRAYS as error:
        raise UserError(
            f"{where}: cannot be read as npz ({error}); save arrays of numbers or of text, "
            f"dtype=str, with numpy.savez"
        ) from None
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise UserError(f"{where}: arrays must have one row for each example, got rows: {said}")
    return Table(where, tuple(arrays), lambda _: None, partial(_array_batches, where, arrays))


def _array_batches(
    where: str, arrays: Mapping[str, np.ndarray], columns: Sequence[str]
) -> Iterator[Batch]:
    for start in range(0, len(arrays[columns[0]]), ROWS_AT_ONCE):
        rows = {name: arrays[name][start : start + ROWS_AT_ONCE] for name in columns}
        yield {name: _values(where, name, array) for name, array in rows.items()}


def _values(where: str, name: str, array: np.ndarray) -> Any:
    """Return image arrays, with channels last, or the values of other arrays."""
    if array.ndim < 3:
        return array.tolist()
    if array.dtype != np.uint8:
        raise UserError(
            f"{where}: array {name} is {array.dtype}; images are uint8, 0 to 255: multiply and "
            f"convert with astype(numpy.uint8)"
        )
    images = array[..., None] if array.ndim == 3 else array
    if images.ndim != 4 or 0 in images.shape or images.shape[-1] not in (1, 3):
        raise UserError(
            f"{where}: array {name} has shape {array.shape}; images are (example, y, x) or "
            f"(example, y, x, channel) of 1 or 3 channels, channels last"
        )
    return images


def _batched(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while some := list(islice(iterator, size)):
        yield some
