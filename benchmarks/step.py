"""Time of the parts of a training step, which bounds the other tables.

    python -m benchmarks.step

PyTorch's profiler runs over some steps of our loop: operations by kind, in milliseconds per step.
"""

import tempfile
from collections import Counter
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.common import report
from benchmarks.networks import AUGMENT, BATCH, CPU, OurLoop, images, resnet, write_views
from disobey.training.inputs import AugmentedImages

STEPS = 20
KINDS = {
    "convolutions": ("convolution",),
    "batch normalisation": ("batch_norm",),
    "ReLU and sums": ("threshold", "clamp", "relu", "aten::add"),
    "optimizer": ("SGD", "sgd", "zero_grad"),
    "casts and copies": ("copy", "to_copy", "empty"),
    "gathering views": ("aten::index", "aten::where", "aten::mul", "aten::sub"),
}
OTHER = "loss, and all else"


def kind_of(operation: str) -> str:
    """Return the table row, the kind, of an operation."""
    for kind, parts in KINDS.items():
        if any(part in operation for part in parts):
            return kind
    return OTHER


def milliseconds(loop: OurLoop) -> Counter[str]:
    """Return the time of a step by kind of operation."""
    loop.images_per_second(STEPS)  # warms up
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        loop.images_per_second(STEPS)
    spent: Counter[str] = Counter()
    for entry in recorded.key_averages():
        spent[kind_of(entry.key)] += entry.self_cpu_time_total / 1000 / STEPS
    return spent


def main() -> None:
    """Print one table: a row per kind of operation."""
    data = images(BATCH * 40)
    by_precision = {}
    with tempfile.TemporaryDirectory() as folder:
        views = Path(folder) / "0.nc"
        write_views(views, AugmentedImages(data.train, data, CPU, None, AUGMENT, draw=0))
        for precision in ("bf16", "fp32"):
            loop = OurLoop(resnet(20, data), data, precision, views)
            by_precision[precision] = milliseconds(loop)
    totals = {precision: sum(spent.values()) for precision, spent in by_precision.items()}
    rows = [
        {"operation": kind}
        | {f"{name} ms": spent[kind] for name, spent in by_precision.items()}
        | {f"{name} share": spent[kind] / totals[name] for name, spent in by_precision.items()}
        for kind in (*KINDS, OTHER)
    ]
    threads = torch.get_num_threads()
    report("step", f"A step of ResNet-20, batch {BATCH}, stored views, {threads} threads", rows)


if __name__ == "__main__":
    main()
