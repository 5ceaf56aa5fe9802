"""Train one model: a teacher or reference on labels, a student on its teacher's logits."""

import importlib
import shutil
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from disobey.data.prepared import Prepared, prepared_data
from disobey.models.registry import build_model
from disobey.seeds import torch_seed
from disobey.stores.layout import HISTORY, SNAPSHOT, WEIGHTS, states_of
from disobey.stores.writer import NetcdfWriter
from disobey.training.checkpoint import Checkpoints, Keeper
from disobey.training.device import choose_device, compute_threads
from disobey.training.inputs import device_inputs
from disobey.training.loop import History, Training
from disobey.training.losses.objective import build as build_objective
from disobey.training.losses.targets import Targets
from disobey.training.parts import (
    augmented_module,
    compiled_module,
    evaluation_module,
    graphed_module,
    progress_module,
    snapshots_module,
    start_module,
    teacher_module,
)
from disobey.training.untracked import Tracker
from disobey.training.weights import for_device, save_weights

if TYPE_CHECKING:
    from disobey.job import Job
    from disobey.training.snapshots import Snapshots


def run(job: "Job") -> None:
    """Train the run that the spec describes; write weights and history."""
    spec, device = job.spec, choose_device(job.device, job.take_card)
    data = prepared_data(job)
    torch.set_num_threads(compute_threads(job.threads, data.kind))
    torch.manual_seed(torch_seed(spec["seeds"]["initialisation"], "initialisation"))
    model = build_model(spec["model"], data, job.inputs)
    start = start_module(spec)
    if start is not None:
        importlib.import_module(start).load(model, spec["model"], job.inputs)
    model = for_device(model, device, spec["recipe"].get("precision", "fp32"))
    kind, checkpoints_of, keeper_of = _classes(job)
    training = _training(job, model, data, device, kind)
    checkpoints = checkpoints_of(_checkpoint_folder(job))
    snapshots = _snapshots(job, checkpoints, training) if job.writes else None
    if job.alone:
        checkpoints.remove_temporary_files()
    keeper = keeper_of(checkpoints, training)

    def after_step() -> None:
        if snapshots is not None:
            snapshots.after_step()  # first: a saved state stands behind all snapshots before it
        keeper.after_step()

    # Before anything that ranks do together: none that trains already waits for one that a
    # signal has ended before it could note it.
    with keeper.watching():
        checkpoints.resume(training)
        training.run(after_step)
    job.measured["training_seconds"] = round(sum(training.history.seconds), 3)
    if job.writes:
        with checkpoints.finishing(training):
            write_store(job, training, snapshots)


def _classes(
    job: "Job",
) -> tuple[Callable[..., Training], Callable[[Path], Checkpoints], Callable[..., Keeper]]:
    """Return what makes a `Training`, its `Checkpoints` and its `Keeper`."""
    if job.ranks is None:
        return Training, Checkpoints, Keeper
    from disobey.training.distributed import (
        DistributedCheckpoints,
        DistributedKeeper,
        DistributedTraining,
    )

    training = partial(DistributedTraining, job.ranks)
    return training, partial(DistributedCheckpoints, job.ranks), DistributedKeeper


def _training(
    job: "Job",
    model: nn.Module,
    data: Prepared,
    device: torch.device,
    kind: Callable[..., Training],
) -> Training:
    """Return the training of ``model`` at its first step, of whatever parts the spec names."""
    spec = job.spec
    augmented = augmented_module(spec)
    if augmented is None:
        inputs = device_inputs(data.train, data, device, spec.get("centre"))
    else:
        inputs = importlib.import_module(augmented).build(spec, data, device)
    teacher, seen = None, teacher_module(spec)
    if seen is not None:
        teacher = importlib.import_module(seen).build(job, data, inputs, device)
    targets = Targets(torch.from_numpy(data.train.label).to(device), teacher)
    optional: dict[str, Any] = {}
    if augmented is not None:
        shown_by_epoch = importlib.import_module(augmented).shown_by_epoch
        optional["before_epoch"] = shown_by_epoch(spec, inputs, teacher)
    if hasattr(inputs, "ahead"):  # images that are decoded batch by batch
        optional["ahead"] = inputs.ahead
    compiled = compiled_module(spec)
    if compiled is not None:
        compiled_forward = importlib.import_module(compiled).compiled_forward
        varying = inputs.length is not None
        optional["forward"] = compiled_forward(model, spec["recipe"]["batch"], varying=varying)
    graphed = graphed_module(spec)
    if graphed is not None:
        kind = importlib.import_module(graphed).kind_of(spec, device, kind)
    return kind(
        model,
        inputs,
        targets,
        build_objective(spec, targets),
        spec["recipe"],
        spec["seeds"]["order"],
        _tracker(job, model, data, device),
        **optional,
    )


def write_store(job: "Job", training: Training, snapshots: "Snapshots | None") -> None:
    """Write weights, history and snapshots of a complete training."""
    with job.write(job.store / WEIGHTS) as path:
        save_weights(training.model, path)
    with job.netcdf(path=job.store / HISTORY) as writer:
        write_history(training.history, writer)
        training.tracker.write(writer)
    for epoch, kept in (snapshots.files() if snapshots else {}).items():
        with job.write(job.store / SNAPSHOT.format(epoch=epoch)) as path:
            shutil.copyfile(kept, path)


def _tracker(
    job: "Job", model: nn.Module, data: Prepared, device: torch.device
) -> Callable[[int], Tracker] | None:
    """Return what makes the tracker once the number of steps is known."""
    track: Callable[[int], Tracker] | None = None
    module, evaluation = progress_module(job.spec), evaluation_module(job.spec)
    if module is not None:
        progress = job.spec["progress"]
        basis = job.input(progress["basis"]).file()
        track = partial(importlib.import_module(module).make_tracker, model, progress, basis)
    if evaluation is not None:
        track = importlib.import_module(evaluation).build(job.spec, data, device, model, track)
    return track


def _snapshots(job: "Job", checkpoints: Checkpoints, training: Training) -> "Snapshots | None":
    module = snapshots_module(job.spec)
    if module is None:
        return None
    snapshots: Snapshots = importlib.import_module(module).Snapshots(checkpoints.folder, training)
    return snapshots


def _checkpoint_folder(job: "Job") -> Path:
    """Return a folder named by all that could change a number: spec, code and data."""
    contents = [manifest.content for manifest in job.inputs]
    job.states = states_of(job.id, job.known_code(), version("torch"), contents)
    return job.states


def write_history(history: History, writer: NetcdfWriter) -> None:
    """Write the history's lists along ``epoch``, which are counted from 1."""
    writer.write("/", "epoch", ("epoch",), range(1, len(history.seconds) + 1))
    for name, values in vars(history).items():
        writer.write("/", name, ("epoch",), values)
