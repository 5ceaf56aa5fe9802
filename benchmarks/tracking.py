"""Cost of recording progress along eigendirections: trainings with and without, in turn.

    python -m benchmarks.tracking [rounds]

The perceptron and the convolutional network of the default study's bias settings are trained on one
thread. The table shows user CPU seconds of the training loop, as a median over rounds, and the
median of the ratios within rounds.
"""

import contextlib
import io
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import in_turn, median_of, median_ratio, report
from disobey.data.prepared import Prepared, Split
from disobey.data.raw import RawSplit
from disobey.data.sources import mnist5k
from disobey.models.registry import build_model
from disobey.stages.basis import write_basis
from disobey.stores.writer import NetcdfWriter
from disobey.training.eigenbasis import layer_moments
from disobey.training.inputs import device_inputs
from disobey.training.loop import Training
from disobey.training.objective import Targets, build_objective
from disobey.training.progress import make_tracker
from disobey.training.weights import for_device

CPU = torch.device("cpu")
RECIPE = {"optimizer": "sgd", "batch": 128, "schedule": "cosine"}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "mlp": (
        {"family": "mlp", "hidden": [256]},
        {"hidden_1": {}},
        RECIPE | {"lr": 0.05, "epochs": 40},
    ),
    "conv": (
        {"family": "small_resnet", "stem": 16, "widths": [32]},
        {"stem.convolution": {"unit_norm": True}},
        RECIPE | {"lr": 0.2, "epochs": 10},
    ),
}


def prepared() -> Prepared:
    """Return MNIST-5k in the form of a data store."""
    raw = mnist5k.load()
    train, test = (_split(half) for half in (raw.train, raw.test))
    pixels = train.inputs / 255
    moments = {"channel_mean": pixels.mean((0, 1, 2)), "channel_std": pixels.std((0, 1, 2))}
    return Prepared(train, test, tuple(raw.class_names), moments)


def _split(raw: RawSplit) -> Split:
    (block,) = raw.blocks()  # the source keeps its images in memory
    return Split(block.inputs, block.label, block.label, block.example_id)


def seconds(case: str, data: Prepared, store: Path | None) -> float:
    """Train once; return the user CPU seconds of the loop."""
    options, layers, recipe = CASES[case]
    torch.manual_seed(0)
    model = for_device(build_model(options, data), CPU)
    targets = Targets(torch.from_numpy(data.train.label))
    inputs = device_inputs(data.train, data, CPU, "pixel")
    spec = {"basis": "b", "layers": layers}
    track = None if store is None else partial(make_tracker, model, spec, store)
    objective = build_objective({"recipe": recipe}, targets)
    with contextlib.redirect_stderr(io.StringIO()):
        training = Training(model, inputs, targets, objective, recipe, 0, track)
        started = time.process_time()
        training.run()
    return time.process_time() - started


def main(rounds: int) -> None:
    """Print one table: a row per case."""
    torch.set_num_threads(1)
    rows, record = [], {}
    data = prepared()
    for case, (options, layers, _) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "basis.nc"
            model = for_device(build_model(options, data), CPU).eval()
            inputs = device_inputs(data.train, data, CPU, "pixel")
            found = layer_moments(model, list(layers), inputs, len(data.train))
            with NetcdfWriter(store) as writer:
                for layer, moments in found.items():
                    write_basis(writer, layer, moments.eigenbasis(), moments.variance())
            contestants = {
                "without": partial(seconds, case, data, None),
                "with": partial(seconds, case, data, store),
            }
            measured = in_turn(contestants, rounds)
        record[case] = measured
        rows.append(
            {
                "network": case,
                "without s": median_of(measured, "without"),
                "with s": median_of(measured, "with"),
                "ratio": f"{median_ratio(measured, 'with', 'without'):.3f}",
            }
        )
    title = f"CPU of a training without and with tracked progress, median of {rounds} rounds"
    report("tracking", title, rows, measured=record)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5)
