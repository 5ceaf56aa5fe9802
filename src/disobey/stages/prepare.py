"""Prepare a data source: uint8 images or tokens, labels and ids in one store."""

import importlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from disobey.data.raw import RawData, RawSplit
from disobey.data.tokens import TextTokenizer, tokenizer_of
from disobey.errors import UserError
from disobey.members import member
from disobey.stores.writer import NetcdfWriter

if TYPE_CHECKING:
    from disobey.stages.command import Job


def run(job: "Job") -> None:
    """Load the source that the spec names, check it and write the data store."""
    source = importlib.import_module(member("data.sources", job.spec["name"]))
    raw: RawData = source.load()
    check(raw, job.spec["name"])
    if isinstance(raw.train.inputs, np.ndarray):
        tokenizer, attributes = None, _image_attributes(raw.train.inputs)
    else:
        tokenizer = tokenizer_of(job, raw.train.inputs)
        attributes = tokenizer.attributes
    attributes["class_names"] = json.dumps(raw.class_names)
    with job.write(job.store) as path, NetcdfWriter(path, attributes) as writer:
        for name, split in (("train", raw.train), ("test", raw.test)):
            _write_split(writer, name, split, tokenizer)


def check(raw: RawData, name: str) -> None:
    """Refuse data that cannot be right.

    Raises
    ------
    UserError
        For an empty split, labels out of range, an empty text or an id given twice.
    """
    for where, split in (("train", raw.train), ("test", raw.test)):
        if not len(split.label):
            raise UserError(f"{name}: the {where} split is empty")
        outside = np.flatnonzero((split.label < 0) | (split.label >= len(raw.class_names)))
        if outside.size:
            raise UserError(
                f"{name}: {where} row {outside[0]}, column label: {split.label[outside[0]]} is "
                f"not one of the {len(raw.class_names)} classes, 0 to {len(raw.class_names) - 1}"
            )
        if not isinstance(split.inputs, np.ndarray):
            empty = [row for row, text in enumerate(split.inputs) if not text.strip()]
            if empty:
                raise UserError(f"{name}: {where} row {empty[0]}, column text: is empty")
    ids = np.concatenate([raw.train.example_id, raw.test.example_id])
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise UserError(f"{name}: example_id {values[counts > 1][0]} is given twice")


def _image_attributes(images: np.ndarray) -> dict[str, Any]:
    """Return mean and standard deviation of each channel over the training images, in [0, 1]."""
    scaled = images.reshape(-1, images.shape[-1]).astype(np.float64) / 255
    return {"channel_mean": scaled.mean(0), "channel_std": scaled.std(0)}


def _write_split(
    writer: NetcdfWriter, name: str, split: RawSplit, tokenizer: TextTokenizer | None
) -> None:
    if tokenizer is None:
        writer.write(name, "image", ("example", "y", "x", "channel"), split.inputs)
    else:
        texts = list(split.inputs)
        writer.write(name, "token", ("example", "token"), tokenizer.encode(texts))
        writer.write(name, "text", ("example",), texts)
    writer.write(name, "label", ("example",), split.label)
    writer.write(name, "example_id", ("example",), split.example_id)
