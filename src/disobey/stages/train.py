"""Train one model: a teacher or reference on labels, a student on its teacher's logits."""

import shutil
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from disobey.data.prepared import Prepared, prepared_data
from disobey.job import Job
from disobey.models.registry import build_model
from disobey.seeds import torch_seed
from disobey.stores.layout import HISTORY, SNAPSHOT, WEIGHTS, states_of
from disobey.stores.writer import NetcdfWriter
from disobey.training.checkpoint import Checkpoints, CheckpointSaver
from disobey.training.components import component
from disobey.training.device import choose_device, compute_threads
from disobey.training.inputs import device_inputs
from disobey.training.loop import History, Tracker, Training
from disobey.training.objective import Targets, build_objective
from disobey.training.weights import for_device, save_weights

if TYPE_CHECKING:
    from disobey.training.checkpoint import Snapshots


def run(job: "Job") -> None:
    """Train the run that the spec describes; write weights and history."""
    spec, device = job.spec, choose_device(job.device, job.take_card)
    data = prepared_data(job)
    torch.set_num_threads(compute_threads(job.threads, data.kind))
    torch.manual_seed(torch_seed(spec["seeds"]["initialisation"], "initialisation"))
    model = build_model(spec["model"], data, job.inputs)
    load_checkpoint = component(spec, "start")
    if load_checkpoint is not None:
        load_checkpoint(model, spec["model"], job.inputs)
    model = for_device(model, device, spec["recipe"].get("precision", "fp32"))
    kind, checkpoints_of, saver_of = _classes(job)
    training = _training(job, model, data, device, kind)
    checkpoints = checkpoints_of(_checkpoint_folder(job))
    keep = component(spec, "snapshots") if job.writes else None
    snapshots = keep and keep(checkpoints.folder, training)
    if job.locked:
        checkpoints.remove_temporary_files()
    saver = saver_of(checkpoints, training)

    def after_step() -> None:
        if snapshots is not None:
            snapshots.after_step()  # first: snapshots must precede a later saved state
        saver.after_step()

    # Before the ranks communicate: if a signal ended one rank unnoticed, the others would wait
    # forever.
    with saver.watching():
        checkpoints.resume(training)
        training.run(after_step)
    job.measured["training_seconds"] = round(sum(training.history.seconds), 3)
    if job.writes:
        with checkpoints.finishing(training):
            write_store(job, training, snapshots)


def _classes(
    job: "Job",
) -> tuple[Callable[..., Training], Callable[[Path], Checkpoints], Callable[..., CheckpointSaver]]:
    """Return the classes of the training, of its saved states and of the object that saves them."""
    if job.ranks is None:
        return Training, Checkpoints, CheckpointSaver
    from disobey.training.distributed import (
        DistributedCheckpoints,
        DistributedSaver,
        DistributedTraining,
    )

    training = partial(DistributedTraining, job.ranks)
    return training, partial(DistributedCheckpoints, job.ranks), DistributedSaver


def _training(
    job: "Job",
    model: nn.Module,
    data: Prepared,
    device: torch.device,
    kind: Callable[..., Training],
) -> Training:
    """Return the training of ``model`` before its first step, with the spec's components."""
    spec = job.spec
    augment, make_teacher = component(spec, "augment"), component(spec, "teacher")
    if augment is None:
        inputs = device_inputs(data.train, data, device, spec.get("centre"))
    else:
        inputs = augment(spec, data, device)
    teacher = None if make_teacher is None else make_teacher(job, data, inputs, device)
    seen = None if data.train.seen is None else np.flatnonzero(data.train.seen)
    targets = Targets(torch.from_numpy(data.train.label).to(device), teacher, seen)
    optional: dict[str, Any] = {}
    if augment is not None:
        optional["before_epoch"] = component(spec, "views")(spec, inputs, targets)
    if hasattr(inputs, "ahead"):  # images that are decoded batch by batch
        optional["ahead"] = inputs.ahead
    compiled_forward, graphed = component(spec, "compile"), component(spec, "cuda_graph")
    if compiled_forward is not None:
        varying = inputs.length is not None
        optional["forward"] = compiled_forward(model, spec["recipe"]["batch"], varying=varying)
    if graphed is not None:
        kind = graphed(spec, device, kind)
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
    for epoch, kept in (snapshots.files if snapshots else {}).items():
        with job.write(job.store / SNAPSHOT.format(epoch=epoch)) as path:
            shutil.copyfile(kept, path)


def _tracker(
    job: "Job", model: nn.Module, data: Prepared, device: torch.device
) -> Callable[[int], Tracker] | None:
    """Return a function that makes the tracker from the number of steps."""
    track: Callable[[int], Tracker] | None = None
    make_tracker, evaluate = component(job.spec, "progress"), component(job.spec, "evaluate")
    if make_tracker is not None:
        progress = job.spec["progress"]
        basis = job.input(progress["basis"]).file()
        track = partial(make_tracker, model, progress, basis)
    if evaluate is not None:
        track = evaluate(job.spec, data, device, model, track)
    return track


def _checkpoint_folder(job: "Job") -> Path:
    """Return the folder of saved states, whose name covers all that could change a number."""
    contents = [manifest.content for manifest in job.inputs]
    job.states = states_of(job.id, job.known_code(), version("torch"), contents)
    return job.states


def write_history(history: History, writer: NetcdfWriter) -> None:
    """Write the lists of the history along ``epoch``, which is counted from 1."""
    writer.write("/", "epoch", ("epoch",), range(1, len(history.seconds) + 1))
    for name, values in vars(history).items():
        writer.write("/", name, ("epoch",), values)
