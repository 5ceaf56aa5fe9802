"""(c): images per second of dumping logits, against bare inference.

    python -m benchmarks.dump [rounds]

The dump gathers each view, runs the model, checks that all logits are finite and writes them to a
store; bare inference runs the same model over the same number of ready batches and keeps nothing.
The table also shows the largest rounding error of storing a batch of these logits in float16.
"""

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.common import in_turn, median_of, median_ratio, report
from benchmarks.networks import AUGMENT, CLASSES, CPU, images, resnet
from disobey.stages.views import write_slab
from disobey.stores.reader import from_half_bits, half_bits
from disobey.stores.writer import NetcdfWriter
from disobey.training.inputs import AugmentedImages
from disobey.training.predictions import BATCH

EXAMPLES = 8 * BATCH
DEPTHS = (20, 56)
SETTLING = 20  # passes


@torch.no_grad()
def settled(model: nn.Module, batch: torch.Tensor) -> nn.Module:
    """Let batch normalisation learn its statistics, so that logits have a realistic scale."""
    for _ in range(SETTLING):
        model(batch)
    return model.eval()


@torch.inference_mode()
def bare(model: nn.Module, batch: torch.Tensor) -> float:
    """Return images per second of the model without storing."""
    started = time.perf_counter()
    for _ in range(EXAMPLES // BATCH):
        model(batch)
    return EXAMPLES / (time.perf_counter() - started)


def dumped(model: nn.Module, inputs: AugmentedImages, folder: Path) -> float:
    """Return images per second of dumping one slab to disk, including closing the file."""
    started = time.perf_counter()
    with NetcdfWriter(folder / "0.nc") as writer:
        shape = (1, EXAMPLES, CLASSES)
        logits = writer.declare("/", "logits", ("view", "example", "class"), shape, "f4")
        write_slab(logits, 0, 0, model, inputs)
    return EXAMPLES / (time.perf_counter() - started)


def main(rounds: int) -> None:
    """Print one table: a row per model."""
    data = images(EXAMPLES)
    inputs = AugmentedImages(data.train, data, CPU, None, AUGMENT, draw=0)
    batch = inputs.batch(torch.arange(BATCH))
    rows, record = [], {}
    for depth in DEPTHS:
        model = settled(resnet(depth, data), batch)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            contestants = {
                "bare": partial(bare, model, batch),
                "dump": partial(dumped, model, inputs, place),
            }
            in_turn(contestants, 1)  # warms up
            measured = in_turn(contestants, rounds)
        with torch.inference_mode():
            exact = model(batch).numpy()
        error = np.abs(from_half_bits(half_bits(exact)) - exact).max()
        record[f"ResNet-{depth}"] = measured
        rows.append(
            {
                "model": f"ResNet-{depth}",
                "bare images/s": median_of(measured, "bare"),
                "dump images/s": median_of(measured, "dump"),
                "share of bare": median_ratio(measured, "dump", "bare"),
                "largest logit": float(np.abs(exact).max()),
                "float16 errs by": float(error),
            }
        )
    title = f"Logit dump, float32, {torch.get_num_threads()} threads, median of {rounds} rounds"
    report("dump", title, rows, measured=record)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5)
