"""The user's own files: parquet, CSV, JSON lines, npz, or images in one folder per class."""

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from disobey.data.raw import RawData
from disobey.data.table_rows import raw_data
from disobey.data.tables import (
    Table,
    all_files,
    csv_table,
    features_table,
    folder_table,
    json_table,
    npz_table,
)
from disobey.errors import UserError
from disobey.stores.contents import content_of


def load(spec: Mapping[str, Any], files: Mapping[str, Sequence[str]]) -> RawData:
    """Return the data of the files of each split.

    Parameters
    ----------
    spec : mapping
        ``format``, ``columns`` and, as ``train`` and ``test``, the hash of the files' content.
    files : mapping
        The files' paths by split, or one folder.

    Raises
    ------
    UserError
        If a file is missing, unreadable or has changed since the jobs were planned.
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
    where = f"{split} ({paths[0]}{', ...' if len(paths) > 1 else ''})"
    if kind == "folder":
        return folder_table(where, paths[0])
    if kind == "parquet":
        names = [glob.escape(str(path)) for path in paths]
        return features_table(
            where, kind, data_files={"train": names}, split="train", streaming=True
        )
    tables = {"csv": csv_table, "json": json_table, "npz": npz_table}
    return tables[kind](where, paths)
