"""Prepare a data source: images, tokens or features, labels and ids in one store.

All rows are read twice: first to check them and to choose some, then to write the chosen ones.
Memory holds one block of rows.
"""

import importlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from disobey.data.images import LARGEST_STORED
from disobey.data.raw import SPLITS, Kept, RawData, are_features, kept_rows, surveys_of
from disobey.data.sources import module_of
from disobey.data.tokens import tokenizer_of
from disobey.data.writing import (
    Moments,
    features_in,
    image_form,
    texts_in,
    write_columns,
    write_encoded,
    write_features,
    write_images,
    write_text,
)
from disobey.job import Job
from disobey.stores.writer import NetcdfWriter

RANDOM_FEATURES = "disobey.data.random_features"  # part of the code of only the jobs that need it
# For large images, means and deviations of channels are estimated on a sample [our choice].
SAMPLED = 10_000


def run(job: "Job") -> None:
    """Load the source that the spec names, check it and write the data store."""
    spec = job.spec
    name = spec.get("name") or spec["path"]
    raw = opened(job)
    kept = kept_rows(raw, surveys_of(raw, name), spec, name)
    classes = raw.class_names[: spec.get("first_classes")]
    with job.netcdf({"class_names": json.dumps(classes)}) as writer:
        writer.write("/", "class", ("class",), classes)
        for split in SPLITS:
            write_columns(writer, split, kept[split])
        if "features" in spec:
            _write_random_features(writer, kept, spec, name)
            return
        if raw.direction is not None:
            writer.write("/", "direction", ("class", "dimension"), raw.direction)
        if any(are_features(block.inputs) for block in raw.train.blocks()):
            for split in SPLITS:
                write_features(writer, split, len(kept[split]), features_in(kept[split]))
        elif kept["train"].survey.header is None:
            tokenizer = tokenizer_of(job, texts_in(kept["train"]))
            writer.annotate("/", **tokenizer.attributes)
            for split in SPLITS:
                write_text(writer, split, kept[split], tokenizer)
        else:
            _write_images(writer, kept, spec, name)


def opened(job: "Job") -> RawData:
    """Return the data of the source that the spec names."""
    spec = job.spec
    source = spec["name"] if spec["source"] == "builtin" else spec["source"]
    raw: RawData = importlib.import_module(module_of(source)).load(spec, job.files)
    return raw


def _write_random_features(
    writer: NetcdfWriter, kept: Mapping[str, Kept], spec: Mapping[str, Any], name: str
) -> None:
    """Write random features of images or vectors, and the images themselves for viewing."""
    random = importlib.import_module(RANDOM_FEATURES)
    features = random.RandomRelu(spec["features"])
    for split in SPLITS:
        blocks: Iterable[Any] = features_in(kept[split])
        if kept["train"].survey.header is not None:
            form = image_form(kept, spec, name, LARGEST_STORED)
            blocks = [write_images(writer, split, kept[split], form, Moments())]
        write_features(writer, split, len(kept[split]), features.of(blocks))


def _write_images(
    writer: NetcdfWriter, kept: Mapping[str, Kept], spec: Mapping[str, Any], name: str
) -> None:
    form = image_form(kept, spec, name, LARGEST_STORED)
    of_training = Moments()
    for split in SPLITS:
        moments = of_training if split == "train" else Moments()
        if (form.size or 0) > LARGEST_STORED:
            write_encoded(writer, split, kept[split], form, moments, SAMPLED)
        else:
            write_images(writer, split, kept[split], form, moments)
    if (form.size or 0) > LARGEST_STORED:
        writer.annotate("/", encoded_shape=np.array(form.shape))
    writer.annotate("/", **of_training.attributes())
