"""Run a trained classifier of the hub, or of a folder, over a data set, and store its logits."""

import importlib
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from disobey.data.prepared import RawExamples
from disobey.errors import UserError
from disobey.job import Job
from disobey.models.checkpoint import (
    CLASSIFIER_FILES,
    SAFELY,
    fetched,
    positions_of,
    read_config,
    readable,
)
from disobey.stores.reader import read_arrays, read_attributes
from disobey.training.device import choose_device

BATCH = 32
# Examples that are read at a time; among these, texts of similar length share a batch.
READ = 64 * BATCH
UNLIMITED = 10**9  # tokens
# The names that transformers gives to unnamed classes.
UNNAMED = re.compile(r"LABEL_\d+")

# Maps examples, as stored, to their logits, float32 (example, class).
Classify = Callable[[Sequence[Any]], np.ndarray]


def run(job: "Job") -> None:
    """Write ``logits(example, class)`` of the splits that the spec names, in the data's classes."""
    spec, data = job.spec, job.input(job.spec["data"]).file()
    device = choose_device(job.device, job.take_card)
    torch.set_num_threads(job.threads)
    class_names = json.loads(read_attributes(data)["class_names"])
    folder = fetched(job, CLASSIFIER_FILES)
    config, classify = _classifier(folder, spec, device)
    order = columns_of(config, class_names, spec.get("outputs"), folder)
    with job.netcdf({"run": job.id}) as writer:
        for split in spec["splits"]:
            columns = read_arrays(data, split, "example_id", "label")
            shape = (len(columns["label"]), len(class_names))
            logits = writer.declare(split, "logits", ("example", "class"), shape, "f4")
            bar = tqdm(total=shape[0], desc=split, unit="example", mininterval=5)
            with bar, RawExamples(data, split) as given:
                for rows in np.split(np.arange(shape[0]), range(READ, shape[0], READ)):
                    logits[rows] = _finite(classify(given.read(rows)), rows, split)[:, order]
                    bar.update(len(rows))
            writer.write(split, "class", ("class",), class_names)
            for column in ("example_id", "label"):
                writer.write(split, column, ("example",), columns[column])
            writer.write(split, "clean_label", ("example",), columns["label"])


def _finite(logits: np.ndarray, rows: np.ndarray, split: str) -> np.ndarray:
    wrong = rows[~np.isfinite(logits).all(1)]
    if wrong.size:
        raise UserError(
            f"{split}, row {wrong[0]}: the classifier's logits are not finite; name another "
            f"checkpoint, or train this one again"
        )
    return logits


# --- classes ---------------------------------------------------------------------------------


def columns_of(
    config: Any,
    class_names: Sequence[str],
    outputs: Sequence[str] | None,
    folder: Path,
) -> list[int]:
    """Return the index of the model's output for each class of the data.

    Outputs are matched by the names in the study (``outputs``) or in the model, or by position if
    the model has only numbers.

    Raises
    ------
    UserError
        If the number or the names of the classes differ: a guess could silently mix up classes, as
        with the various orders of entailment, neutral and contradiction.
    """
    number = int(config.num_labels)
    if number != len(class_names):
        raise UserError(
            f"{folder}: has {number} outputs, but the data has {len(class_names)} classes: "
            f"{', '.join(class_names)}"
        )
    own = list(outputs or (str(config.id2label[k]) for k in range(number)))
    if not outputs and all(map(UNNAMED.fullmatch, own)):
        print("the model's classes have no names: taken in the data's order", file=sys.stderr)
        return list(range(number))
    plain = [_plain(name) for name in own]
    wanted = [_plain(name) for name in class_names]
    if sorted(plain) != sorted(wanted) or len(set(wanted)) < number:
        raise UserError(
            f"{folder}: its classes are {', '.join(own)}, those of the data "
            f"{', '.join(class_names)}; add to the checkpoint outputs: with the data's names in "
            f"the model's order, for example outputs: [{', '.join(class_names)}]"
        )
    return [plain.index(name) for name in wanted]


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().casefold()


# --- models ----------------------------------------------------------------------------------


def _classifier(
    folder: Path, spec: Mapping[str, Any], device: torch.device
) -> tuple[Any, Classify]:
    """Return a classifier's configuration, and the function that maps examples to logits."""
    of_ours = (read_config(folder) or {}).get("disobey")
    if of_ours:
        if spec["kind"] == "text":
            raise UserError(
                f"{folder}: is a model of images or features (shape {of_ours['shape']}), but the "
                f"data set has texts; name a classifier of texts"
            )
        exported = importlib.import_module("disobey.models.exported")  # others do not need it
        config, classify = exported.classifier(folder, device, BATCH)
        names = {int(number): name for number, name in config["id2label"].items()}
        return SimpleNamespace(num_labels=config["num_labels"], id2label=names), classify
    with readable(folder):
        load = _text_classifier if spec["kind"] == "text" else _image_classifier
        model, of_transformers = load(folder, spec, device)
    return model.config, of_transformers


def _load(auto: Any, folder: Path, device: torch.device) -> Any:
    """Return a classifier with all of its weights, in float32, for inference."""
    model, found = auto.from_pretrained(
        folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **SAFELY
    )
    missing = sorted(found["missing_keys"])
    if missing:
        raise UserError(
            f"{folder}: its weights lack {missing[0]} ({len(missing)} such), so it is not a "
            f"trained classifier; name one that was fine-tuned, or train it: family: pretrained"
        )
    return model.to(device).eval()


def share_padding(folder: Path, config: Any, tokenizer: Any) -> None:
    """Set the padding token of a model, so that texts of different lengths can share a batch.

    Raises
    ------
    UserError
        If its tokenizer has no padding token.
    """
    if tokenizer.pad_token_id is None:
        raise UserError(
            f"{folder}: its tokenizer has no padding token, so texts of different lengths cannot "
            f"share a batch; set pad_token in tokenizer_config.json to the one it was trained with"
        )
    if config.pad_token_id is None:  # decoders find a text's last token by it; encoders ignore it
        config.pad_token_id = tokenizer.pad_token_id


def longest_input(*limits: int | None) -> int | None:
    """Return the smallest of the given limits, in tokens; None if there is none.

    A tokenizer without a limit has a number instead that no text reaches.
    """
    return min((int(limit) for limit in limits if limit and limit < UNLIMITED), default=None)


def _text_classifier(
    folder: Path, spec: Mapping[str, Any], device: torch.device
) -> tuple[Any, Classify]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = _load(AutoModelForSequenceClassification, folder, device)
    tokenizer = AutoTokenizer.from_pretrained(folder, **SAFELY)
    share_padding(folder, model.config, tokenizer)
    longest = longest_input(
        spec.get("max_tokens"), positions_of(model.config.to_dict()), tokenizer.model_max_length
    )

    def classify(texts: Sequence[tuple[str, ...]]) -> np.ndarray:
        lengths = [sum(map(len, parts)) for parts in texts]
        order = np.argsort(lengths, kind="stable")
        logits = np.empty((len(texts), model.config.num_labels), np.float32)
        for start in range(0, len(texts), BATCH):
            rows = order[start : start + BATCH]
            parts = [list(of) for of in zip(*(texts[row] for row in rows), strict=True)]
            batch = tokenizer(
                *parts,
                truncation=longest is not None,
                max_length=longest,
                padding=True,
                return_tensors="pt",
            )
            logits[rows] = _logits(model, batch.to(device))
        return logits

    return model, classify


def _image_classifier(
    folder: Path, _: Mapping[str, Any], device: torch.device
) -> tuple[Any, Classify]:
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    model = _load(AutoModelForImageClassification, folder, device)
    processor = AutoImageProcessor.from_pretrained(folder, **SAFELY)

    def classify(images: Sequence[np.ndarray]) -> np.ndarray:
        parts = []
        for start in range(0, len(images), BATCH):
            shown = [
                Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
                for pixels in images[start : start + BATCH]
            ]
            batch = processor(images=shown, return_tensors="pt")
            parts.append(_logits(model, batch.to(device)))
        return np.concatenate(parts)

    return model, classify


@torch.inference_mode()
def _logits(model: Any, batch: Mapping[str, Any]) -> np.ndarray:
    found: np.ndarray = model(**batch).logits.float().cpu().numpy()
    return found
