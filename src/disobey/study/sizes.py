"""Sizes of data sets before they are read, to plan memory, time and stored views.

The user's own files are found and their rows counted; rows of CSV and JSON files are estimated.
"""

import glob
import json
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from disobey.data.raw import SPLITS
from disobey.data.sources import builtin_sources
from disobey.data.tables import FOLDER, IMAGES, all_files, format_of_path, visible
from disobey.models.checkpoint import ROBERTA_BASE
from disobey.models.shapes import Shape
from disobey.stores.contents import content_of, facts_of
from disobey.study.datasets import Builtin, Dataset, Files, Hub, Tokenizer


def given_files(dataset: Files, root: str | None, split: str) -> list[Path]:
    """Return the paths of a split below ``root``, with patterns expanded: files, or a folder."""
    given = getattr(dataset, split)
    return [path for word in _words(given) for path in _expanded(word, root)]


def _words(given: str | list[str]) -> list[str]:
    return [given] if isinstance(given, str) else given


def _expanded(word: str, root: str | None) -> list[Path]:
    place = Path(root or "", word)
    if not glob.has_magic(word) or place.exists():
        return [place]
    return sorted(
        Path(root or "", found) for found in glob.glob(word, root_dir=root, recursive=True)
    )


def _files(dataset: Files, root: str | None, split: str) -> list[Path]:
    """Return the files of a split, in a fixed order; for a folder, its images."""
    return list(all_files(given_files(dataset, root, split)))


def format_of(dataset: Files, root: str | None) -> str:
    """Return ``parquet``, ``csv``, ``json``, ``npz`` or ``folder``.

    Raises a ValueError with a message for other formats, or several.
    """
    formats = {
        format_of_path(path) for split in SPLITS for path in given_files(dataset, root, split)
    }
    if len(formats) > 1:
        raise ValueError(f"all files must have one format, got {' and '.join(sorted(formats))}")
    return formats.pop()


def content_of_split(dataset: Files, root: str | None, split: str) -> str:
    """Return the hash of a split's files."""
    given = given_files(dataset, root, split)
    below = given[0] if format_of_path(given[0]) == FOLDER else None
    return content_of(list(all_files(given)), below)


def mistake_in(dataset: Files, root: str | None, split: str) -> str | None:
    """Return a message on the mistake in a split's files, or None."""
    given = getattr(dataset, split)
    for word in _words(given):
        paths = _expanded(word, root)
        missing = [path for path in paths if not os.path.exists(path)]  # a name may be too long
        if missing or not paths:
            place = missing[0] if missing else Path(root or "", word)
            below = "" if root is None else f" (data_root is {root})"
            return f"there is no file {place.absolute()}{below}; correct the path"
    try:
        real = [path.resolve() for path in given_files(dataset, root, split)]
        twice = next((path for path in real if real.count(path) > 1), None)
        if twice is not None:
            return f"{twice} is given twice, so its rows would count twice; name it once"
        if format_of(dataset, root) != FOLDER:
            return None if rows_of(dataset, root, split) else "contains no rows; name other files"
        if not isinstance(given, str):
            return "a folder of images must be the only one; write one folder"
        classes = _class_folders(dataset, root, split)
        if not classes:
            return f"{given} contains no folders of images; make one folder for each class"
        (folder,) = given_files(dataset, root, split)
        inside = {one.name for one in folder.iterdir() if one.is_dir() and visible(one.name)}
        if inside - classes:
            return (
                f"{given}/{min(inside - classes)} contains no readable image of its own "
                f"({', '.join(IMAGES[:3])}, ...); convert its images, or remove the folder"
            )
    except (OSError, ValueError) as error:
        return str(error)
    return None


def _class_folders(dataset: Files, root: str | None, split: str) -> set[str]:
    """Return the names of a folder's subfolders that contain images, one per class."""
    (folder,) = given_files(dataset, root, split)
    return {path.relative_to(folder).parts[0] for path in _files(dataset, root, split)}


def rows_of(dataset: Files, root: str | None, split: str) -> int:
    """Return the approximate number of rows of a split, with one row per line of a CSV file."""
    found = _files(dataset, root, split)
    if format_of(dataset, root) == FOLDER:
        return len(found)
    return sum(int(facts_of(path, table_facts)["rows"]) for path in found)


def classes_of(dataset: Files, root: str | None) -> int | None:
    """Return the number of classes; None if all rows would have to be read."""
    kind = format_of(dataset, root)
    if kind == FOLDER:
        return len(_class_folders(dataset, root, "train"))
    if kind != "parquet":
        return None
    first, *_ = _files(dataset, root, "train")
    known: dict[str, int] = facts_of(first, table_facts)["classes"]
    return known.get(dataset.columns.label)


def table_facts(path: Path) -> dict[str, Any]:
    """Return ``rows`` of a table, and ``classes`` by column if the file records them.

    Raises a ValueError with a message if the content does not match the file's extension.
    """
    kind = format_of_path(path)
    try:
        if kind == "npz":
            return {"rows": _rows_of_arrays(path), "classes": {}}
        if kind == "parquet":
            return _parquet_facts(path)
    except Exception as error:  # each library raises its own error for a damaged file
        raise ValueError(f"{path.name}: cannot be read as {kind}: {error}") from None
    with open(path, "rb") as stream:
        return {"rows": sum(1 for _ in stream), "classes": {}}


def _rows_of_arrays(path: Path) -> int:
    """Return the length of an npz file's arrays, from a header, without loading objects."""
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


FLOAT, TOKEN, BYTE = 4, 4, 1


@dataclass(frozen=True)
class Data:
    """Sizes of a data set: examples of both splits, shape, bytes of one number in memory.

    Encoded images have an ``itemsize`` of 0. ``exact`` is True if the number of training examples
    is known, not estimated, and ``named`` if that of the classes is. Random features are computed
    from ``given`` numbers per example.
    """

    train: int
    test: int
    shape: Shape
    itemsize: int
    exact: bool = True
    given: int = 0
    named: bool = True

    @property
    def encoded(self) -> bool:
        """True if its images are stored encoded and decoded batch by batch."""
        return self.itemsize == 0

    @property
    def input_bytes(self) -> int:
        """Bytes of the inputs of both splits."""
        return (self.train + self.test) * math.prod(self.shape.inputs) * self.itemsize

    @property
    def logit_bytes(self) -> int:
        """Bytes of one model's logits."""
        return (self.train + self.test) * self.shape.classes * FLOAT


ITEMSIZE = {"image": BYTE, "text": TOKEN, "feature": FLOAT}
BUILTIN = {
    name: Data(one.train, one.test, Shape(one.inputs, one.classes), ITEMSIZE[one.kind])
    for name, one in builtin_sources().items()
}
# By path and configuration, from the data cards of these repositories.
HUB: dict[tuple[str, str | None], Data] = {
    ("uoft-cs/cifar10", None): Data(50_000, 10_000, Shape((32, 32, 3), 10), BYTE),
    ("uoft-cs/cifar100", None): Data(50_000, 10_000, Shape((32, 32, 3), 100), BYTE),
    ("zh-plus/tiny-imagenet", None): Data(100_000, 10_000, Shape((64, 64, 3), 200), BYTE),
    ("ILSVRC/imagenet-1k", None): Data(1_281_167, 50_000, Shape((224, 224, 3), 1000), 0),
    ("ylecun/mnist", None): Data(60_000, 10_000, Shape((28, 28, 1), 10), BYTE),
    ("zalando-datasets/fashion_mnist", None): Data(60_000, 10_000, Shape((28, 28, 1), 10), BYTE),
    ("nyu-mll/glue", "mnli"): Data(392_702, 9815, Shape((128,), 3), TOKEN),
    ("nyu-mll/glue", "qqp"): Data(363_846, 40_430, Shape((128,), 2), TOKEN),
    ("nyu-mll/glue", "sst2"): Data(67_349, 872, Shape((128,), 2), TOKEN),
    ("stanfordnlp/imdb", None): Data(25_000, 25_000, Shape((512,), 2), TOKEN),
    ("fancyzhx/ag_news", None): Data(120_000, 7600, Shape((128,), 4), TOKEN),
}
# Guesses for unknown sizes [our choice]; jobs that need more get more in their next attempt.
UNKNOWN_ROWS, UNKNOWN_CLASSES, UNKNOWN_SIDE, COLOURS = 100_000, 100, 64, 3


def sizes_of(dataset: Dataset, root: str | None = None) -> Data:
    """Return the sizes of a data set, estimated if they are unknown.

    Paths of files are relative to ``root``, the study's ``data_root``.
    """
    if isinstance(dataset, Builtin):
        data = BUILTIN[dataset.name]
    elif isinstance(dataset, Hub):
        known = HUB.get((dataset.path, dataset.config))
        data = known or replace(_guessed(dataset), exact=False)
    else:
        train, test = (rows_of(dataset, root, split) for split in ("train", "test"))
        counted = format_of(dataset, root) not in ("csv", "json")  # estimated from their lines
        data = replace(_guessed(dataset, train, test, classes_of(dataset, root)), exact=counted)
    return _reduced(_shaped(data, dataset), dataset)


def _guessed(
    dataset: Hub | Files,
    train: int = UNKNOWN_ROWS,
    test: int = UNKNOWN_ROWS // 5,
    classes: int | None = None,
) -> Data:
    image = dataset.rows == "image"
    inputs = (UNKNOWN_SIDE, UNKNOWN_SIDE, COLOURS) if image else (0,)
    shape = Shape(inputs, classes or UNKNOWN_CLASSES)
    return Data(train, test, shape, BYTE if image else TOKEN, named=classes is not None)


def _shaped(data: Data, dataset: Dataset) -> Data:
    """Return the sizes, adjusted by the options that determine the shape of an example."""
    shape = data.shape
    if dataset.rows == "text":
        tokenizer = dataset.tokenizer or Tokenizer()
        vocabulary = getattr(tokenizer, "vocabulary", ROBERTA_BASE["vocab_size"])  # a checkpoint's
        shape = replace(shape, inputs=(tokenizer.max_tokens,), vocabulary=vocabulary)
        return replace(data, shape=shape)
    size = getattr(dataset, "size", None)
    if size is not None:
        shape = replace(shape, inputs=(size, size, shape.inputs[-1]))
        data = replace(data, shape=shape, itemsize=0 if dataset.encoded else BYTE)
    if dataset.features is None:
        return data
    shape = replace(shape, inputs=(dataset.features.number,))
    return replace(data, shape=shape, itemsize=FLOAT, given=math.prod(data.shape.inputs))


def _reduced(data: Data, dataset: Dataset) -> Data:
    """Return the sizes of the part of a data set that is kept."""
    if not isinstance(dataset, Builtin):
        if dataset.classes:
            shape = replace(data.shape, classes=len(dataset.classes))
            data = replace(data, shape=shape, named=True)
        kept = dataset.first_classes
        if kept is not None and kept < data.shape.classes:
            share = kept / data.shape.classes
            shape = replace(data.shape, classes=kept)
            train, test = round(data.train * share), round(data.test * share)
            data = replace(data, train=train, test=test, shape=shape, exact=False)
        if dataset.drop_empty:
            data = replace(data, exact=False)
    subset = dataset.subset
    if subset is None:
        return data
    if subset.train is not None:
        data = replace(data, train=subset.train, exact=True)
    return replace(data, test=min(data.test, subset.test or data.test))
