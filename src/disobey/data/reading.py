"""Open a table with the package `datasets`: local files and the hub alike."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from disobey.data.table import IMAGES, ROWS, Batch, Table
from disobey.errors import UserError

# No bar in a log, and nobody is told who reads what.
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def features_table(
    where: str,
    builder: str,
    *,
    by_path: bool = False,
    **options: Any,  # noqa: ANN401
) -> Table:
    """Return a split as a table; images stay as their files are.

    Parameters
    ----------
    where : str
        What it is called in messages.
    builder : str
        A format of files, or a repository of the hub.
    by_path : bool
        As for `Table`.
    **options
        Of `datasets.load_dataset`.

    Raises
    ------
    UserError
        When a file is not what its name says. Errors of the hub pass.
    """
    import datasets

    reading = (datasets.exceptions.DatasetGenerationError, *_arrow_errors())
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
            yield from rows.select_columns(list(columns)).iter(IMAGES if with_images else ROWS)
        except reading as error:
            raise UserError(f"{where}: cannot be read: {error}") from None

    def class_names(column: str) -> Sequence[str] | None:
        names: Sequence[str] | None = getattr(features.get(column), "names", None)
        return names

    return Table(where, tuple(features), class_names, batches, by_path)


def _arrow_errors() -> tuple[type[Exception], ...]:
    import pyarrow

    return (pyarrow.ArrowException,)
