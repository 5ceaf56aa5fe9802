"""The user's own files: parquet, CSV, JSON lines, npz, or images in one folder per class."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from disobey.data.raw import RawData
from disobey.data.reading import features_table
from disobey.data.tables import BATCH, Batch, Table, raw_data
from disobey.data.user_files import all_files
from disobey.errors import UserError
from disobey.stores.contents import content_of


def load(spec: Mapping[str, Any], files: Mapping[str, Sequence[str]]) -> RawData:
    """Return the data of the files of each split.

    Parameters
    ----------
    spec : mapping
        ``format``, ``columns`` and, as ``train`` and ``test``, the hash of what the files hold.
    files : mapping
        Their paths by split, or one folder.

    Raises
    ------
    UserError
        When a file is not there, is not readable or has changed since the jobs were planned.
    """
    if not files:
        raise UserError("which files? call the command with --files, as snakemake -p prints it")
    tables = []
    for split in ("train", "test"):
        paths = [Path(path) for path in files[split]]
        _check_content(split, paths, spec)
        tables.append(_table(spec["format"], split, paths))
    return raw_data(spec, *tables)


def _check_content(split: str, paths: Sequence[Path], spec: Mapping[str, Any]) -> None:
    below = paths[0] if spec["format"] == "folder" else None
    try:
        content = content_of(list(all_files(paths)), below)
    except OSError as error:
        raise UserError(f"{split}: {error}") from None
    if content != spec[split]:
        raise UserError(
            f"{split}: {paths[0]}{' and others' if len(paths) > 1 else ''} changed since the jobs "
            f"were planned; call snakemake again"
        )


def _table(kind: str, split: str, paths: Sequence[Path]) -> Table:
    shown = f"{split} ({paths[0]}{', ...' if len(paths) > 1 else ''})"
    if kind == "npz":
        return _arrays(shown, paths)
    options: dict[str, Any] = {}
    if kind == "csv":
        options = {"keep_default_na": False, "features": _texts_of(paths[0])}
    patterns = [str(path / "**") if kind == "folder" else str(path) for path in paths]
    builder = "imagefolder" if kind == "folder" else kind
    return features_table(
        shown, builder, data_files={"train": patterns}, split="train", streaming=True, **options
    )


def _texts_of(path: Path) -> Any:  # noqa: ANN401 - datasets is untyped
    """Return the features of a CSV file: every column is text, or 0012 would become 12."""
    from datasets import Features, Value

    with open(path, newline="", encoding="utf-8") as stream:
        header = next(csv.reader(stream), [])
    if not header:
        raise UserError(f"{path}: is empty; its first line must name the columns")
    return Features({name: Value("string") for name in header})


# --- npz -------------------------------------------------------------------------------------


def _arrays(where: str, paths: Sequence[Path]) -> Table:
    if len(paths) > 1:
        raise UserError(f"{where}: one npz file for a split; write one name")
    try:
        with np.load(paths[0], allow_pickle=False) as opened:
            arrays = {name: opened[name] for name in opened.files}
    except (OSError, ValueError) as error:
        raise UserError(
            f"{where}: cannot be read as npz ({error}); save arrays of numbers or of text, "
            f"dtype=str, with numpy.savez"
        ) from None
    lengths = {name: len(array) for name, array in arrays.items() if array.ndim}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise UserError(f"{where}: arrays must have one row for each example, got rows: {said}")
    return Table(where, tuple(arrays), lambda _: None, partial(_batches, where, arrays))


def _batches(
    where: str, arrays: Mapping[str, np.ndarray], columns: Sequence[str]
) -> Iterator[Batch]:
    for start in range(0, len(arrays[columns[0]]), BATCH):
        rows = {name: arrays[name][start : start + BATCH] for name in columns}
        yield {name: _values(where, name, array) for name, array in rows.items()}


def _values(where: str, name: str, array: np.ndarray) -> Any:  # noqa: ANN401
    """Return images as they are, with channels last, and all else as values."""
    if array.ndim < 3:
        return array.tolist()
    if array.dtype != np.uint8:
        raise UserError(
            f"{where}: array {name} is {array.dtype}; images are uint8, 0 to 255: multiply and "
            f"convert with astype(numpy.uint8)"
        )
    images = array[..., None] if array.ndim == 3 else array
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise UserError(
            f"{where}: array {name} has shape {array.shape}; images are (example, y, x) or "
            f"(example, y, x, channel) of 1 or 3 channels, channels last"
        )
    return images
