"""What can be told of files of logits before anything is made of them: for planning."""

from pathlib import Path
from typing import Any

from disobey.comparison.files import CLEAN_LABEL, LABEL, LOGITS, Columns, read_file


def logits_facts(path: Path) -> dict[str, Any]:
    """Return sizes and label noise of each split of a file of logits.

    Returns
    -------
    dict of dict
        By split, with an empty name where the file names none: ``rows``, ``classes``, and
        ``noise``, the share of given labels that differ from the clean ones; None where not both
        are there.

    Raises
    ------
    UserError
        See `disobey.comparison.files.read_file`.
    """
    found = {}
    for split, columns in read_file(path).items():
        shape = columns[LOGITS].shape if LOGITS in columns else ()
        rows, classes = (*shape, 0, 0)[:2]
        found[split] = {"rows": rows, "classes": classes, "noise": _noise(columns)}
    return found


def labels_facts(path: Path) -> dict[str, Any]:
    """Return label noise of each split of a file of labels, as `logits_facts` does."""
    return {split: {"noise": _noise(columns)} for split, columns in read_file(path, LABEL).items()}


def _noise(columns: Columns) -> float | None:
    if LABEL not in columns or CLEAN_LABEL not in columns:
        return None
    given, clean = columns[LABEL], columns[CLEAN_LABEL]
    return float((given != clean).mean()) if given.shape == clean.shape and given.size else None
