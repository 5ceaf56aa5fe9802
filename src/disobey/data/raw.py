"""Raw data of a source in blocks of rows, and a first pass that refuses bad rows."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from disobey.data.images import Header, read_header
from disobey.data.label_noise import stratified
from disobey.errors import UserError

SPLITS = ("train", "test")

# Images (arrays, or bytes of files), texts, pairs of texts, or features (row, feature).
Inputs = np.ndarray | Sequence[str] | Sequence[tuple[str, str]] | Sequence[bytes]


@dataclass(frozen=True)
class Block:
    """Some rows of a split.

    Attributes
    ----------
    inputs : ndarray of uint8, shape (row, y, x, channel), or sequence of str, (str, str) or bytes
        Images, texts, pairs of texts, or encoded images; or an ndarray of float32, shape (row,
        feature).
    label : ndarray of int64, shape (row,)
        Index into the source's class names.
    example_id : ndarray of int64, shape (row,)
        Permanent id of an example; unique over both splits.
    """

    inputs: Inputs
    label: np.ndarray
    example_id: np.ndarray

    def __len__(self) -> int:
        return len(self.label)


def are_features(inputs: Inputs) -> bool:
    """Return True if the inputs of a block are features, neither images nor texts."""
    return isinstance(inputs, np.ndarray) and inputs.ndim == 2


@dataclass(frozen=True)
class RawSplit:
    """Training or test examples of a source.

    Attributes
    ----------
    blocks : callable
        Returns an iterator over blocks of rows, in the same order each time, so that memory need
        not hold all rows.
    columns : mapping
        The source's names of ``inputs``, ``label`` and ``example_id``, for messages.
    files : sequence of Path, optional
        The file of each row, if each row is one file.
    """

    blocks: Callable[[], Iterable[Block]]
    columns: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[Path] | None = None

    def column(self, role: str) -> str:
        """Return the source's name of a part of a block."""
        return self.columns.get(role, role)

    def place(self, row: int) -> str:
        """Return the location of a row's input for messages: row and column, or file."""
        if self.files is not None:
            return f"file {self.files[row]}"
        return f"row {row}, column {self.column('inputs')}"


@dataclass(frozen=True)
class RawData:
    """Both splits of a source.

    Attributes
    ----------
    train, test : RawSplit
    class_names : tuple of str
    direction : ndarray, shape (class, dimension), or None
        The true direction of each class, if data are drawn around it.
    """

    train: RawSplit
    test: RawSplit
    class_names: tuple[str, ...]
    direction: np.ndarray | None = None

    def split(self, name: str) -> RawSplit:
        """Return ``train`` or ``test``."""
        return {"train": self.train, "test": self.test}[name]


def in_memory(inputs: Inputs, label: np.ndarray, example_id: np.ndarray) -> RawSplit:
    """Return a split of a single block in memory."""
    block = Block(inputs, label.astype(np.int64), example_id.astype(np.int64))
    return RawSplit(lambda: [block])


def split_images(images: np.ndarray, label: np.ndarray, class_names: Sequence[str]) -> RawData:
    """Split images stratified by class: every fifth image of each class, in order, is for testing.

    The split is not random, so it is the same on every machine and in every version of numpy.

    Parameters
    ----------
    images : ndarray of uint8, shape (example, y, x, channel)
    label : ndarray of int, shape (example,)
    class_names : sequence of str
    """
    is_test = np.zeros(len(label), bool)
    for one in range(len(class_names)):
        is_test[np.flatnonzero(label == one)[4::5]] = True

    def chosen(where: np.ndarray) -> RawSplit:
        index = np.flatnonzero(where)
        return in_memory(images[index], label[index], index)

    return RawData(chosen(~is_test), chosen(is_test), tuple(class_names))


@dataclass(frozen=True)
class Survey:
    """Labels, ids and sizes of all rows of a split.

    Attributes
    ----------
    label, example_id : ndarray of int64, shape (row,)
    empty : ndarray of bool, shape (row,)
        True if a text, or one of a pair, is empty.
    size : ndarray of int64, shape (row,)
        Size of each encoded image in bytes; 0 for other inputs.
    header : Header or None
        Width and height of the first image, in pixels, and ``grey``, True if all images are; None
        for texts and features.
    other : tuple of (int, Header) or None
        The first row whose image has another width or height.
    """

    label: np.ndarray
    example_id: np.ndarray
    empty: np.ndarray
    size: np.ndarray
    header: Header | None
    other: tuple[int, Header] | None

    def __len__(self) -> int:
        return len(self.label)


def look_at(split: RawSplit, where: str) -> Survey:
    """Read all rows of a split once.

    Parameters
    ----------
    split : RawSplit
    where : str
        Data set and split, for messages.

    Raises
    ------
    UserError
        If an image cannot be opened; the message has its row and column.
    """
    found = []
    images = _Images(where, split)
    row = 0
    for block in split.blocks():
        found.append((block.label, block.example_id, _empty(block), images.add(block, row)))
        row += len(block)
    if not row:
        raise UserError(f"{where}: the split is empty")
    label, example_id, empty, size = map(np.concatenate, zip(*found, strict=True))
    return Survey(label, example_id, empty, size, images.header(), images.other)


def _empty(block: Block) -> np.ndarray:
    if isinstance(block.inputs, np.ndarray) or isinstance(block.inputs[0], bytes):
        return np.zeros(len(block), bool)
    texts = [text if isinstance(text, tuple) else (text,) for text in block.inputs]
    return np.array([any(not str(part).strip() for part in text) for text in texts])


class _Images:
    """Gathers the headers of images, from arrays or encoded bytes."""

    def __init__(self, where: str, split: RawSplit) -> None:
        self.where, self.split = where, split
        self.first: Header | None = None
        self.other: tuple[int, Header] | None = None
        self._all_grey = True

    def add(self, block: Block, row: int) -> np.ndarray:
        """Gather the headers of a block; return the size of each encoded image in bytes."""
        if isinstance(block.inputs, np.ndarray) and block.inputs.ndim == 4:
            _, y, x, channels = block.inputs.shape
            self._note(Header(x, y, channels == 1), row)
        sizes = np.zeros(len(block), np.int64)
        for position, encoded in enumerate(block.inputs):
            if not isinstance(encoded, bytes):
                break
            sizes[position] = len(encoded)
            try:
                self._note(read_header(encoded), row + position)
            except ValueError as error:
                place = self.split.place(row + position)
                raise UserError(f"{self.where} {place}: {error}") from None
        return sizes

    def header(self) -> Header | None:
        """Return the first image's header, with ``grey`` True only if all images are."""
        return None if self.first is None else self.first._replace(grey=self._all_grey)

    def _note(self, header: Header, row: int) -> None:
        self.first = self.first or header
        self._all_grey &= header.grey
        if self.other is None and header[:2] != self.first[:2]:
            self.other = row, header


def surveys_of(raw: RawData, name: str) -> dict[str, Survey]:
    """Read both splits once and check them.

    Raises
    ------
    UserError
        If a split is empty, a label is out of range or an id is not unique.
    """
    found = {split: look_at(raw.split(split), f"{name}: {split}") for split in SPLITS}
    for split, survey in found.items():
        classes = len(raw.class_names)
        outside = np.flatnonzero((survey.label < 0) | (survey.label >= classes))
        if outside.size:
            raise UserError(
                f"{name}: {split} row {outside[0]}, column {raw.split(split).column('label')}: "
                f"{survey.label[outside[0]]} is not one of the {classes} classes, 0 to "
                f"{classes - 1}"
            )
    _check_ids(raw, found, name)
    return found


def _check_ids(raw: RawData, surveys: Mapping[str, Survey], name: str) -> None:
    ids = np.concatenate([surveys[split].example_id for split in SPLITS])
    order = np.argsort(ids, kind="stable")
    again = np.flatnonzero(np.diff(ids[order]) == 0)
    if not again.size:
        return

    def place(row: int) -> str:
        train = len(surveys["train"])
        return f"train row {row}" if row < train else f"test row {row - train}"

    first, second = order[again[0]], order[again[0] + 1]
    column = raw.train.column("example_id")
    raise UserError(
        f"{name}: {place(second)}, column {column}: {ids[second]} is given twice, before in "
        f"{place(first)}; ids are unique over both splits"
    )


@dataclass(frozen=True)
class Kept:
    """The rows of a split that a data store keeps.

    Attributes
    ----------
    where : str
        Data set and split, for messages.
    split : RawSplit
    survey : Survey
    rows : ndarray of int, increasing
        Positions of the kept rows, counted over all blocks.
    """

    where: str
    split: RawSplit
    survey: Survey
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def blocks(self) -> Iterator[tuple[int, np.ndarray, Inputs]]:
        """Yield each block's kept rows, if any: first position in the store, rows, inputs."""
        start = 0
        for block in self.split.blocks():
            first, last = np.searchsorted(self.rows, [start, start + len(block)])
            inside = self.rows[first:last] - start
            if inside.size:
                whole = len(inside) == len(block)
                inputs = block.inputs if whole else _taken(block.inputs, inside)
                yield int(first), inside + start, inputs
            start += len(block)


def _taken(inputs: Inputs, index: np.ndarray) -> Inputs:
    if isinstance(inputs, np.ndarray):
        return inputs[index]
    return [inputs[i] for i in index]


def kept_rows(
    raw: RawData, surveys: Mapping[str, Survey], spec: Mapping[str, Any], name: str
) -> dict[str, Kept]:
    """Return the rows of each split that the spec keeps.

    Raises
    ------
    UserError
        If a text is empty, unless the spec drops empty texts; if a subset is larger than its split;
        if a class is missing from a split.
    """
    wanted = spec.get("first_classes", 0)
    if wanted > len(raw.class_names):
        raise UserError(f"{name}: first_classes: {wanted}, but there are {len(raw.class_names)}")
    kept = {}
    for split in SPLITS:
        of_split = (f"{name}: {split}", raw.split(split), surveys[split])
        kept[split] = Kept(*of_split, _rows(*of_split, spec, spec.get("subset", {}).get(split)))
    for split in SPLITS:
        if not len(kept[split]):
            raise UserError(f"{name}: {split}: no row is left of {len(surveys[split]):,}")
    classes = spec.get("first_classes", len(raw.class_names))
    missing = set(range(classes)) - set(surveys["train"].label[kept["train"].rows].tolist())
    if missing:
        first = min(missing)
        raise UserError(
            f"{name}: train holds no example of class {first} ({raw.class_names[first]}) of "
            f"{classes}; correct classes, or take a larger subset"
        )
    return kept


def _rows(
    where: str, split: RawSplit, survey: Survey, spec: Mapping[str, Any], wanted: int | None
) -> np.ndarray:
    keep = np.ones(len(survey), bool)
    if survey.empty.any():
        if not spec.get("drop_empty"):
            columns = filter(None, (split.column("inputs"), split.columns.get("text_pair")))
            raise UserError(
                f"{where} row {np.flatnonzero(survey.empty)[0]}, column {' or '.join(columns)}: is "
                f"empty ({survey.empty.sum():,} such rows); correct them, or add drop_empty: true"
            )
        keep &= ~survey.empty
    if "first_classes" in spec:
        keep &= survey.label < spec["first_classes"]
    rows = np.flatnonzero(keep)
    if wanted is None:
        return rows
    if wanted > len(rows):
        raise UserError(f"{where}: a subset of {wanted:,} rows is wanted, there are {len(rows):,}")
    return rows[stratified(survey.label[rows], wanted, spec["subset"]["seed"])]
