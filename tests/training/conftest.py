"""Tiny data sets, models and job calls for the tests of training."""

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from disobey.data.prepared import Prepared, Split
from disobey.data.raw import RawData, in_memory
from disobey.models.checkpoint import checkpoint_files
from disobey.provenance import spec_id
from disobey.stages.command import main
from disobey.stores.contents import content_of
from disobey.stores.layout import manifest_of

PAD = 1


def split_of(inputs, classes, seed=0, first=0):
    label = np.random.default_rng(seed).integers(classes, size=len(inputs))
    return Split(inputs, label, label, np.arange(first, first + len(inputs)))


@pytest.fixture
def images():
    """26 training and 9 test images of 4 x 4 pixels and 2 channels, 3 classes."""
    pixels = np.random.default_rng(1).integers(0, 256, (35, 4, 4, 2)).astype(np.uint8)
    scaled = pixels[:26].reshape(-1, 2) / 255
    attributes = {"channel_mean": scaled.mean(0), "channel_std": scaled.std(0)}
    train, test = split_of(pixels[:26], 3), split_of(pixels[26:], 3, first=26)
    return Prepared(train, test, ("a", "b", "c"), attributes)


@pytest.fixture
def texts():
    """40 training and 10 test rows of 3 to 12 tokens, padded to 12, 3 classes."""
    rng = np.random.default_rng(2)
    tokens = rng.integers(5, 30, (50, 12)).astype(np.int32)
    tokens[:, 0] = 0
    for row, length in zip(tokens, rng.integers(3, 13, 50), strict=True):
        row[length - 1] = 2
        row[length:] = PAD
    attributes = {"tokenizer_fingerprint": "f", "vocabulary": 30, "pad": PAD}
    train, test = split_of(tokens[:40], 3), split_of(tokens[40:], 3, first=40)
    return Prepared(train, test, ("a", "b", "c"), attributes)


@pytest.fixture
def roberta(texts):
    from disobey.models.registry import build_model

    options = {"family": "roberta", "hidden": 16, "layers": 1, "heads": 2, "dropout": 0.2}
    torch.manual_seed(0)
    return build_model(options, texts)


def raw_texts(train=50, test=20):
    """Words of one of three alphabets, one to five of them: learnable, and of many lengths."""
    rng = np.random.default_rng(3)
    label = np.arange(train + test) % 3
    texts = [
        " ".join("".join(rng.choice(list("abcdefghi"[3 * own : 3 * own + 3]), 4)) for _ in range(n))
        for own, n in zip(label, rng.integers(1, 6, train + test), strict=True)
    ]
    halves, ids = (slice(None, train), slice(train, None)), np.arange(train + test)
    return RawData(*(in_memory(texts[h], label[h], ids[h]) for h in halves), tuple("abc"))


def raw_images(train=50, test=20, classes=3):
    """Images with a bright stripe for the class: learnable."""
    rng = np.random.default_rng(3)
    label = np.arange(train + test) % classes
    pixels = rng.integers(0, 100, (train + test, 8, 8, 1)).astype(np.uint8)
    pixels[np.arange(train + test), 2 * label] += 120
    ids = np.arange(train + test)
    names = tuple("abcdefgh"[:classes])
    halves = (slice(None, train), slice(train, None))
    return RawData(*(in_memory(pixels[h], label[h], ids[h]) for h in halves), names)


class Workplace:
    """Calls the stages in one folder and reads what they write."""

    def __init__(self, root, device="cpu"):
        self.root, self.device = root, device

    def path(self, kind, id):
        suffix = "" if kind in ("runs", "pretrained") else ".nc"
        return self.root / "results" / kind / f"{id}{suffix}"

    def words(self, kind, id, spec, *inputs, source=None):
        """Return the options of a call."""
        output = manifest_of(str(self.path(kind, id)))
        manifests = [manifest_of(str(self.path(*name))) for name in inputs]
        words = ["--spec", json.dumps(spec), "--output", output, "--device", self.device]
        words += [] if source is None else ["--source", str(source)]
        return [*words, "--inputs", *manifests]

    def call(self, stage, kind, id, spec, *inputs, source=None):
        """Run a stage; return its exit status."""
        return main(stage, self.words(kind, id, spec, *inputs, source=source))

    def made(self, *call, source=None):
        assert self.call(*call, source=source) == 0
        return call[2]

    def pretrained(self, folder):
        """Make the store of a checkpoint in a folder; return its id."""
        spec = {"content": content_of(checkpoint_files(folder))}
        return self.made("pretrained", "pretrained", spec_id("p", spec), spec, source=folder)

    def prepare(self, monkeypatch, raw, name="made-up", inputs=(), **spec):
        """Prepare ``raw`` as if a source module gave it; return the id of the data."""
        module = ModuleType(f"disobey.data.sources.{name.replace('-', '_')}")
        module.load = lambda *unused: raw
        monkeypatch.setitem(sys.modules, module.__name__, module)
        spec = {"source": "builtin", "name": name, **spec}
        return self.made("prepare", "data", spec_id(name, spec), spec, *inputs)

    def run_spec(self, data, **changes):
        spec = {
            "data": data,
            "model": {"family": "small_resnet", "stem": 4, "widths": [6]},
            "recipe": {
                "optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "epochs": 2, "batch": 16,
                "schedule": "cosine",
            },
            "seeds": {"initialisation": 0, "order": 0},
        }  # fmt: skip
        return spec | changes

    def train(self, data, **changes):
        """Train a run; return its id."""
        spec = self.run_spec(data, **changes)
        inputs = [("data", data), *self._checkpoint(spec["model"])]
        if "teacher" in spec.get("distill", ()):
            inputs.append(("logits", spec["distill"]["teacher"]))
        return self.made("train", "runs", spec_id("run", spec), spec, *inputs)

    def dump(self, run, data, model=()):
        """Dump the logits of a run; return its id."""
        inputs = (("runs", run), ("data", data), *self._checkpoint(model))
        return self.made("dump", "logits", run, {"run": run, "data": data}, *inputs)

    @staticmethod
    def _checkpoint(model):
        return [("pretrained", model["pretrained"])] if "pretrained" in model else []


@pytest.fixture
def workplace(tmp_path):
    return Workplace(tmp_path)


@pytest.fixture
def toy():
    """Namespaces of a linear problem: inputs that are plain vectors."""
    generator = torch.Generator().manual_seed(4)
    vectors = torch.randn(10, 5, generator=generator)
    label = torch.randint(3, (10,), generator=generator)
    inputs = SimpleNamespace(length=None, batch=lambda index: vectors[index])
    return SimpleNamespace(vectors=vectors, label=label, inputs=inputs)
