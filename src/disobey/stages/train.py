"""Train one model: a teacher or reference on labels, a student on its teacher's logits."""

import hashlib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from disobey.data.of_job import prepared_data
from disobey.data.prepared import Prepared
from disobey.errors import UserError
from disobey.members import member
from disobey.models.registry import build_model
from disobey.stores.layout import CHECKPOINTS, HISTORY, WEIGHTS
from disobey.stores.reader import read_arrays
from disobey.stores.writer import NetcdfWriter
from disobey.training.checkpoint import Checkpoints, Keeper
from disobey.training.device import choose_device
from disobey.training.inputs import device_inputs
from disobey.training.loop import History, Training
from disobey.training.losses.targets import Targets
from disobey.training.seeds import torch_seed
from disobey.training.weights import for_device, save_weights

if TYPE_CHECKING:
    from disobey.stages.command import Job


def run(job: "Job") -> None:
    """Train the run that the spec describes; write weights and history."""
    spec, device = job.spec, choose_device(job.device)
    torch.set_num_threads(job.threads)
    data = prepared_data(job)
    torch.manual_seed(torch_seed(spec["seeds"]["initialisation"], "initialisation"))
    model = for_device(build_model(spec["model"], data), device)
    targets = _targets(job, data, device)
    name = "distillation" if "distill" in spec else "one_hot"
    objective = importlib.import_module(member("training.losses", name)).build(spec, targets)
    inputs = device_inputs(data.train, data, device)
    training = Training(model, inputs, targets, objective, spec["recipe"], spec["seeds"]["order"])
    checkpoints = Checkpoints(_checkpoint_folder(job))
    checkpoints.resume(training)
    keeper = Keeper(checkpoints, training)
    with keeper.watching():
        history = training.run(keeper.after_step)
    with job.write(job.store / WEIGHTS) as path:
        save_weights(model, path)
    with job.write(job.store / HISTORY) as path:
        write_history(history, path)
    checkpoints.discard()


def _checkpoint_folder(job: "Job") -> Path:
    """Return a folder named by all that could change a number: spec, code and data."""
    contents = sorted(manifest.content for manifest in job.inputs)
    made_of = [job.code, torch.__version__, *contents]
    digest = hashlib.sha256("\n".join(made_of).encode()).hexdigest()
    return Path(CHECKPOINTS) / f"{job.id}-{digest[:12]}"


def _targets(job: "Job", data: Prepared, device: torch.device) -> Targets:
    label = torch.from_numpy(data.train.label).to(device)
    if "distill" not in job.spec:
        return Targets(label)
    logits = teacher_logits(job.input(job.spec["distill"]["teacher"]).file(), data)
    return Targets(label, logits.to(device))


def teacher_logits(store: Path, data: Prepared) -> torch.Tensor:
    """Return a teacher's training logits: float32, (example, class), row by row those of ``data``.

    Raises
    ------
    UserError
        When the store holds other examples, or another number of classes.
    """
    arrays = read_arrays(store, "train", "logits", "example_id")
    if not (arrays["example_id"] == data.train.example_id).all():
        raise UserError(f"{store}: holds other examples than the student's data set")
    classes = arrays["logits"].shape[1]
    if classes != len(data.class_names):
        raise UserError(
            f"{store}: the teacher has {classes} classes, the student's data set has "
            f"{len(data.class_names)}: {', '.join(data.class_names[:20])}"
        )
    return torch.from_numpy(arrays["logits"])


def write_history(history: History, path: Path) -> None:
    """Write the history's lists along ``epoch``."""
    with NetcdfWriter(path) as writer:
        for name, values in vars(history).items():
            writer.write("/", name, ("epoch",), values)
