"""Cluster resources of jobs: sizes agree with real models and data, and needs grow with them."""

import importlib
import json
import math
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from disobey.data.prepared import Prepared, Split
from disobey.data.raw import surveys_of
from disobey.data.sources import module_of
from disobey.models.registry import build_model
from disobey.models.shapes import Shape
from disobey.progress import Durations
from disobey.strict import spec_of
from disobey.study.datasets import Builtin, Hub
from disobey.study.plan import make_plan
from disobey.study.resources import DUMP_BATCH, LONGEST_MINUTES, MODEL, need_of
from disobey.study.sizes import BUILTIN, Data, sizes_of
from disobey.training import predictions

IMAGES = ("digits", "mnist5k")


def prepared(inputs: np.ndarray, classes: int, **attributes: object) -> Prepared:
    zeros = np.zeros(len(inputs), np.int64)
    split = Split(inputs, zeros, zeros, zeros)
    return Prepared(split, split, tuple(map(str, range(classes))), attributes)


SMALL = [
    {"family": "mlp", "hidden": [7, 5]},
    {"family": "mlp", "hidden": []},
    {"family": "small_resnet", "stem": 3, "widths": [4, 6]},
    {"family": "cifar_resnet", "depth": 14, "widths": [3, 4, 4]},
    {"family": "cifar_resnet", "depth": 14, "widths": [3, 4, 4], "pre_activation": True},
    {"family": "mobilenet_v2", "width": 1.0, "small_images": True},
    {"family": "resnet", "depth": 50, "small_images": True},
    {"family": "resnet", "depth": 50, "small_images": True, "pre_activation": True},
]
# refused on the 8 x 8 pixels of digits
LARGE = [
    {"family": "mobilenet_v2", "width": 0.25},
    {"family": "resnet", "depth": 18},
    {"family": "resnet", "depth": 18, "pre_activation": True},
]


@pytest.mark.parametrize(
    ("spec", "name"),
    [*product(SMALL, IMAGES), *product(LARGE, ["mnist5k"])],
    ids=lambda value: value["family"] if isinstance(value, dict) else value,
)
def test_parameters_of_an_image_model_are_those_of_the_real_one(spec, name):
    shape = BUILTIN[name].shape
    model = build_model(spec, prepared(np.zeros((1, *shape.inputs), np.uint8), shape.classes))
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert MODEL.validate_python(spec).cost(shape).parameters == counted


def test_sizes_are_those_of_the_classes_and_rows_that_are_kept():
    """For an unknown repository, 100 classes and 100,000 rows are assumed."""
    given = {"source": "hub", "path": "a/b", "columns": {"image": "a"}}
    whole = sizes_of(Hub.model_validate(given))
    assert (whole.train, whole.shape.classes) == (100_000, 100)
    named = sizes_of(Hub.model_validate(given | {"classes": ["cat", "dog"]}))
    assert (named.train, named.shape.classes) == (100_000, 2)
    first = sizes_of(Hub.model_validate(given | {"classes": list("abcd"), "first_classes": 3}))
    assert (first.train, first.shape.classes, first.exact) == (75_000, 3, False)
    tested = sizes_of(Hub.model_validate(given | {"subset": {"test": 500}}))
    assert (tested.train, tested.test, tested.exact) == (100_000, 500, False)


def test_parameters_of_a_text_model_are_those_of_the_real_one():
    spec = {"family": "roberta", "hidden": 8, "layers": 3, "heads": 2, "dropout": 0.1}
    source = {"source": "builtin", "name": "cldr-langid"}
    source["tokenizer"] = {"vocabulary": 300, "max_tokens": 16}
    shape = sizes_of(Builtin.model_validate(source)).shape
    assert (shape.inputs, shape.vocabulary) == ((16,), 300)
    tokens = np.zeros((1, 16), np.int32)
    model = build_model(spec, prepared(tokens, shape.classes, vocabulary=300, pad=1))
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert MODEL.validate_python(spec).cost(shape).parameters == counted


def test_parameters_of_a_model_of_features_are_those_of_the_real_one():
    shape = BUILTIN["similar-classes"].shape
    features = np.zeros((1, *shape.inputs), np.float32)
    model = build_model({"family": "channel_linear"}, prepared(features, shape.classes))
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert MODEL.validate_python({"family": "channel_linear"}).cost(shape).parameters == counted


def test_multiply_adds_of_a_small_case_by_hand():
    resnet = MODEL.validate_python({"family": "small_resnet", "stem": 2, "widths": [3]})
    # 8 x 8 x 1: stem 4 x 4 positions, block 2 x 2, classifier
    by_hand = 9 * 2 * 16 + (9 * 2 * 3 + 9 * 3 * 3 + 2 * 3) * 4 + 3 * 10
    assert resnet.cost(BUILTIN["digits"].shape).multiply_adds == by_hand


@pytest.mark.parametrize("name", IMAGES)
def test_training_images_are_counted_exactly(name):
    """The plan needs them to count the views of a training in steps."""
    raw = importlib.import_module(module_of(name)).load()
    assert BUILTIN[name].train == len(surveys_of(raw, name)["train"])


@pytest.mark.parametrize("name", BUILTIN)
def test_sizes_of_sources_are_the_real_ones(name):
    spec = Builtin.model_validate({"source": "builtin", "name": name}).prepare_spec()
    raw = importlib.import_module(module_of(name)).load(spec)
    data, surveys = BUILTIN[name], surveys_of(raw, name)
    assert data.train == pytest.approx(len(surveys["train"]), rel=0.02)
    assert data.test == pytest.approx(len(surveys["test"]), rel=0.02)
    assert data.shape.classes == len(raw.class_names)
    header = surveys["train"].header
    if header is not None:
        assert data.shape.inputs == (header.height, header.width, 1) and header.grey


def test_the_page_on_data_lists_every_builtin_source():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for name in get_args(Builtin.model_fields["name"].annotation):
        data = BUILTIN[name]
        assert re.search(rf"^\| `{name}` \| .* \| {data.train:,}, {data.test:,} \|$", page, re.M)


def test_the_batch_of_a_dump_is_the_stages_own():
    assert predictions.BATCH == DUMP_BATCH


def test_every_job_of_a_study_has_a_need(study):
    plan = make_plan(study())
    for stage, key in plan.jobs:
        need = need_of(plan, stage, key)
        assert 1000 <= need.memory_mb < 2500 and 15 <= need.minutes < 60, (stage, key, need)


def needs(study, stage, *edits):
    plan = make_plan(study(*edits))
    runs = plan.settings["langid"].teachers
    return [need_of(plan, stage, run) for run in runs]


def test_more_epochs_take_more_time_and_no_more_memory(study):
    edit = ("optimizer: adamw, lr: 1e-3, epochs: 1", "optimizer: adamw, lr: 1e-3, epochs: 1000")
    for short, long in zip(needs(study, "train"), needs(study, "train", edit), strict=True):
        assert long.minutes > 5 * short.minutes
        assert long.memory_mb == short.memory_mb
    assert needs(study, "dump", edit) == needs(study, "dump")


def test_a_training_in_steps_takes_the_time_of_its_epochs(study):
    """14,110 texts in batches of 128 are 111 steps."""
    text = "optimizer: adamw, lr: 1e-3, epochs: 1"
    in_epochs, in_steps = (
        needs(study, "train", (text, f"optimizer: adamw, lr: 1e-3, {length}"))
        for length in ("epochs: 1000", "steps: 111000")
    )
    assert in_steps == in_epochs


@pytest.mark.parametrize("stage", ["train", "dump"])
def test_a_larger_model_takes_more_memory_and_time(stage, study):
    edit = ("hidden: 16, layers: 1, heads: 2", "hidden: 1024, layers: 24, heads: 16")
    for small, large in zip(needs(study, stage), needs(study, stage, edit), strict=True):
        # 300 million parameters: 1.2 GB of weights, seven times that in training
        assert large.memory_mb > small.memory_mb + (8000 if stage == "train" else 2000)
        assert large.minutes > small.minutes


def test_options_survive_the_way_through_a_spec(study):
    for options in study().models.values():
        assert MODEL.validate_python(spec_of(options)) == options


def test_an_analysis_of_imagenets_size_asks_for_what_its_blocks_take(study):
    """It reads nine stores of 5 GB, but keeps only a few hundred bytes per example."""
    plan = make_plan(study(("seeds: [0, 1]", "seeds: [0, 1, 2]")))
    imagenet = Data(1_281_167, 50_000, Shape((224, 224, 3), 1000), itemsize=1)
    plan.sizes.update(dict.fromkeys(plan.sizes, imagenet))
    need = need_of(plan, "confidence", "small/self")
    assert 1000 + 300 < need.memory_mb < 1000 + 2048
    assert 60 < need.minutes < 24 * 60
    pages = need_of(plan, "explorer", "small")
    assert 1000 + 200 < pages.memory_mb < 1000 + 2048
    assert 60 < pages.minutes < 24 * 60


# --- devices, and what a training does beside its own model ------------------------------------

IMAGENET = Data(1_281_167, 50_000, Shape((224, 224, 3), 1000), itemsize=0)
TINY = Data(100_000, 10_000, Shape((64, 64, 3), 200), itemsize=1)
LIVE = ("distill: {temperature: 4, weight: 0.5}", "distill: {temperature: 4, teacher: live}")


def training(study, *edits, data=TINY, role="students", **asked):
    """Return the resources of a training of small residual networks."""
    models = ("teacher: mlp\n    student: mlp", "teacher: resnet\n    student: resnet")
    plan = make_plan(study(models, *edits))
    plan.sizes.update(dict.fromkeys(plan.sizes, data))
    run = getattr(plan.settings["self"], role)[0]
    return need_of(plan, "train", run, longest=10**9, **asked)


def test_a_gpu_is_quicker_and_holds_in_its_own_memory_what_a_cpu_holds_in_the_hosts(study):
    larger = ("momentum: 0.9, epochs: 2", "momentum: 0.9, epochs: 2, batch: 32768")
    host, card = training(study, larger), training(study, larger, gpu=True)
    assert card.seconds < host.seconds / 3
    assert host.card_mb == 0
    small = training(study, gpu=True)
    assert card.memory_mb == small.memory_mb < host.memory_mb
    assert card.card_mb > 4 * small.card_mb


def test_a_live_teacher_costs_a_pass_of_each_image_and_its_memory(study):
    alone, taught = training(study, LIVE, role="references"), training(study, LIVE)
    resnet = MODEL.validate_python({"family": "small_resnet", "stem": 4, "widths": [8]})
    passes = 2 * TINY.train * 2 * resnet.cost(TINY.shape).multiply_adds / 1e10
    assert taught.seconds - alone.seconds == pytest.approx(passes)
    assert taught.seconds > training(study).seconds  # whose teacher's logits are stored


@pytest.mark.parametrize("gpu", [False, True])
def test_images_that_stay_encoded_take_the_time_to_decode_them(gpu, study):
    decoded = training(study, data=replace(IMAGENET, itemsize=1), gpu=gpu)
    encoded = training(study, data=IMAGENET, gpu=gpu)
    # two epochs, eight threads, a few milliseconds each
    assert encoded.seconds - decoded.seconds == pytest.approx(2 * 1_281_167 * 4e-3 / 8)
    assert encoded.memory_mb < decoded.memory_mb - 190_000


def test_no_job_asks_for_more_than_the_site_gives(study):
    plan = make_plan(study(("lr: 1e-3, epochs: 1", "lr: 1e-3, epochs: 1000000")))
    run = plan.settings["langid"].teachers[0]
    assert need_of(plan, "train", run).minutes == LONGEST_MINUTES == 24 * 60
    assert need_of(plan, "train", run, longest=90).minutes == 90
    assert need_of(plan, "train", run, longest=10**9).minutes > 7 * 24 * 60


def test_a_training_is_given_the_time_that_one_like_it_took(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = make_plan(study())
    runs = plan.settings["self"]

    def finish(run, device, seconds):
        manifest = Path(plan.jobs["train", run].manifest)
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(
            json.dumps({"device": device, "measured": {"training_seconds": seconds}})
        )

    finish(runs.students[0], "cuda", 5000)
    finish(runs.teachers[0], "cpu", 70)
    manifest = Path(plan.jobs["train", runs.references[0]].manifest)
    manifest.write_text("{")
    of_cpu, of_cuda = Durations(plan, "cpu"), Durations(plan, "cuda")

    def took(durations, run):
        return durations.of(plan.jobs["train", run])

    # of another seed and another of the teacher's runs
    assert took(of_cuda, runs.students[1]) == 5000
    assert took(of_cpu, runs.students[1]) is None
    assert took(of_cpu, runs.teachers[1]) == 70 == took(of_cpu, runs.references[1])  # one-hot too
    assert took(of_cpu, plan.settings["langid"].teachers[0]) is None
    asked = need_of(plan, "train", runs.students[1], gpu=True, measured=5000)
    assert asked.minutes == 15 + math.ceil(3 * 5000 / 60)
