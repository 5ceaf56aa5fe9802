"""What a data source gives, before it is prepared: blocks of rows that can be read twice."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SPLITS = ("train", "test")

# Of images: arrays, or files as they are on disk. Of texts: one, or a pair. Of neither: arrays of
# numbers, (row, feature).
Inputs = np.ndarray | Sequence[str] | Sequence[tuple[str, str]] | Sequence[bytes]


@dataclass(frozen=True)
class Block:
    """Some rows of a split.

    Attributes
    ----------
    inputs : ndarray of uint8, shape (row, y, x, channel), or sequence of str, (str, str) or bytes
        Images, texts, pairs of texts, or images as files hold them; or an ndarray of float32, shape
        (row, feature).
    label : ndarray of int64, shape (row,)
        Index into the source's class names.
    example_id : ndarray of int64, shape (row,)
        Names an example for good; unique over both splits.
    """

    inputs: Inputs
    label: np.ndarray
    example_id: np.ndarray

    def __len__(self) -> int:
        return len(self.label)


def are_features(inputs: Inputs) -> bool:
    """Return whether the inputs of a block are numbers, neither images nor texts."""
    return isinstance(inputs, np.ndarray) and inputs.ndim == 2


@dataclass(frozen=True)
class RawSplit:
    """Training or test examples of a source.

    Attributes
    ----------
    blocks : callable
        Returns an iterator over the rows, in the same order each time: memory need not hold them.
    columns : mapping
        What the source calls ``inputs``, ``label`` and ``example_id``, for messages.
    files : sequence of Path, optional
        The file of each row, where each is one.
    """

    blocks: Callable[[], Iterable[Block]]
    columns: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[Path] | None = None

    def column(self, role: str) -> str:
        """Return what the source calls one of a block's parts."""
        return self.columns.get(role, role)

    def place(self, row: int) -> str:
        """Return what messages call the input of a row: its row and column, or its file."""
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
        The true direction of each class, where data are drawn about one.
    """

    train: RawSplit
    test: RawSplit
    class_names: tuple[str, ...]
    direction: np.ndarray | None = None

    def split(self, name: str) -> RawSplit:
        """Return ``train`` or ``test``."""
        return {"train": self.train, "test": self.test}[name]


def in_memory(inputs: Inputs, label: np.ndarray, example_id: np.ndarray) -> RawSplit:
    """Return a split whose rows lie in memory."""
    block = Block(inputs, label.astype(np.int64), example_id.astype(np.int64))
    return RawSplit(lambda: [block])


def split_images(images: np.ndarray, label: np.ndarray, class_names: Sequence[str]) -> RawData:
    """Split images stratified by class: of each class every fifth image, in order, is for test.

    No random draw: the split is the same on every machine and in every version of numpy.

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
