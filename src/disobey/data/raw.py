"""What a data source gives, before it is prepared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RawSplit:
    """Training or test examples of a source.

    Attributes
    ----------
    inputs : ndarray of uint8, shape (example, y, x, channel), or sequence of str
        Images or texts.
    label : ndarray of int64, shape (example,)
        Index into the source's class names.
    example_id : ndarray of int64, shape (example,)
        Names an example for good; unique over both splits.
    """

    inputs: np.ndarray | Sequence[str]
    label: np.ndarray
    example_id: np.ndarray


@dataclass(frozen=True)
class RawData:
    """Both splits of a source."""

    train: RawSplit
    test: RawSplit
    class_names: tuple[str, ...]


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
        return RawSplit(images[index], label[index].astype(np.int64), index.astype(np.int64))

    return RawData(chosen(~is_test), chosen(is_test), tuple(class_names))
