"""What a job asks a cluster for: memory and time, from what the study says of it. Pure.

The numbers are meant to be enough, not tight; what was not enough is asked for again, doubled,
tripled, by the attempt. The formulas are ours; `tests/study/test_resources.py` holds sizes of
models and data against the real ones.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from disobey.data.views import BLOCK, number_of_views
from disobey.models.checkpoint import ROBERTA_BASE
from disobey.models.cost import Cost, Shape
from disobey.models.options.families import ModelOptions
from disobey.models.options.pretrained import encoder_cost
from disobey.stores.layout import BESIDE
from disobey.study.comparisons import ROLE_KEYS
from disobey.study.jobs import Plan
from disobey.study.sizes import Data
from disobey.training.durations import steps_per_epoch, total_steps

MODEL: TypeAdapter[ModelOptions] = TypeAdapter(ModelOptions)

# All of these are our choice.
PROCESS_MB = 1000  # Python with numpy, and the two Snakemakes that stand around a cluster job
TORCH_MB = 500  # what torch adds
GPU_MB = 3000  # what CUDA's libraries add in the host's memory
START_MINUTES = 15  # imports over a slow file system; and a signal needs time before the limit
# One slow core. The networks of the default study ran five to fifteen times as fast on one thread.
OPERATIONS_PER_SECOND = 1e10
SECONDS_PER_STEP = 0.01
# The confidence analysis ran three to five times as fast on one thread.
SECONDS_PER_ROW, SECONDS_PER_LOGIT = 1e-5, 1e-7
SECONDS_TO_DECODE, SECONDS_TO_DECODE_LARGE = 5e-4, 1e-2  # one image
DOWNLOAD_PER_SECOND = 2e6  # bytes
BLOCKS_MB = 250  # its blocks of logits and of resamples
COLUMNS = 15  # labels, predictions, subsets, and what is sorted for quantiles
SAFETY = 3  # on the estimated time
CLASSIFIED_AT_ONCE = 32  # as in `disobey.stages.classify`
UNKNOWN_TOKENS = 128
DUMP_BATCH = 512  # as in `disobey.training.predictions`, which imports torch
FEATURES_AT_ONCE = 1000  # rows, as in `disobey.data.random_features`
SHORT, FLOAT, DOUBLE, MB = 2, 4, 8, 1e6


@dataclass(frozen=True)
class Need:
    """What the first attempt of a job asks for.

    Attributes
    ----------
    memory_mb, minutes : int
    """

    memory_mb: int
    minutes: int


def need_of(plan: Plan, stage: str, key: str) -> Need:
    """Return what the job ``stage``, ``key`` of the plan asks for at its first attempt."""
    spec = json.loads(plan.jobs[stage, key].spec)
    named = {"prepare": {"data": key}, "compared": {"compared": key}, "classify": {"run": key}}
    return NEEDS[stage](plan, spec | named.get(stage, {}))


def _need(megabytes: float, seconds: float = 0.0) -> Need:
    """Round up: memory to whole hundreds, time to whole minutes."""
    minutes = START_MINUTES + math.ceil(SAFETY * seconds / 60)
    return Need(100 * math.ceil((PROCESS_MB + megabytes) / 100), minutes)


def _pretrained(plan: Plan, _: Mapping[str, Any]) -> Need:
    """As for the largest checkpoint of the study, fetched over a slow line."""
    configs = [options.config() or ROBERTA_BASE for options in plan.pretrained.values()]
    weights = max(
        FLOAT * encoder_cost(config, None, Shape((1,), 1)).parameters for config in configs
    )
    return _need(TORCH_MB + 3 * weights / MB, weights / DOWNLOAD_PER_SECOND)


def _prepare(plan: Plan, spec: Mapping[str, Any]) -> Need:
    # Blocks of rows pass through; of each row a label, a number and what they are sorted in stay.
    data = _data(plan, spec)
    rows = data.train + data.test
    seconds = rows * (SECONDS_TO_DECODE_LARGE if data.itemsize == 0 else SECONDS_TO_DECODE)
    held = 2 * data.input_bytes if spec.get("format") in ("npz", "json") else 0  # may be read whole
    if "features" in spec:
        number = spec["features"]["number"]
        held += DOUBLE * number * (data.given + 3 * FEATURES_AT_ONCE)
        seconds += 2 * rows * number * data.given / OPERATIONS_PER_SECOND
    return _need(BLOCKS_MB + (8 * DOUBLE * rows + held) / MB, seconds)


def _labels(plan: Plan, spec: Mapping[str, Any]) -> Need:
    return _need(2 * _data(plan, spec).input_bytes / MB)


def _train(plan: Plan, spec: Mapping[str, Any]) -> Need:
    data, recipe = _data(plan, spec), spec["recipe"]
    cost = _cost(plan, spec["model"], data)
    held = 2 * data.input_bytes + 2 * data.logit_bytes + _views_held(data, spec)
    # weights, gradients, two moments, and a state on its way to disk
    held += FLOAT * (7 * cost.parameters + 2 * recipe["batch"] * cost.activations)
    operations = 3 * 2 * cost.multiply_adds * data.train  # forward, and twice that back
    steps = steps_per_epoch(data.train, recipe["batch"])
    epoch = operations / OPERATIONS_PER_SECOND + steps * SECONDS_PER_STEP
    seconds = total_steps(recipe, steps) / steps * epoch
    evaluate = recipe.get("evaluate", {"points": 0, "examples": 0})
    passes = evaluate["points"] * 2 * evaluate["examples"]  # of both splits at most
    seconds += passes * 2 * cost.multiply_adds / OPERATIONS_PER_SECOND
    return _need(TORCH_MB + held / MB, seconds)


def _dump(plan: Plan, spec: Mapping[str, Any]) -> Need:
    data = _data(plan, spec)
    run = json.loads(plan.jobs["train", spec["run"]].spec)
    cost, passing = _cost(plan, run["model"], data), _passing(plan, run["model"], data)
    held = 2 * data.input_bytes + 2 * data.logit_bytes
    held += FLOAT * (2 * cost.parameters + DUMP_BATCH * passing)
    operations = 2 * cost.multiply_adds * (data.train + data.test)
    return _need(TORCH_MB + held / MB, operations / OPERATIONS_PER_SECOND)


def _views(plan: Plan, spec: Mapping[str, Any]) -> Need:
    data = _data(plan, spec)
    run = json.loads(plan.jobs["train", spec["run"]].spec)
    cost, passing = _cost(plan, run["model"], data), _passing(plan, run["model"], data)
    held = 2 * data.input_bytes + _views_held(data, spec)
    held += FLOAT * (2 * cost.parameters + DUMP_BATCH * passing)
    operations = 2 * cost.multiply_adds * data.train * BLOCK
    return _need(TORCH_MB + held / MB, operations / OPERATIONS_PER_SECOND)


def _views_held(data: Data, spec: Mapping[str, Any]) -> float:
    """Return the bytes of padded images and of which view each shows when, while that is drawn."""
    if "augment" not in spec:
        return 0
    (y, x, *_), side = data.shape.inputs, 2 * spec["augment"].get("crop_padding", 0)
    padded = data.input_bytes * (y + side) * (x + side) / (y * x)
    return padded + 3 * SHORT * number_of_views(spec["augment"]) * data.train


def _basis(plan: Plan, spec: Mapping[str, Any]) -> Need:
    data = _data(plan, spec)
    cost, features = _cost(plan, spec["model"], data), math.prod(data.shape.inputs)
    passing = _passing(plan, spec["model"], data)
    # covariance, its eigenvectors and what the decomposition works in
    held = 2 * data.input_bytes + 6 * DOUBLE * features**2 + FLOAT * DUMP_BATCH * passing
    operations = 2 * data.train * (cost.multiply_adds + features**2) + 25 * features**3
    return _need(TORCH_MB + held / MB, operations / OPERATIONS_PER_SECOND)


def _confidence(plan: Plan, spec: Mapping[str, Any]) -> Need:
    runs = {*spec["teachers"], *spec["references"], *spec["students"]}
    data = plan.sizes[plan.examples_of(spec["teachers"][0])]
    # Logits pass through in blocks; each pair of a model and a teacher leaves a number of each row.
    kept = DOUBLE * (len(runs) * len(spec["teachers"]) + COLUMNS)
    held = kept * max(data.train, data.test) + BLOCKS_MB * MB
    rows = len(runs) * (data.train + data.test)
    weights = len(runs) * spec["analysis"]["resamples"] * data.test
    seconds = rows * (SECONDS_PER_ROW + SECONDS_PER_LOGIT * data.shape.classes) + 1e-6 * weights
    return _need(held / MB, seconds)


def _compared(plan: Plan, spec: Mapping[str, Any]) -> Need:
    """All files are read whole."""
    data = plan.sizes[spec["compared"]]
    models = sum(len(spec.get(key, ())) for key in ROLE_KEYS)
    return _need(
        3 * models * data.logit_bytes / MB, models * data.logit_bytes / DOWNLOAD_PER_SECOND
    )


def _classify(plan: Plan, spec: Mapping[str, Any]) -> Need:
    """As for a model as large as roberta-base, fetched over a slow line, where nothing is known."""
    data, config = _data(plan, spec), plan.classifiers[spec["run"]].config() or ROBERTA_BASE
    inputs = (spec.get("max_tokens", UNKNOWN_TOKENS),)
    cost = encoder_cost(config, None, Shape(inputs, data.shape.classes))
    weights = FLOAT * cost.parameters
    held = 3 * weights + 2 * data.input_bytes + 2 * data.logit_bytes
    held += FLOAT * CLASSIFIED_AT_ONCE * cost.activations
    operations = 2 * cost.multiply_adds * (data.train + data.test)
    seconds = weights / DOWNLOAD_PER_SECOND + operations / OPERATIONS_PER_SECOND
    return _need(TORCH_MB + held / MB, seconds)


def _explorer(plan: Plan, spec: Mapping[str, Any]) -> Need:
    """As for settings one after another, each over the largest data set of the study."""
    largest = max(plan.sizes.values(), key=lambda data: data.train * data.shape.classes)
    # Of each example the predictions of all teachers, and six confidence logits in half as many
    # bytes: of three models, in the class that a teacher and its replicate predict.
    settings, seeds = len(spec["settings"]), len(spec["seeds"])
    kept = DOUBLE * (COLUMNS + 4 * settings * seeds) * max(largest.train, largest.test)
    readings = 10 * settings * seeds * (largest.train + largest.test)
    seconds = readings * SECONDS_PER_LOGIT * largest.shape.classes
    return _need((kept / MB) + BLOCKS_MB, seconds)


def _light(_: Plan, __: Mapping[str, Any]) -> Need:
    """Analyses of histories, tables, figures and the report read small stores."""
    return _need(0)


NEEDS: dict[str, Callable[[Plan, Mapping[str, Any]], Need]] = {
    "pretrained": _pretrained,
    "prepare": _prepare,
    "labels": _labels,
    "train": _train,
    "dump": _dump,
    "compared": _compared,
    "classify": _classify,
    "views": _views,
    "basis": _basis,
    "confidence": _confidence,
    **dict.fromkeys(BESIDE, _light),
    "table": _light,
    "figure": _light,
    "explorer": _explorer,
    "report": _light,
}


def _data(plan: Plan, spec: Mapping[str, Any]) -> Data:
    return plan.sizes[spec["data"]]


def _cost(plan: Plan, model: Mapping[str, Any], data: Data) -> Cost:
    if "pretrained" in model:
        return encoder_cost(_config(plan, model), model.get("layers"), data.shape)
    return MODEL.validate_python(model).cost(data.shape)


def _passing(plan: Plan, model: Mapping[str, Any], data: Data) -> int:
    """Return the activations of an example that are held at once where nothing goes back.

    A checkpoint has so many layers that all of them would be far too much: one's are counted.
    """
    if "pretrained" in model:
        return encoder_cost(_config(plan, model), 1, data.shape).activations
    return _cost(plan, model, data).activations


def _config(plan: Plan, model: Mapping[str, Any]) -> Mapping[str, Any]:
    return plan.pretrained[model["pretrained"]].config() or ROBERTA_BASE
