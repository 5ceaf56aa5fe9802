"""(e): share of the machine's peak bf16 rate that a training reaches.

    python -m benchmarks.peak [rounds]

The peak is the best rate of one large matrix product in bf16, measured in the same round. A
trained image counts three times the multiply-adds of its forward pass, two operations each.
"""

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmarks.common import in_turn, median_of, median_ratio, report, seconds
from benchmarks.networks import AUGMENT, CLASSES, CPU, OurLoop, images, resnet, write_views
from disobey.models.options import CifarResnet
from disobey.models.shapes import Shape
from disobey.training.inputs import AugmentedImages

SIZE = 4096
STEPS = 60
DEPTHS = (20, 56)


def matrix_products() -> float:
    """Return the best rate, in GFLOP/s, of a few products of two matrices in bf16."""
    first, second = (torch.randn(SIZE, SIZE).bfloat16() for _ in range(2))
    best = min(seconds(lambda: first @ second) for _ in range(6))
    return 2 * SIZE**3 / best / 1e9


def operations(depth: int) -> int:
    """Return the floating-point operations of training on one image of 32 x 32 pixels."""
    model = CifarResnet(family="cifar_resnet", depth=depth)
    return 6 * model.cost(Shape((32, 32, 3), CLASSES)).multiply_adds


def training(loop: OurLoop, each: int) -> float:
    """Return the rate of a training, in GFLOP/s, with ``each`` operations per image."""
    return loop.images_per_second(STEPS) * each / 1e9


def main(rounds: int) -> None:
    """Print one table: a row per model."""
    data = images(64 * 40)
    rows, record = [], {}
    with tempfile.TemporaryDirectory() as folder:
        views = Path(folder) / "0.nc"
        write_views(views, AugmentedImages(data.train, data, CPU, None, AUGMENT, draw=0))
        for depth in DEPTHS:
            loop, each = OurLoop(resnet(depth, data), data, "bf16", views), operations(depth)
            contestants: dict[str, Callable[[], float]] = {
                "peak": matrix_products,
                "training": partial(training, loop, each),
            }
            in_turn(contestants, 1)  # warms up
            measured = in_turn(contestants, rounds)
            record[f"ResNet-{depth}"] = measured
            rows.append(
                {
                    "model": f"ResNet-{depth}",
                    "MFLOP per image": round(each / 1e6),
                    "peak GFLOP/s": median_of(measured, "peak"),
                    "training GFLOP/s": median_of(measured, "training"),
                    "share of peak": median_ratio(measured, "training", "peak"),
                }
            )
    title = f"bf16 training against matrix products, {torch.get_num_threads()} threads"
    report("peak", f"{title}, median of {rounds} rounds", rows, measured=record)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5)
