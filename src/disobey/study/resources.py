"""What a job asks a cluster for: memory and time, from what the study says of it. Pure.

The numbers are meant to be enough, not tight. The formulas are ours;
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
from disobey.models.cost import Cost, Shape
from disobey.models.options import ModelOptions, encoder_cost
from disobey.stores.layout import BESIDE
from disobey.study.comparisons import ROLE_KEYS
from disobey.study.jobs import Plan
from disobey.study.sizes import Data
from disobey.training.durations import number_of_epochs, steps_per_epoch, total_steps

MODEL: TypeAdapter[ModelOptions] = TypeAdapter(ModelOptions)


@dataclass(frozen=True)
class Speed:
    """How fast a device computes, at the least.

    Attributes
    ----------
    operations_per_second : float
    seconds_per_step : float
        What a training step takes however little it computes.
    """

    operations_per_second: float
    seconds_per_step: float


# All of these are our choice.
# One slow core: the networks of the default study ran five to fifteen times as fast on one thread.
CPU_SPEED = Speed(1e10, 0.01)
# float32 without TF32 on a card of 2017 or later.
GPU_SPEED = Speed(5e12, 0.01)
PROCESS_MB = 1000  # Python with numpy, and the two Snakemakes that stand around a cluster job
TORCH_MB = 500  # what torch adds
GPU_MB = 3000  # what CUDA's libraries add in the host's memory
CARD_MB = 1000  # CUDA's context and the workspace of its libraries, in the card's memory
START_MINUTES = 15  # imports over a slow file system; and a signal needs time before the limit
# A training shares a GPU if the GPU computes at most so many times as long as a step is launched.
LAUNCH_BOUND = 2
USABLE = 0.9  # share of a GPU's memory that jobs may fill by their estimates
UNKNOWN_CARD_MB = 8000  # memory of a GPU of which nothing is known
LONGEST_MINUTES = 24 * 60  # that a job asks for, unless the site's profile says otherwise
# The confidence analysis ran three to five times as fast on one thread.
SECONDS_PER_ROW, SECONDS_PER_LOGIT = 1e-5, 1e-7
SECONDS_TO_DECODE, SECONDS_TO_PREPARE_LARGE = 5e-4, 1e-2  # one image
SECONDS_TO_DECODE_LARGE = 4e-3  # one image that stays encoded, by one thread; 1.9e-3 was measured
DECODERS = 8  # threads that decode the images of one process, where these stay encoded
DOWNLOAD_PER_SECOND = 2e6  # bytes
# An analysis as tables hold it; up to 4.7 MB and 0.2 s were measured.
ANALYSIS_MB, SECONDS_PER_ANALYSIS = 5, 0.5
BLOCKS_MB = 250  # its blocks of logits and of resamples
COLUMNS = 15  # labels, predictions, subsets, and what is sorted for quantiles
SAFETY = 3  # on the estimated time
CLASSIFIED_AT_ONCE = 32  # as in `disobey.stages.classify`
UNKNOWN_TOKENS = 128
DUMP_BATCH = 512  # as in `disobey.training.predictions`, which imports torch
FEATURES_AT_ONCE = 1000  # rows, as in `disobey.data.random_features`
SHORT, FLOAT, DOUBLE, LONG, MB = 2, 4, 8, 8, 1e6


@dataclass(frozen=True)
class Need:
    """What the first attempt of a job asks for.

    Attributes
    ----------
    memory_mb, minutes : int
        Of the host.
    card_mb : int
        What a job that runs on a GPU takes of the card's memory; 0 for others. Nothing asks for it.
    seconds : float
        The estimated time itself, without safety and start.
    launch_bound : bool
        Whether a GPU is idle for much of the time, so that several such jobs gain by sharing it.
    """

    memory_mb: int
    minutes: int
    card_mb: int = 0
    seconds: float = 0.0
    launch_bound: bool = False

    def sharing(self, card_mb: int | None) -> int:
        """Return how many jobs like this one share a GPU: 1, 2 or 4.

        Parameters
        ----------
        card_mb : int or None
            The GPU's memory; None if it is unknown.
        """
        if not self.launch_bound:
            return 1
        fit = USABLE * (card_mb or UNKNOWN_CARD_MB) / self.card_mb
        return 4 if fit >= 4 else 2 if fit >= 2 else 1


@dataclass(frozen=True)
class Planned:
    """A planned job, as its need is worked out.

    Attributes
    ----------
    plan : Plan
    spec : dict
    gpu : bool
        Whether it runs its model on a GPU.
    processes : int
        That train together.
    """

    plan: Plan
    spec: Mapping[str, Any]
    gpu: bool = False
    processes: int = 1

    @property
    def data(self) -> Data:
        """The sizes of its data."""
        return self.plan.sizes[self.spec["data"]]

    @property
    def speed(self) -> Speed:
        """That of its device."""
        return GPU_SPEED if self.gpu else CPU_SPEED

    def run(self, key: str = "run") -> Mapping[str, Any]:
        """Return the spec of the training that the job's spec names."""
        spec: dict[str, Any] = json.loads(self.plan.jobs["train", self.spec[key]].spec)
        return spec


@dataclass(frozen=True)
class Estimate:
    """Bytes and seconds, before anything is rounded.

    Attributes
    ----------
    host : float
        Bytes that are held in the host's memory whatever the device.
    device : float
        Bytes that are held where the model runs: on the card, or in the host's memory too.
    seconds : float
    torch : bool
        Whether the job imports torch.
    copies : float
        Bytes of the host that a GPU adds: what passes from or to the card.
    step : float
        Seconds that the device computes in a step of training; 0 for jobs that do not train.
    """

    host: float
    device: float = 0.0
    seconds: float = 0.0
    torch: bool = False
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
    """Return what the job ``stage``, ``key`` of the plan asks for at its first attempt.

    Parameters
    ----------
    plan : Plan
    stage, key : str
    gpu : bool
        Whether jobs that run a model do so on a GPU.
    processes : int
        That train one model together.
    longest : int
        Minutes that no job's time limit exceeds: a training that needs more goes on in another job.
    measured : float, optional
        Seconds that a job like this one took on this kind of device, in place of the estimate.
    """
    spec = json.loads(plan.jobs[stage, key].spec)
    named = {"prepare": {"data": key}, "compared": {"compared": key}, "classify": {"run": key}}
    on_card = gpu and stage in RUN_A_MODEL
    job = Planned(plan, spec | named.get(stage, {}), on_card, processes if stage == "train" else 1)
    found = NEEDS[stage](job)
    seconds = found.seconds if measured is None else measured
    host = PROCESS_MB + TORCH_MB * found.torch + found.host / MB
    host += GPU_MB + found.copies / MB if on_card else found.device / MB
    card = CARD_MB + found.device / MB if on_card else 0
    host, card = (100 * math.ceil(megabytes / 100) for megabytes in (host, card))
    bound = found.step <= LAUNCH_BOUND * job.speed.seconds_per_step
    shares = on_card and job.processes == 1 and bound
    limit = min(minutes_for(seconds), longest)
    return Need(job.processes * host, limit, card, seconds, shares)


def minutes_for(seconds: float) -> int:
    """Return the time limit of a job that is estimated to take so long."""
    return START_MINUTES + math.ceil(SAFETY * seconds / 60)


def _pretrained(job: Planned) -> Estimate:
    """As for the largest checkpoint of the study, fetched over a slow line."""
    configs = [options.config() or ROBERTA_BASE for options in job.plan.pretrained.values()]
    weights = max(
        FLOAT * encoder_cost(config, None, Shape((1,), 1)).parameters for config in configs
    )
    return Estimate(3 * weights, seconds=weights / DOWNLOAD_PER_SECOND, torch=True)


def _prepare(job: Planned) -> Estimate:
    # Blocks of rows pass through; of each row a label, a number and what they are sorted in stay.
    data = job.data
    rows = data.train + data.test
    seconds = rows * (SECONDS_TO_PREPARE_LARGE if data.encoded else SECONDS_TO_DECODE)
    whole = job.spec.get("format") in ("npz", "json")  # may be read whole
    held = 2 * data.input_bytes if whole else 0
    if "features" in job.spec:
        number = job.spec["features"]["number"]
        held += DOUBLE * number * (data.given + 3 * FEATURES_AT_ONCE)
        seconds += 2 * rows * number * data.given / job.speed.operations_per_second
    return Estimate(BLOCKS_MB * MB + 8 * DOUBLE * rows + held, seconds=seconds)


def _labels(job: Planned) -> Estimate:
    return Estimate(2 * job.data.input_bytes)


def _train(job: Planned) -> Estimate:
    data, spec, recipe = job.data, job.spec, job.spec["recipe"]
    cost, taught = _cost(job.plan, spec["model"], data), _taught(job)
    batch = math.ceil(recipe["batch"] / job.processes)
    # Weights, gradients, two moments, and a state on its way to disk.
    state = 3 * FLOAT * cost.parameters
    epochs = number_of_epochs(recipe, data.train)
    shown = _shown(data, spec, number_of_slabs(spec["augment"], epochs) if "augment" in spec else 0)
    held = 4 * FLOAT * cost.parameters + 2 * FLOAT * batch * cost.activations
    held += data.input_bytes + shown.device + taught.device
    computed = 3 * 2 * cost.multiply_adds + taught.operations  # of an example
    operations = computed * data.train
    steps = steps_per_epoch(data.train, recipe["batch"])
    epoch = operations / job.speed.operations_per_second + steps * job.speed.seconds_per_step
    epoch += _decoding(data) * data.train
    seconds = total_steps(recipe, steps) / steps * epoch
    evaluate = recipe.get("evaluate", {"points": 0, "examples": 0})
    passes = evaluate["points"] * 2 * evaluate["examples"]  # of both splits at most
    seconds += passes * 2 * cost.multiply_adds / job.speed.operations_per_second
    host = data.input_bytes + shown.host + taught.host
    step = computed * batch / job.speed.operations_per_second
    return Estimate(host + state, held, seconds, torch=True, step=step)


@dataclass(frozen=True)
class _Taught:
    """What a student's teacher adds: bytes here and there, operations for each example."""

    host: float = 0.0
    device: float = 0.0
    operations: float = 0.0


def _taught(job: Planned) -> _Taught:
    """Return what the teacher of a training adds; nothing where there is none."""
    distill, data = job.spec.get("distill"), job.data
    if distill is None or "teacher" not in distill:
        return _Taught()
    if not distill.get("live"):  # one view of each example at a time
        logits = data.train * data.shape.classes * FLOAT
        return _Taught(2 * logits, logits)
    teacher = json.loads(job.plan.jobs["train", distill["teacher"]].spec)["model"]
    cost = _cost(job.plan, teacher, data)
    held = cost.parameters + job.spec["recipe"]["batch"] * _passing(job.plan, teacher, data)
    return _Taught(FLOAT * cost.parameters, FLOAT * held, 2 * cost.multiply_adds)


def _decoding(data: Data) -> float:
    """Return the seconds that it takes to decode an image while it is trained on."""
    return SECONDS_TO_DECODE_LARGE / DECODERS if data.encoded else 0.0


def _dump(job: Planned) -> Estimate:
    data, model = job.data, job.run()["model"]
    cost, passing = _cost(job.plan, model, data), _passing(job.plan, model, data)
    held = data.input_bytes + FLOAT * (cost.parameters + DUMP_BATCH * passing)
    rows = data.train + data.test
    seconds = 2 * cost.multiply_adds * rows / job.speed.operations_per_second
    host = data.input_bytes + data.logit_bytes + FLOAT * cost.parameters
    return Estimate(host, held, seconds + _decoding(data) * rows, torch=True)


def _views(job: Planned) -> Estimate:
    data, model, augment = job.data, job.run()["model"], job.spec["augment"]
    cost, passing = _cost(job.plan, model, data), _passing(job.plan, model, data)
    shown = _shown(data, job.spec, slabs_of(augment, job.spec["block"]).stop)
    held = data.input_bytes + shown.device + FLOAT * (cost.parameters + DUMP_BATCH * passing)
    views = data.train * BLOCK
    seconds = 2 * cost.multiply_adds * views / job.speed.operations_per_second
    host = data.input_bytes + shown.host + FLOAT * cost.parameters
    return Estimate(host, held, seconds + _decoding(data) * views, torch=True)


def _shown(data: Data, spec: Mapping[str, Any], slabs: int) -> _Taught:
    """Return the bytes of which view each image shows in so many slabs, and of padded images."""
    if "augment" not in spec:
        return _Taught()
    (y, x, *_), side = data.shape.inputs, 2 * spec["augment"].get("crop_padding", 0)
    padded = data.input_bytes * (y + side) * (x + side) / (y * x)
    return _Taught(2 * SHORT * slabs * data.train, padded + 3 * LONG * data.train)


def _basis(job: Planned) -> Estimate:
    data, model = job.data, job.spec["model"]
    cost, features = _cost(job.plan, model, data), math.prod(data.shape.inputs)
    passing = _passing(job.plan, model, data)
    # covariance, its eigenvectors and what the decomposition works in
    held = data.input_bytes + 6 * DOUBLE * features**2 + FLOAT * DUMP_BATCH * passing
    operations = 2 * data.train * (cost.multiply_adds + features**2) + 25 * features**3
    seconds = operations / job.speed.operations_per_second
    copies = 2 * DOUBLE * features**2
    return Estimate(data.input_bytes, held, seconds, torch=True, copies=copies)


def _confidence(job: Planned) -> Estimate:
    plan, spec = job.plan, job.spec
    compared = {*spec["references"], *spec["students"]}
    runs = {*spec["teachers"], *compared}
    data = plan.sizes[plan.examples_of(spec["teachers"][0])]
    # Logits pass through in blocks; each pair of a model and a teacher leaves a number of each row,
    # and each model that is compared leaves what its deviations are worth.
    kept = DOUBLE * (len(runs) * len(spec["teachers"]) + COLUMNS) + 4 * FLOAT * len(compared)
    held = kept * max(data.train, data.test) + BLOCKS_MB * MB
    rows = len(runs) * (data.train + data.test)
    weights = len(runs) * spec["analysis"]["resamples"] * data.test
    seconds = rows * (SECONDS_PER_ROW + SECONDS_PER_LOGIT * data.shape.classes) + 1e-6 * weights
    return Estimate(held, seconds=seconds)


def _compared(job: Planned) -> Estimate:
    """All files are read whole."""
    logits = job.plan.sizes[job.spec["compared"]].logit_bytes
    models = sum(len(job.spec.get(key, ())) for key in ROLE_KEYS)
    return Estimate(3 * models * logits, seconds=models * logits / DOWNLOAD_PER_SECOND)


def _classify(job: Planned) -> Estimate:
    """As for a model as large as roberta-base, fetched over a slow line, where nothing is known."""
    data, config = job.data, job.plan.classifiers[job.spec["run"]].config() or ROBERTA_BASE
    inputs = (job.spec.get("max_tokens", UNKNOWN_TOKENS),)
    cost = encoder_cost(config, None, Shape(inputs, data.shape.classes))
    weights = FLOAT * cost.parameters
    held = weights + FLOAT * CLASSIFIED_AT_ONCE * cost.largest
    operations = 2 * cost.multiply_adds * (data.train + data.test)
    seconds = weights / DOWNLOAD_PER_SECOND + operations / job.speed.operations_per_second
    host = 2 * weights + 2 * data.input_bytes + 2 * data.logit_bytes
    return Estimate(host, held, seconds, torch=True)


def _explorer(job: Planned) -> Estimate:
    """As for settings one after another, each over its own data."""
    study, seeds = job.spec["study"], len(job.spec["seeds"])
    held, seconds = 0.0, 0.0
    for setting in job.spec["settings"]:
        analysis = json.loads(job.plan.jobs["confidence", f"{study}/{setting}"].spec)
        data = job.plan.sizes[job.plan.examples_of(analysis["teachers"][0])]
        # Of each example the predictions of all teachers, and six confidence logits in half as
        # many bytes: of three models, in the class that a teacher and its replicate predict.
        held += DOUBLE * 4 * seeds * max(data.train, data.test)
        seconds += 10 * seeds * (data.train + data.test) * SECONDS_PER_LOGIT * data.shape.classes
    rows = max(max(data.train, data.test) for data in job.plan.sizes.values())
    return Estimate(held + DOUBLE * COLUMNS * rows + BLOCKS_MB * MB, seconds=seconds)


def _light(_: Planned) -> Estimate:
    """Analyses of histories read small stores."""
    return Estimate(0)


def _over_settings(job: Planned) -> Estimate:
    """Tables, figures and the report hold the analyses of all their settings."""
    settings = len(job.spec["settings"])
    return Estimate(ANALYSIS_MB * MB * settings, seconds=SECONDS_PER_ANALYSIS * settings)


RUN_A_MODEL = ("train", "dump", "views", "basis", "classify")
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
    **dict.fromkeys(BESIDE, _light),
    "table": _over_settings,
    "figure": _over_settings,
    "explorer": _explorer,
    "report": _over_settings,
}


def _cost(plan: Plan, model: Mapping[str, Any], data: Data) -> Cost:
    if "pretrained" in model:
        return encoder_cost(_config(plan, model), model.get("layers"), data.shape)
    return MODEL.validate_python(model).cost(data.shape)


def _passing(plan: Plan, model: Mapping[str, Any], data: Data) -> int:
    """Return the activations of an example that are held at once where nothing goes back.

    Of an encoder one layer's; of a network of images what a convolution reads, what it makes, and
    what a shortcut carries past it.
    """
    return (1 if data.shape.vocabulary else 3) * _cost(plan, model, data).largest


def _config(plan: Plan, model: Mapping[str, Any]) -> Mapping[str, Any]:
    return plan.pretrained[model["pretrained"]].config() or ROBERTA_BASE
