"""What jobs ask a cluster for: sizes against the real models and data, and how needs grow."""

import importlib
from itertools import product

import numpy as np
import pytest

from disobey.data.prepared import Prepared, Split
from disobey.data.survey import surveys_of
from disobey.members import member
from disobey.models.cost import Shape
from disobey.models.registry import build_model
from disobey.strict import spec_of
from disobey.study.datasets import Builtin
from disobey.study.plan import make_plan
from disobey.study.resources import DUMP_BATCH, MODEL, need_of
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
]
# refused on the 8 x 8 pixels of digits
LARGE = [{"family": "mobilenet_v2", "width": 0.25}, {"family": "resnet", "depth": 18}]


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
    """The plan counts by them how many views a training in steps shows."""
    raw = importlib.import_module(member("data.sources", name)).load()
    assert BUILTIN[name].train == len(surveys_of(raw, name)["train"])


@pytest.mark.parametrize("name", BUILTIN)
def test_sizes_of_sources_are_the_real_ones(name):
    spec = Builtin.model_validate({"source": "builtin", "name": name}).prepare_spec()
    raw = importlib.import_module(member("data.sources", name)).load(spec)
    data, surveys = BUILTIN[name], surveys_of(raw, name)
    assert data.train == pytest.approx(len(surveys["train"]), rel=0.02)
    assert data.test == pytest.approx(len(surveys["test"]), rel=0.02)
    assert data.shape.classes == len(raw.class_names)
    header = surveys["train"].header
    if header is not None:
        assert data.shape.inputs == (header.height, header.width, 1) and header.grey


def test_every_source_that_a_study_may_name_has_its_sizes():
    assert (
        set(Builtin.model_fields["name"].annotation.__args__) == set(BUILTIN) == set(Builtin.KINDS)
    )


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
    """Nine stores of 5 GB pass through; what stays is some hundred bytes of each example."""
    plan = make_plan(study(("seeds: [0, 1]", "seeds: [0, 1, 2]")))
    imagenet = Data(1_281_167, 50_000, Shape((224, 224, 3), 1000), itemsize=1)
    plan.sizes.update(dict.fromkeys(plan.sizes, imagenet))
    need = need_of(plan, "confidence", "small/self")
    assert 1000 + 300 < need.memory_mb < 1000 + 2048
    assert 60 < need.minutes < 24 * 60
    pages = need_of(plan, "explorer", "small")
    assert 1000 + 200 < pages.memory_mb < 1000 + 2048
    assert 60 < pages.minutes < 24 * 60
