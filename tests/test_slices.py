"""One epoch of every source of data with every architecture: trained, dumped and analysed.

The jobs are those that the workflow would run, called one after another in this process.
"""

import importlib
import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
import xarray
from PIL import Image

from disobey.job import Job
from disobey.stores.layout import store_of
from disobey.stores.manifest import read_manifest
from disobey.study.loader import load_study
from disobey.study.plan import make_plan

from .checkpoints import save_checkpoint

pytestmark = pytest.mark.slow

STAGES = (
    "pretrained", "prepare", "labels", "views", "train", "dump", "compared", "classify",
    "confidence",
)  # fmt: skip

IMAGES = {
    "digits": "{source: builtin, name: digits, SUBSET}",
    "mnist5k": "{source: builtin, name: mnist5k, SUBSET, label_noise: {rate: 0.2}}",
    "cifar10": "{source: files, name: cifar10, train: DATA/cifar10/train.parquet, "
    "test: DATA/cifar10/test.parquet, columns: {image: img}, SUBSET, "
    "augment: {crop_padding: 1, flip: true}}",
    "fashion": "{source: files, name: fashion, train: DATA/fashion_mnist/train.parquet, "
    "test: DATA/fashion_mnist/test.parquet, columns: {image: image}, SUBSET}",
    "tiny32": "{source: files, name: tiny32, train: DATA/tiny_imagenet_32/train.parquet, "
    "test: DATA/tiny_imagenet_32/test.parquet, columns: {image: image}, first_classes: 10, SUBSET}",
    "arrays": "{source: files, name: arrays, train: train.npz, test: test.npz, "
    "columns: {image: image}}",
    "folders": "{source: files, name: folders, train: train, test: test, columns: {image: image}, "
    "size: 98, augment: {crop_padding: 2, flip: true}}",
}
TEXTS = {
    "langid": "{source: builtin, name: cldr-langid, SUBSET, tokenizer: TOKENS}",
    "langid-bpe": "{source: builtin, name: cldr-langid, SUBSET, tokenizer: {vocabulary: 300}}",
    **{
        name: f"{{source: files, name: {name}, train: DATA/{name}/train.parquet, "
        f"test: DATA/{name}/test.parquet, columns: {{{columns}}}, SUBSET, tokenizer: TOKENS}}"
        for name, columns in {
            "sst2": "text: sentence",
            "ag_news": "text: text",
            "newsgroups20": "text: text",
            "qqp": "text: question1, text_pair: question2",
            "sick": "text: premise, text_pair: hypothesis",
        }.items()
    },
    "csv": "{source: files, name: csv, train: train.csv, test: test.csv, "
    "columns: {text: words, label: kind}, tokenizer: TOKENS}",
    "jsonl": "{source: files, name: jsonl, train: train.jsonl, test: test.jsonl, "
    "columns: {text: words, label: kind}, tokenizer: TOKENS}",
}
# Sixteen channels at least: with fewer, a strided 1 x 1 convolution of torch 2.13 on the CPU may
# crash on the way back for images this large.
IMAGE_MODELS = {
    "mlp": "{family: mlp, hidden: [8]}",
    "small": "{family: small_resnet, stem: 16, widths: [16]}",
    "resnet8": "{family: cifar_resnet, depth: 8, widths: [16, 16, 16]}",
    "preact8": "{family: cifar_resnet, depth: 8, widths: [16, 16, 16], pre_activation: true}",
    "mobilenet": "{family: mobilenet_v2, width: 0.25, small_images: true}",
    "resnet18": "{family: resnet, depth: 18, small_images: true}",
    "resnet50": "{family: resnet, depth: 50}",
    "resnet50-small": "{family: resnet, depth: 50, small_images: true}",
}
# The large ones: both stems, grey and colour. The large stem leaves nothing of the tiniest images,
# and the small one takes long for the largest.
MEETS = {
    "resnet18": IMAGES.keys() - {"folders"},
    "resnet50": {"mnist5k", "fashion", "folders"},
    "resnet50-small": {"digits"},
}
# Two sources of images of one shape share the models: every shape meets every model.
ALIKE = (("mnist5k", "fashion"), ("cifar10", "tiny32"))
TEXT_MODELS = {
    "roberta": "{family: roberta, hidden: 8, layers: 1, heads: 2}",
    "checkpoint": "{family: pretrained, folder: checkpoint, layers: 1}",
}

STUDY = """
study: slices
seeds: [0]
datasets:
{datasets}
models:
{models}
recipes:
  image: {{optimizer: sgd, lr: 0.05, momentum: 0.9, batch: 16, epochs: 1, precision: bf16}}
  text: {{optimizer: adamw, lr: 1e-3, batch: 16, epochs: 1}}
settings:
{settings}
analysis: {{resamples: 100}}
"""


def entries(table):
    small = "subset: {train: 32, test: 20}"
    tokens = "{of: checkpoint, max_tokens: 16}"
    lines = (f"  {name}: {text}" for name, text in table.items())
    return "\n".join(line.replace("SUBSET", small).replace("TOKENS", tokens) for line in lines)


def left_to_another(data, model):
    """Return True if the other one of two similar sources is combined with this model."""
    return any(data in two and data != two[model % 2] for two in ALIKE)


def study_of(kind):
    """Return a study of every source of a kind with every model that reads it."""
    datasets, models = (IMAGES, IMAGE_MODELS) if kind == "image" else (TEXTS, TEXT_MODELS)
    # A small teacher for all models of a source: their students and references are what is tried.
    teacher = "small" if kind == "image" else "roberta"
    settings = {
        f"{data}-{model}": f"{{dataset: {data}, teacher: {teacher}, student: {model}, "
        f"recipe: {kind}, distill: {{temperature: 4}}}}"
        for data in datasets
        for model in models
        if not (data == "langid-bpe" and model == "checkpoint")  # reads its own tokens only
        and data in MEETS.get(model, IMAGES | TEXTS)
        and not left_to_another(data, list(models).index(model))
    }
    parts = {"datasets": datasets, "models": models, "settings": settings}
    return STUDY.format(**{name: entries(table) for name, table in parts.items()})


def write_own_files():
    """Write small files of each format that is not among the real data."""
    rng = np.random.default_rng(0)
    for split, rows in (("train", 12), ("test", 6)):
        label = np.arange(rows) % 2
        images = rng.integers(0, 100, (rows, 10, 12, 3)).astype(np.uint8) + 100 * label[
            :, None, None, None
        ].astype(np.uint8)
        np.savez(f"{split}.npz", image=images, label=label)
        for row in range(rows):
            place = Path(split, ("cat", "dog")[label[row]], f"{row}.jpg")
            place.parent.mkdir(parents=True, exist_ok=True)
            stream = io.BytesIO()
            Image.fromarray(images[row]).resize((130, 110)).save(stream, "JPEG")
            place.write_bytes(stream.getvalue())
        words = [
            {"words": f"word {row} of {'ab'[row % 2]}", "kind": "xy"[row % 2]}
            for row in range(rows)
        ]
        lines = [",".join(words[0]), *(",".join(row.values()) for row in words)]
        Path(f"{split}.csv").write_text("\n".join(lines))
        Path(f"{split}.jsonl").write_text("\n".join(map(json.dumps, words)))


def run_in_process(plan, stages=STAGES):
    """Run the jobs of a plan, up to the analyses; return the stores of these."""
    places = plan.pretrained | plan.classifiers
    for job in plan.jobs.values():
        if job.stage not in stages:
            continue
        inputs = tuple(read_manifest(path) for path in job.inputs)
        called = Job(
            job.stage,
            json.loads(job.spec),
            "slices",
            inputs,
            Path(job.manifest),
            device="cpu",
            files=plan.files.get(job.key, {}),
            source=places[job.key].place() if job.key in places else None,
        )
        importlib.import_module(f"disobey.stages.{job.stage}").run(called)
        called.record(time.time())
    return [store_of(job.manifest) for job in plan.jobs.values() if job.stage == "confidence"]


@pytest.mark.parametrize("kind", ["image", "text"])
def test_every_source_trains_dumps_and_is_analysed_with_every_architecture(
    kind, tmp_path, monkeypatch, real_data
):
    monkeypatch.chdir(tmp_path)
    write_own_files()
    save_checkpoint(Path("checkpoint"), "roberta")
    Path("study.yaml").write_text(study_of(kind).replace("DATA", str(real_data)))
    plan = make_plan(load_study("study.yaml"))
    stores = run_in_process(plan)
    assert len(stores) == len(plan.settings) > 10
    for store in stores:
        with xarray.open_dataset(store, group="test") as analysis:
            accuracy = analysis.value.sel(statistic="accuracy", subset="all")
            assert accuracy.size == 4 and np.isfinite(accuracy).all(), store
