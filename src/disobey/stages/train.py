"""Train one model: a teacher or reference on labels, a student on its teacher's logits."""

import importlib
import shutil
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from disobey.data.of_job import prepared_data
from disobey.data.prepared import Prepared
from disobey.errors import UserError
from disobey.models.registry import build_model
from disobey.stores.layout import HISTORY, SNAPSHOT, WEIGHTS, states_of
from disobey.stores.reader import read_arrays
from disobey.stores.writer import NetcdfWriter
from disobey.training.checkpoint import Checkpoints, Keeper
from disobey.training.device import choose_device
from disobey.training.inputs import device_inputs
from disobey.training.loop import History, Training
from disobey.training.losses.targets import Targets
from disobey.training.parts import loss_module, progress_module, snapshots_module
from disobey.training.seeds import torch_seed
from disobey.training.untracked import Tracker
from disobey.training.weights import for_device, save_weights

if TYPE_CHECKING:
    from disobey.stages.command import Job
    from disobey.training.snapshots import Snapshots


def run(job: "Job") -> None:
    """Train the run that the spec describes; write weights and history."""
    spec, device = job.spec, choose_device(job.device, job.take_card)
    torch.set_num_threads(job.threads)
    data = prepared_data(job)
    torch.manual_seed(torch_seed(spec["seeds"]["initialisation"], "initialisation"))
    model = for_device(build_model(spec["model"], data), device)
    targets = _targets(job, data, device)
    objective = importlib.import_module(loss_module(spec)).build(spec, targets)
    inputs = device_inputs(data.train, data, device, spec.get("centre"))
    training = Training(
        model,
        inputs,
        targets,
        objective,
        spec["recipe"],
        spec["seeds"]["order"],
        _tracker(job, model),
    )
    checkpoints = Checkpoints(_checkpoint_folder(job))
    snapshots = _snapshots(job, checkpoints, training)
    if job.alone:
        checkpoints.sweep()
    checkpoints.resume(training)
    keeper = Keeper(checkpoints, training)

    def after_step() -> None:
        if snapshots is not None:
            snapshots.after_step()  # first: a saved state stands behind all snapshots before it
        keeper.after_step()

    with keeper.watching():
        training.run(after_step)
    with checkpoints.finishing(training):
        write_store(job, training, snapshots)


def write_store(job: "Job", training: Training, snapshots: "Snapshots | None") -> None:
    """Write weights, history and snapshots of a complete training."""
    with job.write(job.store / WEIGHTS) as path:
        save_weights(training.model, path)
    with job.write(job.store / HISTORY) as path, NetcdfWriter(path) as writer:
        write_history(training.history, writer)
        training.tracker.write(writer)
    for epoch, kept in (snapshots.files() if snapshots else {}).items():
        with job.write(job.store / SNAPSHOT.format(epoch=epoch)) as path:
            shutil.copyfile(kept, path)


def _tracker(job: "Job", model: nn.Module) -> Callable[[int], Tracker] | None:
    """Return what makes the tracker once the number of steps is known."""
    module = progress_module(job.spec)
    if module is None:
        return None
    progress = job.spec["progress"]
    basis = job.input(progress["basis"]).file()
    return partial(importlib.import_module(module).make_tracker, model, progress, basis)


def _snapshots(job: "Job", checkpoints: Checkpoints, training: Training) -> "Snapshots | None":
    module = snapshots_module(job.spec)
    if module is None:
        return None
    snapshots: Snapshots = importlib.import_module(module).Snapshots(checkpoints.folder, training)
    return snapshots


def _checkpoint_folder(job: "Job") -> Path:
    """Return a folder named by all that could change a number: spec, code and data."""
    contents = [manifest.content for manifest in job.inputs]
    return states_of(job.id, job.code, version("torch"), contents)


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


def write_history(history: History, writer: NetcdfWriter) -> None:
    """Write the history's lists along ``epoch``."""
    for name, values in vars(history).items():
        writer.write("/", name, ("epoch",), values)
