"""Prepared data as arrays: a data store, with noisy labels if there are any.

Data store: groups ``train`` and ``test`` with ``image(example, y, x, channel)`` uint8,
``token(example, position)`` int32 (and ``text(example)``) or ``feature(example, component)``
float32 (for random features, with the source images), ``label``, ``example_id``; in the root
``class``, the names of the classes; attributes ``class_names`` (the same as JSON),
``channel_mean`` and ``channel_std`` of training images in [0, 1], or ``tokenizer_fingerprint``,
``vocabulary``, ``pad`` and ``separator``. Large images stay encoded: ``encoded(byte)`` holds each
from its ``start(boundary)``, and the attribute ``encoded_shape`` their decoded shape. Data drawn
around true directions of the classes have these as ``direction(class, dimension)``.
Label store: group ``train`` with ``label`` and ``example_id``, and ``seen`` if the models that
read it are trained on a share of the examples.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from disobey.data.images import EncodedImages
from disobey.data.raw import SPLITS
from disobey.errors import UserError
from disobey.job import Job
from disobey.stores.reader import OpenFile, read_arrays, read_attributes

ENCODED = "encoded"  # a kind of images


@dataclass(frozen=True)
class Split:
    """Examples that a model can be trained or run on.

    Attributes
    ----------
    inputs : ndarray, or EncodedImages
        ``image`` (example, y, x, channel) uint8, ``token`` (example, token) int32, or ``feature``
        (example, feature) float32; large images are `EncodedImages`, decoded on reading.
    label : ndarray of int64, shape (example,)
        The label given to the model, which is noisy if the setting has label noise.
    clean_label : ndarray of int64, shape (example,)
    example_id : ndarray of int64, shape (example,)
    seen : ndarray of bool, shape (example,), or None
        Mask of the training examples that a model is trained on (``student_share``); None for all.
    """

    inputs: Any
    label: np.ndarray
    clean_label: np.ndarray
    example_id: np.ndarray
    seen: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.label)

    @property
    def number_seen(self) -> int:
        """The number of examples that a model is trained on."""
        return len(self) if self.seen is None else int(self.seen.sum())


@dataclass(frozen=True)
class Prepared:
    """Both splits of a data set, with its class names and attributes."""

    train: Split
    test: Split
    class_names: tuple[str, ...]
    attributes: dict[str, Any]

    @property
    def kind(self) -> str:
        """Kind of data: ``image``, ``encoded`` (large images), ``text`` or ``feature``."""
        return _kind(self.attributes)

    def split(self, name: str) -> Split:
        """Return ``train`` or ``test``."""
        return {"train": self.train, "test": self.test}[name]


def read_prepared(data: Path, labels: Path | None) -> Prepared:
    """Read a data store, with the given labels of a label store if there is one.

    Raises
    ------
    UserError
        If the labels belong to other examples.
    """
    attributes = read_attributes(data)
    splits = {}
    for name in SPLITS:
        columns = (*read_labels(data, labels, name), _seen(labels, name))
        splits[name] = Split(_inputs(data, name, attributes), *columns)
    names = tuple(json.loads(attributes["class_names"]))
    return Prepared(splits["train"], splits["test"], names, attributes)


def prepared_data(job: "Job") -> Prepared:
    """Read the data store of a job's spec and the label store, if it names one.

    Encoded images are decoded by as many threads as the job may use.
    """
    labels = job.spec.get("labels")
    data = read_prepared(
        job.input(job.spec["data"]).file(), None if labels is None else job.input(labels).file()
    )
    if data.kind == ENCODED:
        for name in SPLITS:
            data.split(name).inputs.threads = job.threads
    return data


def read_labels(
    data: Path, labels: Path | None, split: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return given labels, clean labels and ids of one split, each int64 of shape (example,).

    Raises
    ------
    UserError
        If the labels belong to other examples.
    """
    arrays = read_arrays(data, split, "label", "example_id")
    clean = given = arrays["label"]
    if labels is not None and split == "train":  # only training labels have noise
        noisy = read_arrays(labels, split)
        if not np.array_equal(noisy["example_id"], arrays["example_id"]):
            raise UserError(f"{labels}: holds labels of other examples than {data}")
        given = noisy["label"]
    return given, clean, arrays["example_id"]


def _seen(labels: Path | None, split: str) -> np.ndarray | None:
    """Return the mask of the examples that models are trained on; None for all."""
    if labels is None or split != "train":
        return None
    seen = read_arrays(labels, split).get("seen")
    return None if seen is None else seen.astype(bool)


def _kind(attributes: dict[str, Any]) -> str:
    if "tokenizer_fingerprint" in attributes:
        return "text"
    if "encoded_shape" in attributes:
        return ENCODED
    return "image" if "channel_mean" in attributes else "feature"


def _inputs(data: Path, split: str, attributes: dict[str, Any]) -> Any:
    kind = _kind(attributes)
    if kind == ENCODED:
        return EncodedImages(data, split, attributes["encoded_shape"])
    variable = "token" if kind == "text" else kind
    return read_arrays(data, split, variable)[variable]


TEXTS = ("text", "text_pair")


class RawExamples(OpenFile):
    """Reads the original examples of a data store: images without normalisation, texts as text.

    Parameters
    ----------
    path : Path
        A data store, see `disobey.data.prepared`; open until the end of a ``with``.
    split : str

    Attributes
    ----------
    kind : str
        ``image``, ``text``, or empty if the store only has the ids of examples.
    """

    def __init__(self, path: Path, split: str) -> None:
        import netCDF4

        self._file = netCDF4.Dataset(path, "r")
        self._group = self._file[split]
        self._group.set_auto_mask(False)
        known = self._group.variables
        self._texts = [name for name in TEXTS if name in known]
        self._encoded: EncodedImages | None = None
        if ENCODED in known:
            shape = read_attributes(path)["encoded_shape"]
            self._encoded = EncodedImages(path, split, shape)
        is_image = self._encoded is not None or "image" in known
        self.kind = "text" if self._texts else "image" if is_image else ""

    def read(self, positions: np.ndarray) -> Any:
        """Return images or texts, by `kind`."""
        return self.texts(positions) if self.kind == "text" else self.images(positions)

    def images(self, positions: np.ndarray) -> np.ndarray:
        """Return images, uint8 (position, y, x, channel); large ones are decoded.

        Parameters
        ----------
        positions : ndarray of int, increasing
        """
        if self._encoded is not None:
            return self._encoded.read(positions)
        return np.asarray(self._group["image"][positions])

    def texts(self, positions: np.ndarray) -> Sequence[tuple[str, ...]]:
        """Return a tuple for each position: one text, or the two texts of a pair."""
        parts = [map(str, self._group[name][positions]) for name in self._texts]
        return list(zip(*parts, strict=True))
