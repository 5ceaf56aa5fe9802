"""Simulated runs: histories with progress, and logits."""

import json
import time

import netCDF4
import numpy as np

from disobey.stages.command import main
from disobey.stores.manifest import describe, write_manifest
from disobey.stores.writer import NetcdfWriter, atomic

RANKS = (1, 2, 3, 5, 9)
EIGENVALUES = (4.0, 2.0, 1.0, 0.4, 0.1)
LAYER = "hidden_1"


def steps(points=60, last=2000):
    """Return unique logarithmically spaced steps from 1."""
    return np.unique(np.geomspace(1, last, points).round().astype(int))


def write_history(path, step, progress, layer=LAYER, basis="b", **changed):
    """Write history.nc; ``progress`` is that of one layer, a dict by layer, or None."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = progress if isinstance(progress, dict) else {layer: progress}
    with netCDF4.Dataset(path, "w") as file:
        group = file.createGroup("progress")
        group.basis = basis
        for name, values in layers.items():
            if name is not None:
                _write_layer(group.createGroup(name), step, values, **changed)


def _write_layer(
    group, step, progress, initialisation="w0", unit_norm=0, rank=RANKS, eigenvalue=EIGENVALUES,
    start=0.5,
):  # fmt: skip
    """Write weights that start with norm ``start`` along every direction and move orthogonally."""
    group.initialisation = initialisation
    group.unit_norm = unit_norm
    group.total_variance = 9.0
    points, directions = progress.shape
    group.createDimension("point", points)
    group.createDimension("direction", directions)
    group.createVariable("step", "i8", ("point",))[:] = step
    group.createVariable("progress", "f8", ("point", "direction"))[:] = progress
    group.createVariable("mean_progress", "f8", ("point",))[:] = np.nan
    norm = np.hypot(start, progress)
    group.createVariable("norm", "f8", ("point", "direction"))[:] = norm
    group.createVariable("norm_start", "f8", ("direction",))[:] = start
    group.createVariable("rank", "i8", ("direction",))[:] = rank[:directions]
    group.createVariable("eigenvalue", "f8", ("direction",))[:] = eigenvalue[:directions]


def write_run(folder, run, step, progress, data=None, **changed):
    """Write a run's history and manifest below ``folder``/results; return the manifest's path."""
    runs = folder / "results" / "runs"
    history = runs / run / "history.nc"
    write_history(history, step, progress, **changed)
    record = describe(
        stage="train", id=run, spec={"run": run} | (data or {}), code="", files=[history],
        base=runs, inputs=[], started=time.time(),
    )  # fmt: skip
    manifest = runs / f"{run}.json"
    write_manifest(manifest, record)
    return str(manifest)


def networks_progress(rng, step, bias=0.0, rate=1.0):
    """Progress that rises, wobbles and falls behind along later directions as ``bias`` grows."""
    time = rate * step[:, None] / 300 * np.array(EIGENVALUES) / EIGENVALUES[0]
    learnt = 1 - np.exp(-time)
    leading = learnt[:, :1]
    behind = np.exp(-bias * leading * np.arange(len(RANKS)) / 2)
    wobble = 1 + 0.03 * rng.normal(size=learnt.shape) * leading
    return np.array([3.0, 2.0, 2.0, 1.0, 0.5]) * learnt * behind * wobble


# Ranks and eigenvalues of a run whose pairs are counted; all of them are tracked.
MANY = {"rank": tuple(range(1, 41)), "eigenvalue": tuple(4 / np.arange(1, 41))}
PAIRS = {"top": 15, "bottom": [20, 40], "seed": 0}


def many_directions(rng, step, bias=0.0, wobble=0.03):
    """Progress along 40 directions; ``bias`` holds the student back along the last ones."""
    rank = np.arange(1, 41)
    learnt = 1 - np.exp(-step[:, None] / 300 / np.sqrt(rank))
    behind = np.exp(-bias * learnt[:, :1] * rank / 40 + wobble * rng.normal(size=40))
    return 3 * rank**-0.3 * learnt * behind * (1 + 0.01 * rng.normal(size=learnt.shape) * learnt)


def write_logits(folder, run, rng, signal, label, clean, scale=1.0, seen=None):
    """Write a logits store: the scaled ``signal`` of each split plus the run's own noise.

    ``seen``, if given, is 1 for the training examples that the run saw.
    """
    path = folder / "results" / "logits" / f"{run}.nc"
    with atomic(path) as temporary, NetcdfWriter(temporary, {"run": run}) as writer:
        for split, shared in signal.items():
            noisy = scale * shared + 1.5 * rng.normal(size=shared.shape)
            logits = noisy.astype(np.float32)
            writer.write(split, "logits", ("example", "class"), logits)
            writer.write(split, "label", ("example",), label[split])
            writer.write(split, "clean_label", ("example",), clean[split])
            writer.write(split, "example_id", ("example",), np.arange(len(shared)))
        if seen is not None:
            writer.write("train", "seen", ("example",), seen)
    record = describe(
        stage="dump", id=run, spec={"run": run}, code="", files=[path], base=path.parent,
        inputs=[], started=time.time(),
    )  # fmt: skip
    manifest = path.with_name(f"{run}.nc.json")
    write_manifest(manifest, record)
    return str(manifest)


def bias_spec(runs, seeds, **changed):
    return {
        "about": {"dataset": "made"}, "seeds": list(seeds), "runs": runs, "layers": [LAYER],
        "range": [0.2, 0.7],
    } | changed  # fmt: skip


def run_bias(folder, setting, spec, manifests, study="small"):
    """Run the stage; return its exit status and the manifest's path."""
    output = folder / "results" / study / "bias" / f"{setting}.nc.json"
    call = ["--spec", json.dumps(spec), "--inputs", *manifests, "--output", str(output)]
    return main("bias", call), str(output)
