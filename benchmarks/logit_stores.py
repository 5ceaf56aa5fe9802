"""Simulated logit stores, and a run of the confidence stage over them in its own process."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from disobey.stores.layout import manifest_of
from disobey.stores.manifest import describe, write_manifest
from disobey.stores.writer import NetcdfWriter, atomic

ROLES = {"teachers": 0, "references": 1, "students": 2}
ROWS = 4096
WRONG = 0.2  # share of training labels that differ from the clean ones

# Runs the stage and prints its user CPU seconds and its peak memory in kB, as the kernel counts it
# for this process only (ru_maxrss may include the parent process).
CHILD = """
import os, re, sys
from disobey.stages.command import main
status = main("confidence", sys.argv[1:])
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
print(os.times().user, peak[1])
sys.exit(status)
"""


def write_store(
    folder: Path, run: str, noise: int, sizes: dict[str, int], classes: int, scale: float
) -> Path:
    """Write one run's logits of both splits block by block; return the path of its manifest."""
    path, started = folder / "results" / "logits" / f"{run}.nc", time.time()
    with atomic(path) as temporary, NetcdfWriter(temporary, {"run": run}) as writer:
        for split, examples in sizes.items():
            shape = examples, classes
            logits = writer.declare(split, "logits", ("example", "class"), shape, "f4")
            clean = np.empty(examples, int)
            # A signal shared by all models, and independent noise of the run.
            shared, own = np.random.default_rng(len(split)), np.random.default_rng(noise)
            for start in range(0, examples, ROWS):
                rows = slice(start, min(start + ROWS, examples))
                signal = 2 * shared.standard_normal((rows.stop - start, classes), np.float32)
                logits[rows] = scale * signal + own.standard_normal(signal.shape, np.float32)
                clean[rows] = signal.argmax(1)
            wrong = (shared.random(examples) < WRONG) & (split == "train")
            label = np.where(wrong, (clean + 1) % classes, clean)
            for name, column in (("label", label), ("clean_label", clean)):
                writer.write(split, name, ("example",), column)
            writer.write(split, "example_id", ("example",), np.arange(examples))
    record = describe(
        stage="dump", id=run, spec={"run": run}, code="", files=[path], base=path.parent,
        inputs=[], started=started,
    )  # fmt: skip
    manifest = Path(manifest_of(str(path)))
    write_manifest(manifest, record)
    return manifest


def write_stores(folder: Path, seeds: int, sizes: dict[str, int], classes: int) -> list[Path]:
    """Write the stores of a setting: teachers, references, and students that exaggerate."""
    return [
        write_store(
            folder, f"{role}-{seed}", 10 + len(ROLES) * seed + place, sizes, classes,
            1.2 if role == "students" else 1.0,
        )
        for role, place in ROLES.items()
        for seed in range(seeds)
    ]  # fmt: skip


def run_stage(
    folder: Path, manifests: list[Path], seeds: int, resamples: int
) -> tuple[float, float]:
    """Run the confidence stage over the stores of `write_stores`, on one thread as Snakemake does.

    Returns
    -------
    user CPU seconds, peak memory in MB
    """
    spec = {
        "about": {}, "seeds": list(range(seeds)), "analysis": {"resamples": resamples, "seed": 0},
        **{role: [f"{role}-{seed}" for seed in range(seeds)] for role in ROLES},
    }  # fmt: skip
    output = folder / "results" / "made" / "analysis" / "setting.nc.json"
    call = ["--spec", json.dumps(spec), "--output", str(output), "--inputs", *map(str, manifests)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, *call],
        check=True, capture_output=True, text=True, env=os.environ | threads,
    )  # fmt: skip
    seconds, kilobytes = ended.stdout.split()
    return float(seconds), int(kilobytes) / 1024
