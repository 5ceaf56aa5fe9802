"""(a), (b): images per second of training, against the plain loop, in interleaved rounds.

    python -m benchmarks.training [rounds]

Our loop runs with stored views in float32, in bf16 and compiled, and with a live teacher; the plain
loop runs with its fastest number of DataLoader workers. Batches have 64 images of 32 x 32 pixels in
100 classes.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from shutil import which

import torch

from benchmarks.common import in_turn, median_of, median_ratio, report
from benchmarks.networks import AUGMENT, CPU, OurLoop, images, resnet, write_views
from benchmarks.plain import Pictures, PlainLoop
from disobey.data.prepared import Prepared
from disobey.training.inputs import AugmentedImages

EXAMPLES = 64 * 40
STEPS = 60
WARM_UP = 8
WORKERS = (0, 1, 2)  # numbers of workers of the plain loop's DataLoader
PAIRS = {"ResNet-56 -> ResNet-20": (56, 20), "ResNet-20 -> ResNet-20": (20, 20)}
ONE_HOT: dict[str, tuple[int | None, int]] = {"ResNet-20 one-hot": (None, 20)}


def plain_loop(data: Prepared, teacher: int | None, student: int, workers: int) -> PlainLoop:
    """Return the plain loop after a warm-up."""
    pictures = Pictures(data.train.inputs, data.train.label)
    live = None if teacher is None else resnet(teacher, data, plain=True)
    loop = PlainLoop(resnet(student, data, plain=True), live, pictures, workers=workers)
    loop.images_per_second(WARM_UP)
    return loop


def best_workers(data: Prepared, teacher: int | None, student: int) -> tuple[int, dict[int, float]]:
    """Return the number of workers with which the plain loop is fastest, and all rates."""
    rates = {}
    for workers in WORKERS:
        loop = plain_loop(data, teacher, student, workers)
        rates[workers] = statistics.median(loop.images_per_second(STEPS // 2) for _ in range(3))
    return max(rates, key=rates.__getitem__), rates


def contestants(
    data: Prepared, teacher: int | None, student: int, workers: int, views: Path
) -> Mapping[str, Callable[[], float]]:
    """Return a function per loop that measures its images per second, after a warm-up."""
    plain = plain_loop(data, teacher, student, workers)
    found = {"plain": partial(plain.images_per_second, STEPS)}
    for precision in ("fp32", "bf16"):
        ours = OurLoop(resnet(student, data), data, precision, None if teacher is None else views)
        ours.images_per_second(WARM_UP)
        found[precision] = partial(ours.images_per_second, STEPS)
    if which("g++") or which("clang++"):  # torch.compile needs it on a CPU
        stored = None if teacher is None else views
        fused = OurLoop(resnet(student, data), data, "bf16", stored, compile=True)
        fused.images_per_second(WARM_UP)
        found["bf16 compiled"] = partial(fused.images_per_second, STEPS)
    if teacher is not None:
        live = OurLoop(resnet(student, data), data, "bf16", resnet(teacher, data))
        live.images_per_second(WARM_UP)
        found["bf16 live"] = partial(live.images_per_second, STEPS)
    return found


def main(rounds: int) -> None:
    """Print one table: a row per case and loop."""
    data = images(EXAMPLES)
    rows, record = [], {}
    with tempfile.TemporaryDirectory() as folder:
        views = Path(folder) / "0.nc"
        inputs = AugmentedImages(data.train, data, CPU, None, AUGMENT, draw=0)
        write_views(views, inputs)
        for case, (teacher, student) in (ONE_HOT | PAIRS).items():
            workers, rates = best_workers(data, teacher, student)
            measured = in_turn(contestants(data, teacher, student, workers, views), rounds)
            record[case] = {"rounds": measured, "plain loop by workers": rates}
            for loop in measured[0]:
                name = f"plain, float32, {workers} workers" if loop == "plain" else f"ours, {loop}"
                rows.append(
                    {
                        "case": case,
                        "loop": name,
                        "images/s": median_of(measured, loop),
                        "times the plain loop": median_ratio(measured, loop, "plain"),
                    }
                )
    title = f"Training, batch 64, {torch.get_num_threads()} threads, median of {rounds} rounds"
    report("training", title, rows, measured=record)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5)
