"""The memory and time that a job requests from a cluster, estimated from the study. Pure.

The estimates are generous, not tight. The formulas are ours;
`tests/study/test_resources.py` compares sizes of models and data with the real ones.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from disobey.data.views import BLOCK, number_of_slabs, slabs_of
from disobey.models.checkpoint import ROBERTA_BASE
from disobey.models.options import ModelOptions, encoder_cost
from disobey.models.shapes import Cost, Shape
from disobey.stores.layout import BESIDE
from disobey.study.comparisons import ROLE_KEYS
from disobey.study.jobs import Plan
from disobey.study.sizes import Data
from disobey.training.schedules import number_of_epochs, steps_per_epoch, total_steps

MODEL: TypeAdapter[ModelOptions] = TypeAdapter(ModelOptions)


# All of these are our choice. Speeds are lower bounds, in operations per second.
# One slow core: the networks of the default study ran five to fifteen times as fast on one thread.
CPU_SPEED = 1e10
# float32 without TF32 on a card of 2017 or later.
GPU_SPEED = 5e12
SECONDS_PER_STEP = 0.01  # least time of a training step
PROCESS_MB = 1000  # Python with numpy, and the two Snakemakes around a cluster job
TORCH_MB = 500  # what torch adds
GPU_MB = 3000  # what CUDA's libraries add to the host's memory
CARD_MB = 1000  # CUDA's context and the workspace of its libraries, in the card's memory
START_MINUTES = 15  # imports over a slow file system; and a signal needs time before the limit
# A training may share a GPU if a step's computation takes at most this many SECONDS_PER_STEP.
LAUNCH_BOUND = 2
USABLE = 0.9  # share of a GPU's memory that the estimates of jobs may fill
UNKNOWN_CARD_MB = 8000
LONGEST_MINUTES = 24 * 60  # longest time limit, unless the site's profile sets another
# The confidence analysis ran three to five times as fast on one thread.
SECONDS_PER_ROW, SECONDS_PER_LOGIT = 1e-5, 1e-7
SECONDS_TO_DECODE, SECONDS_TO_PREPARE_LARGE = 5e-4, 1e-2  # one image
SECONDS_TO_DECODE_LARGE = 4e-3  # one encoded image, by one thread; 1.9e-3 was measured
DECODERS = 8  # threads of a process that decode images
DOWNLOAD_PER_SECOND = 2e6  # bytes
# Per analysis that a table reads; up to 4.7 MB and 0.2 s were measured.
ANALYSIS_MB, SECONDS_PER_ANALYSIS = 5, 0.5
BLOCKS_MB = 250  # blocks of logits and of resamples in an analysis
COLUMNS = 15  # labels, predictions, subsets, and the values sorted for quantiles
SAFETY = 3  # factor on the estimated time
CLASSIFIED_AT_ONCE = 32  # as in `disobey.stages.classify`
UNKNOWN_TOKENS = 128
DUMP_BATCH = 512  # as in `disobey.training.predictions`, which imports torch
FEATURES_AT_ONCE = 1000  # rows, as in `disobey.data.random_features`
SHORT, FLOAT, DOUBLE, LONG, MB = 2, 4, 8, 8, 1e6


@dataclass(frozen=True)
class Need:
    """Resources that the first attempt of a job requests.

    ``memory_mb`` and ``minutes`` include safety margins and the start; ``seconds`` is the estimate
    itself. ``card_mb`` is the GPU memory that the job takes, 0 on the CPU; it is never requested. A
    ``launch_bound`` job leaves a GPU idle much of the time, so that several gain by sharing it.
    """

    memory_mb: int
    minutes: int
    card_mb: int = 0
    seconds: float = 0.0
    launch_bound: bool = False

    def sharing(self, card_mb: int | None) -> int:
        """Return how many such jobs can share a GPU with ``card_mb`` of memory: 1, 2 or 4."""
        if not self.launch_bound:
            return 1
        fit = USABLE * (card_mb or UNKNOWN_CARD_MB) / self.card_mb
        return 4 if fit >= 4 else 2 if fit >= 2 else 1


@dataclass(frozen=True)
class Planned:
    """A planned job; ``gpu`` is True if it runs a model on a GPU, with ``processes`` processes."""

    plan: Plan
    spec: Mapping[str, Any]
    gpu: bool = False
    processes: int = 1

    @property
    def data(self) -> Data:
        """The sizes of its data."""
        return self.plan.sizes[self.spec["data"]]

    def cost(self, run: str | None = None) -> Cost:
        """Return the cost per example of the job's model, or of the model of ``run``."""
        of_run = self.spec if run is None else json.loads(self.plan.jobs["train", run].spec)
        model, shape = of_run["model"], self.data.shape
        if "pretrained" in model:
            whole = self.plan.pretrained[model["pretrained"]]
            return whole.model_copy(update={"layers": model.get("layers")}).cost(shape)
        return MODEL.validate_python(model).cost(shape)

    def inference(self, cost: Cost, examples: int) -> float:
        """Return the bytes of the weights, and of the activations of ``examples`` at a time.

        For an encoder, these are the activations of one layer; for a convolutional network, the
        input and output of a convolution and the parallel shortcut.
        """
        passing = (1 if self.data.shape.vocabulary else 3) * cost.largest
        return FLOAT * (cost.parameters + examples * passing)

    def seconds(self, operations: float) -> float:
        """Return the seconds that the job's device needs for some operations."""
        return operations / (GPU_SPEED if self.gpu else CPU_SPEED)


@dataclass(frozen=True)
class Estimate:
    """Estimated bytes and seconds, before rounding.

    ``host`` bytes are in the host's memory, ``device`` bytes where the model runs, and a GPU adds
    ``copies`` bytes in the host. ``step`` is the device's computing time per training step.
    """

    host: float
    device: float = 0.0
    seconds: float = 0.0
    copies: float = 0.0
    step: float = 0.0


def need_of(
    plan: Plan,
    stage: str,
    key: str,
    *,
    gpu: bool = False,
    processes: int = 1,
    longest: int = LONGEST_MINUTES,
    measured: float | None = None,
) -> Need:
    """Return the resources of the job ``stage``, ``key`` at its first attempt.

    Parameters
    ----------
    plan : Plan
    stage, key : str
    gpu : bool
        Whether models run on a GPU.
    processes : int
        Number of processes that train one model together.
    longest : int
        Largest time limit in minutes; a longer training continues in another job.
    measured : float, optional
        Measured seconds of a similar job on this kind of device; replaces the estimate.
    """
    spec = json.loads(plan.jobs[stage, key].spec)
    named = {"prepare": {"data": key}, "compared": {"compared": key}, "classify": {"run": key}}
    on_card = gpu and stage in RUN_A_MODEL
    job = Planned(plan, spec | named.get(stage, {}), on_card, processes if stage == "train" else 1)
    found = NEEDS[stage](job)
    seconds = found.seconds if measured is None else measured
    host = PROCESS_MB + TORCH_MB * (stage in WITH_TORCH) + found.host / MB
    host += GPU_MB + found.copies / MB if on_card else found.device / MB
    card = CARD_MB + found.device / MB if on_card else 0
    host, card = (100 * math.ceil(megabytes / 100) for megabytes in (host, card))
    bound = found.step <= LAUNCH_BOUND * SECONDS_PER_STEP
    shares = on_card and job.processes == 1 and bound
    limit = min(minutes_for(seconds), longest)
    return Need(job.processes * host, limit, card, seconds, shares)


def minutes_for(seconds: float) -> int:
    """Return the time limit in minutes of a job that is estimated to take ``seconds``."""
    return START_MINUTES + math.ceil(SAFETY * seconds / 60)


def _pretrained(job: Planned) -> Estimate:
    """Estimate the download of the study's largest checkpoint, over a slow connection."""
    configs = [options.config() or ROBERTA_BASE for options in job.plan.pretrained.values()]
    weights = max(
        FLOAT * encoder_cost(config, None, Shape((1,), 1)).parameters for config in configs
    )
    return Estimate(3 * weights, seconds=weights / DOWNLOAD_PER_SECOND)


def _prepare(job: Planned) -> Estimate:
    # Rows pass through in blocks; each row leaves a label, a number and space to sort them.
    data = job.data
    rows = data.train + data.test
    seconds = rows * (SECONDS_TO_PREPARE_LARGE if data.encoded else SECONDS_TO_DECODE)
    whole = job.spec.get("format") in ("npz", "json")  # may be read whole
    held = 2.0 * data.input_bytes if whole else 0.0
    if "features" in job.spec:
        number = job.spec["features"]["number"]
        held += DOUBLE * number * (data.given + 3 * FEATURES_AT_ONCE)
        seconds += job.seconds(2 * rows * number * data.given)
    return Estimate(BLOCKS_MB * MB + 8 * DOUBLE * rows + held, seconds=seconds)


def _labels(job: Planned) -> Estimate:
    return Estimate(2 * job.data.input_bytes)


def _train(job: Planned) -> Estimate:
    data, spec, recipe, cost = job.data, job.spec, job.spec["recipe"], job.cost()
    of_teacher, on_device, operations = _taught(job)
    batch = math.ceil(recipe["batch"] / job.processes)
    # Weights, gradients, two moments, and a state being written to disk.
    state = 3 * FLOAT * cost.parameters
    examples = job.plan.trained_on(spec)
    epochs = number_of_epochs(recipe, examples)
    slabs = number_of_slabs(spec["augment"], epochs) if "augment" in spec else 0
    of_views, of_images = _shown(data, spec, slabs)
    held = 4 * FLOAT * cost.parameters + 2 * FLOAT * batch * cost.activations
    held += data.input_bytes + of_images + on_device
    computed = 3 * 2 * cost.multiply_adds + operations  # per example
    steps = steps_per_epoch(examples, recipe["batch"])
    epoch = job.seconds(computed * examples) + steps * SECONDS_PER_STEP
    epoch += _decoding(data) * examples
    evaluate = recipe.get("evaluate", {"points": 0, "examples": 0})
    passes = evaluate["points"] * 2 * evaluate["examples"]  # both splits at most
    seconds = total_steps(recipe, steps) / steps * epoch
    seconds += job.seconds(passes * 2 * cost.multiply_adds)
    host = data.input_bytes + of_views + of_teacher
    return Estimate(host + state, held, seconds, step=job.seconds(computed * batch))


def _taught(job: Planned) -> tuple[float, float, float]:
    """Return a teacher's bytes in the host and on the device, and its operations per example."""
    distill, data = job.spec.get("distill"), job.data
    if distill is None or "teacher" not in distill:
        return 0.0, 0.0, 0.0
    if not distill.get("live"):  # one view of each example at a time
        logits = data.train * data.shape.classes * FLOAT
        return 2 * logits, logits, 0.0
    cost = job.cost(distill["teacher"])
    held = job.inference(cost, job.spec["recipe"]["batch"])
    return FLOAT * cost.parameters, held, 2 * cost.multiply_adds


def _decoding(data: Data) -> float:
    """Return the seconds to decode one image during training."""
    return SECONDS_TO_DECODE_LARGE / DECODERS if data.encoded else 0.0


def _dump(job: Planned) -> Estimate:
    data, rows = job.data, job.data.train + job.data.test
    return _passed(job, rows, data.logit_bytes)


def _views(job: Planned) -> Estimate:
    slabs = slabs_of(job.spec["augment"], job.spec["block"]).stop
    return _passed(job, job.data.train * BLOCK, *_shown(job.data, job.spec, slabs))


def _passed(job: Planned, examples: int, kept: float, padded: float = 0.0) -> Estimate:
    """Estimate the inference of a trained model on some examples.

    ``kept`` bytes stay in the host; ``padded`` bytes of images are on the device.
    """
    data, cost = job.data, job.cost(job.spec["run"])
    held = data.input_bytes + padded + job.inference(cost, DUMP_BATCH)
    seconds = job.seconds(2 * cost.multiply_adds * examples) + _decoding(data) * examples
    host = data.input_bytes + kept + FLOAT * cost.parameters
    return Estimate(host, held, seconds)


def _shown(data: Data, spec: Mapping[str, Any], slabs: int) -> tuple[float, float]:
    """Return the bytes of the views in ``slabs``, and of padded images on the device."""
    if "augment" not in spec:
        return 0.0, 0.0
    (y, x, *_), side = data.shape.inputs, 2 * spec["augment"].get("crop_padding", 0)
    padded = data.input_bytes * (y + side) * (x + side) / (y * x)
    return 2 * SHORT * slabs * data.train, padded + 3 * LONG * data.train


def _basis(job: Planned) -> Estimate:
    data, cost, features = job.data, job.cost(), math.prod(job.data.shape.inputs)
    # covariance, its eigenvectors and the workspace of the decomposition
    passing = job.inference(cost, DUMP_BATCH) - FLOAT * cost.parameters
    held = data.input_bytes + 6 * DOUBLE * features**2 + passing
    operations = 2 * data.train * (cost.multiply_adds + features**2) + 25 * features**3
    copies = 2 * DOUBLE * features**2
    return Estimate(data.input_bytes, held, job.seconds(operations), copies=copies)


def _confidence(job: Planned) -> Estimate:
    plan, spec = job.plan, job.spec
    compared = {*spec["references"], *spec["students"]}
    runs = {*spec["teachers"], *compared}
    data = plan.sizes[plan.examples_of(spec["teachers"][0])]
    # Logits pass through in blocks; each pair of a model and a teacher leaves a number per row, and
    # each compared model leaves the values of its deviations.
    kept = DOUBLE * (len(runs) * len(spec["teachers"]) + COLUMNS) + 4 * FLOAT * len(compared)
    held = kept * max(data.train, data.test) + BLOCKS_MB * MB
    rows = len(runs) * (data.train + data.test)
    weights = len(runs) * spec["analysis"]["resamples"] * data.test
    seconds = rows * (SECONDS_PER_ROW + SECONDS_PER_LOGIT * data.shape.classes) + 1e-6 * weights
    return Estimate(held, seconds=seconds)


def _compared(job: Planned) -> Estimate:
    """Estimate the conversion of files of logits, all of which are read whole."""
    logits = job.plan.sizes[job.spec["compared"]].logit_bytes
    models = sum(len(job.spec.get(key, ())) for key in ROLE_KEYS)
    return Estimate(3 * models * logits, seconds=models * logits / DOWNLOAD_PER_SECOND)


def _classify(job: Planned) -> Estimate:
    """Estimate the inference of a checkpoint, by default roberta-base, with its download."""
    data, config = job.data, job.plan.classifiers[job.spec["run"]].config() or ROBERTA_BASE
    inputs = (job.spec.get("max_tokens", UNKNOWN_TOKENS),)
    cost = encoder_cost(config, None, Shape(inputs, data.shape.classes))
    weights = FLOAT * cost.parameters
    held = weights + FLOAT * CLASSIFIED_AT_ONCE * cost.largest
    operations = 2 * cost.multiply_adds * (data.train + data.test)
    seconds = weights / DOWNLOAD_PER_SECOND + job.seconds(operations)
    host = 2 * weights + 2 * data.input_bytes + 2 * data.logit_bytes
    return Estimate(host, held, seconds)


def _explorer(job: Planned) -> Estimate:
    """Estimate the page of examples, which reads settings one after another with their data."""
    study, seeds = job.spec["study"], len(job.spec["seeds"])
    held, seconds = 0.0, 0.0
    for setting in job.spec["settings"]:
        analysis = json.loads(job.plan.jobs["confidence", f"{study}/{setting}"].spec)
        data = job.plan.sizes[job.plan.examples_of(analysis["teachers"][0])]
        # For each example the predictions of all teachers, and six confidence logits in half as
        # many bytes: for three models, in the classes predicted by a teacher and by its replicate.
        held += DOUBLE * 4 * seeds * max(data.train, data.test)
        seconds += 10 * seeds * (data.train + data.test) * SECONDS_PER_LOGIT * data.shape.classes
    rows = max(max(data.train, data.test) for data in job.plan.sizes.values())
    return Estimate(held + DOUBLE * COLUMNS * rows + BLOCKS_MB * MB, seconds=seconds)


def _over_settings(job: Planned) -> Estimate:
    """Estimate tables, figures and the report, which read the analyses of their settings."""
    settings = len(job.spec["settings"])
    return Estimate(ANALYSIS_MB * MB * settings, seconds=SECONDS_PER_ANALYSIS * settings)


RUN_A_MODEL = ("train", "dump", "views", "basis", "classify")
WITH_TORCH = (*RUN_A_MODEL, "pretrained")
NEEDS: dict[str, Callable[[Planned], Estimate]] = {
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
    **dict.fromkeys(BESIDE, lambda _: Estimate(0)),  # they read small stores
    "table": _over_settings,
    "figure": _over_settings,
    "explorer": _explorer,
    "report": _over_settings,
}
