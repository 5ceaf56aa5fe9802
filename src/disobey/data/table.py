"""One split of a data set as a table of rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROWS, IMAGES = 1000, 32  # of a block: photographs have megabytes

Batch = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Table:
    """One split as a table.

    Attributes
    ----------
    where : str
        What it is called in messages.
    columns : tuple of str
    class_names : callable
        Given a column, returns the names of its classes, or None where the table says none.
    batches : callable
        Given the columns that are read, returns an iterator over batches of rows.
    by_path : bool
        Whether images may be named by their files: only where those files are part of the source,
        or what they hold would be in no hash.
    files : sequence of Path, optional
        Of a folder of images: the file of each row.
    """

    where: str
    columns: tuple[str, ...]
    class_names: Callable[[str], Sequence[str] | None]
    batches: Callable[[Sequence[str]], Iterable[Batch]]
    by_path: bool = False
    files: Sequence[Path] | None = None
