"""Prepared data as arrays: the data store, with the labels of the noise store where there is one.

Data store: groups ``train`` and ``test`` with ``image(example, y, x, channel)`` uint8,
``token(example, position)`` int32 (and ``text(example)``) or ``feature(example, component)``
float32 (where it is random, with the images that it was made of), ``label``, ``example_id``; in the
root ``class``, the names of the classes; attributes ``class_names`` (the same as JSON),
``channel_mean`` and ``channel_std`` of training images in [0, 1], or ``tokenizer_fingerprint``,
``vocabulary``, ``pad`` and ``separator``. Large images stay ``encoded(byte)``, each from its
``start(boundary)`` on, with the attribute ``encoded_shape``. Where data are drawn about true
directions of the classes, these are ``direction(class, dimension)``.
Label store: group ``train`` with ``label`` and ``example_id``.
"""

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from disobey.errors import UserError
from disobey.members import member
from disobey.stores.reader import read_arrays, read_attributes

if TYPE_CHECKING:
    from disobey.job import Job

SPLITS = ("train", "test")
ENCODED = "encoded"  # a kind of images


@dataclass(frozen=True)
class Split:
    """Examples that a model can be trained or run on.

    Attributes
    ----------
    inputs : ndarray, or EncodedImages
        ``image`` (example, y, x, channel) uint8, ``token`` (example, token) int32, or ``feature``
        (example, feature) float32; large images have a ``shape`` and are decoded when they are
        read.
    label : ndarray of int64, shape (example,)
        The label given to the model, noisy where the setting has noise.
    clean_label : ndarray of int64, shape (example,)
    example_id : ndarray of int64, shape (example,)
    """

    inputs: Any
    label: np.ndarray
    clean_label: np.ndarray
    example_id: np.ndarray

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True)
class Prepared:
    """Both splits and what is said of them."""

    train: Split
    test: Split
    class_names: tuple[str, ...]
    attributes: dict[str, Any]

    @property
    def kind(self) -> str:
        """``image``, ``encoded`` (images decoded batch by batch), ``text`` or ``feature``."""
        return _kind(self.attributes)

    def split(self, name: str) -> Split:
        """Return ``train`` or ``test``."""
        return {"train": self.train, "test": self.test}[name]


def read_prepared(data: Path, labels: Path | None) -> Prepared:
    """Read a data store and, over it, a label store.

    Raises
    ------
    UserError
        When the labels belong to other examples.
    """
    attributes = read_attributes(data)
    splits = {}
    for name in SPLITS:
        splits[name] = Split(_inputs(data, name, attributes), *read_labels(data, labels, name))
    names = tuple(json.loads(attributes["class_names"]))
    return Prepared(splits["train"], splits["test"], names, attributes)


def prepared_data(job: "Job") -> Prepared:
    """Read the data store of a job's spec and, where it names one, the label store.

    Images that are decoded batch by batch are decoded by as many threads as the job may use.
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
        When the labels belong to other examples.
    """
    arrays = read_arrays(data, split, "label", "example_id")
    clean = given = arrays["label"]
    if labels is not None and split == "train":  # noise is on training labels alone
        noisy = read_arrays(labels, split)
        if not np.array_equal(noisy["example_id"], arrays["example_id"]):
            raise UserError(f"{labels}: holds labels of other examples than {data}")
        given = noisy["label"]
    return given, clean, arrays["example_id"]


def _kind(attributes: dict[str, Any]) -> str:
    if "tokenizer_fingerprint" in attributes:
        return "text"
    if "encoded_shape" in attributes:
        return ENCODED
    return "image" if "channel_mean" in attributes else "feature"


def _inputs(data: Path, split: str, attributes: dict[str, Any]) -> Any:  # noqa: ANN401
    kind = _kind(attributes)
    if kind == ENCODED:
        encoded = importlib.import_module(member("data", ENCODED))  # others need none of its code
        return encoded.EncodedImages(data, split, attributes["encoded_shape"])
    variable = "token" if kind == "text" else kind
    return read_arrays(data, split, variable)[variable]
