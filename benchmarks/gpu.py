"""Check of a GPU: tests, errors and rates, as one table in Markdown.

    make gpu-check
    python -m benchmarks.gpu [seconds]

The table shows the tests that need a card, the errors of its number formats against float64,
whether a training repeats and resumes bit for bit, what makes a step wait for the card, images per
second of our loop and the plain one, and of several trainings on the card at once. The command
ends within eight minutes, or the given seconds, and skips what does not fit. Without a card it runs
the parts that a CPU can run; `make bench` measures the CPU's speed. The exit status is 1 if a check
failed.
"""

import contextlib
import copy
import io
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.common import in_turn, markdown_table, median_of, median_ratio
from benchmarks.networks import (
    AUGMENT,
    BATCH,
    CPU,
    OurLoop,
    images,
    resnet,
    take_steps,
    write_views,
)
from benchmarks.plain import Pictures, PlainLoop
from disobey import provenance
from disobey.data.prepared import Prepared
from disobey.training.device import repeatable_float32, versions_in_words
from disobey.training.inputs import AugmentedImages
from disobey.training.weights import for_device

SECONDS = 480.0
TEST_SECONDS = 200.0
COMPILE_SECONDS = 90.0  # limit for torch.compile before its first step
EXAMPLES, STEPS, WARM_UP, ROUNDS, WORKERS = BATCH * 320, 150, 10, 3, 8
LARGE_BATCH, SMALL_STEPS = 1024, 12
AT_ONCE = (2, 4, 8)
TEACHER, STUDENT = 56, 20
FORMATS = ("float32", "TF32", "bf16")

Row = tuple[str, str, str, bool]  # quantity, found, expected, True if it failed
Part = Callable[[torch.device, float], Iterator[Row]]


def device_here() -> torch.device:
    """Return the card, configured as in a stage, or the CPU if torch has no usable card."""
    if not torch.cuda.is_available():
        return CPU
    repeatable_float32()
    return torch.device("cuda", 0)


def student(data: Prepared, device: torch.device, precision: str = "fp32") -> nn.Module:
    """Return a network with the same random weights in each call."""
    torch.manual_seed(0)
    return for_device(resnet(STUDENT, data, plain=True), device, precision)


# --- the parts ----------------------------------------------------------------------------------


def tests(device: torch.device, seconds: float) -> Iterator[Row]:
    """Run tests/gpu; without a card, only the tests that the CPU can run."""
    seconds = min(seconds, TEST_SECONDS)
    marked = "gpu" if device.type == "cuda" else "not gpu"
    words = ["-m", "pytest", "-p", "no:xdist", "-q", "-rfE", "tests/gpu", "-m", marked]
    root = Path(__file__).parents[1]
    what = f"tests/gpu, marked '{marked}'"
    try:
        done = subprocess.run(
            [sys.executable, *words], cwd=root, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        yield what, f"not done within {seconds:.0f} s", "all passed", True
        return
    *lines, last = done.stdout.strip().splitlines() or [f"exit status {done.returncode}"]
    print("\n".join(lines), file=sys.stderr)
    yield what, last.strip("= "), "all passed", done.returncode != 0


def errors(device: torch.device, seconds: float) -> Iterator[Row]:
    """Compare one operation, and the gradient of a network at its first step, with float64."""
    del seconds
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(BATCH, 64, 8, 8, generator=generator)
    kernel = torch.randn(64, 64, 3, 3, generator=generator)
    left, right = torch.randn(2, 256, 256, generator=generator)
    data = images(BATCH)
    inputs = AugmentedImages(data.train, data, CPU, None, AUGMENT, draw=0)
    shown, model = inputs.batch(torch.arange(BATCH)), student(data, CPU)
    label = torch.from_numpy(data.train.label)[:BATCH]
    for what, compute in (
        ("convolution", lambda **to: functional.conv2d(pixels.to(**to), kernel.to(**to))),
        ("matrix product", lambda **to: left.to(**to) @ right.to(**to)),
        (f"gradient of ResNet-{STUDENT}", partial(gradient, model, shown, label)),
    ):
        exact = compute(device=CPU, dtype=torch.float64)
        error = {"float32 on the CPU": relative_error(compute(device=CPU), exact)}
        for name in FORMATS if device.type == "cuda" else ("float32", "bf16"):
            with number_format(device, name):
                error[name] = relative_error(compute(device=device), exact)
        words = ", ".join(f"{name} {value:.1e}" for name, value in error.items())
        failed = not error["float32"] < 10 * error["float32 on the CPU"]
        yield f"{what}: relative error against float64", words, "float32 near the CPU's", failed


@contextlib.contextmanager
def number_format(device: torch.device, name: str) -> Iterator[None]:
    """Compute in one of the `FORMATS`."""
    if name == "TF32":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    with torch.autocast(device.type, torch.bfloat16, name == "bf16"):
        yield
    if name == "TF32":
        repeatable_float32()


def gradient(
    model: nn.Module,
    shown: torch.Tensor,
    label: torch.Tensor,
    **to: Any,
) -> torch.Tensor:
    """Return the gradient of the cross-entropy with respect to all weights, in one vector."""
    moved = copy.deepcopy(model).train().to(**to)
    logits = moved(shown.to(**to))
    loss = functional.cross_entropy(logits, label.to(logits.device))
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, [*moved.parameters()])])


def relative_error(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Return ||found - exact|| / ||exact||."""
    return float((found.double().cpu() - exact).norm() / exact.norm())


def repeats(device: torch.device, seconds: float) -> Iterator[Row]:
    """Train twice, and once with a saved and restored state in between."""
    del seconds
    data = images(BATCH * SMALL_STEPS)
    for precision in ("fp32", "bf16"):
        steps = (SMALL_STEPS, SMALL_STEPS, SMALL_STEPS // 2)
        first, second, half = (trained(data, device, precision, taken) for taken in steps)
        saved = io.BytesIO()
        torch.save(half.state(), saved)
        saved.seek(0)
        resumed = trained(data, device, precision, 0)
        resumed.restore(torch.load(saved, map_location="cpu", weights_only=True))
        take_steps(resumed, SMALL_STEPS - SMALL_STEPS // 2)
        for what, other in (("twice", second), ("stopped and resumed", resumed)):
            apart = relative_error(weights_of(other), weights_of(first))
            words = "equal bit for bit" if apart == 0 else f"{apart:.1e} apart"
            yield f"{SMALL_STEPS} steps {what}, {precision}", words, "equal bit for bit", apart != 0


def trained(data: Prepared, device: torch.device, precision: str, steps: int) -> Any:
    """Return a training after ``steps`` steps."""
    loop = OurLoop(student(data, device, precision), data, precision, None, device=device)
    training = loop.training()
    if steps:
        take_steps(training, steps)
    return training


def weights_of(training: Any) -> torch.Tensor:
    """Return all parameters and buffers in one float64 vector."""
    values = training.model.state_dict().values()
    return torch.cat([value.detach().double().cpu().flatten() for value in values])


def waits(device: torch.device, seconds: float) -> Iterator[Row]:
    """Count the calls in a step that wait for the card: each prevents running ahead of it."""
    del seconds
    data = images(BATCH * SMALL_STEPS)
    training = trained(data, device, "bf16", 2)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        for index in training._order(0)[:3]:
            training._step(index)
        torch.cuda.set_sync_debug_mode("default")
    calls = sum("synchroniz" in str(one.message) for one in found)
    yield "calls that wait for the GPU, in a step", f"{calls / 3:.1f}", "0", calls > 0


def rates(device: torch.device, seconds: float) -> Iterator[Row]:
    """Measure our loop and the plain one, in each precision and memory format."""
    end = time.monotonic() + seconds
    data = images(EXAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        views = Path(folder) / "0.nc"
        write_views(views, AugmentedImages(data.train, data, CPU, None, AUGMENT, draw=0))
        for batch in (BATCH, LARGE_BATCH):
            contestants = loops(data, device, views, batch)
            if batch == BATCH and end - time.monotonic() > COMPILE_SECONDS + 30:
                contestants["bf16 compiled"] = compiled(data, device, views)
            measured = in_turn(contestants, ROUNDS)
            case = f"ResNet-{STUDENT} of ResNet-{TEACHER}, batch {batch}"
            for name in contestants:
                words = f"{median_of(measured, name):,.0f} images/s"
                if name != "plain" and "plain" in contestants:
                    words += f", {median_ratio(measured, name, 'plain'):.2f} times the plain loop"
                yield f"{case}: {name}", words, "", False


def loops(
    data: Prepared, device: torch.device, views: Path, batch: int
) -> dict[str, Callable[[], float]]:
    """Return a function per loop that measures its images per second, after a warm-up."""
    found: dict[str, Callable[[], float]] = {}
    steps = max(2, STEPS * BATCH // batch)
    if batch == BATCH:
        learner, teacher = (resnet(d, data, plain=True).to(device) for d in (STUDENT, TEACHER))
        pictures = Pictures(data.train.inputs, data.train.label)
        workers = min(WORKERS, os.cpu_count() or 1)
        plain = PlainLoop(learner, teacher, pictures, batch, workers, device)
        plain.images_per_second(WARM_UP)
        found["plain"] = partial(plain.images_per_second, steps)
    for name, precision, stored in (
        ("fp32", "fp32", "fp32"), ("fp32, channels last", "fp32", "bf16"),
        ("bf16", "bf16", "bf16"),
    ):  # fmt: skip
        ours = OurLoop(student(data, device, stored), data, precision, views, device=device,
                       batch=batch)  # fmt: skip
        ours.images_per_second(WARM_UP)
        found[name] = partial(ours.images_per_second, steps)
    teacher = for_device(resnet(TEACHER, data, plain=True), device)
    live = OurLoop(student(data, device, "bf16"), data, "bf16", teacher, device=device, batch=batch)
    live.images_per_second(2)
    found["bf16, live teacher"] = partial(live.images_per_second, steps)
    return found


def compiled(data: Prepared, device: torch.device, views: Path) -> Callable[[], float]:
    """Return a function that measures our compiled loop, after a warm-up."""
    ours = OurLoop(student(data, device, "bf16"), data, "bf16", views, compile=True, device=device)
    ours.images_per_second(WARM_UP)
    return partial(ours.images_per_second, STEPS)


def processes(device: torch.device, seconds: float) -> Iterator[Row]:
    """Measure several trainings on one card at once, as `jobs_per_gpu` of a study allows."""
    del device
    what = f"trainings at once, ResNet-{STUDENT} one-hot, batch {BATCH}, bf16"
    end = time.monotonic() + seconds
    spawn = multiprocessing.get_context("spawn")
    for count in AT_ONCE:
        if end - time.monotonic() < 40:
            yield f"{count} {what}", "skipped: out of time", "", False
            continue
        barrier, queue = spawn.Barrier(count), spawn.Queue()
        started = [
            spawn.Process(target=one_of_several, args=(barrier, queue, STEPS), daemon=True)
            for _ in range(count)
        ]
        for process in started:
            process.start()
        found = [queue.get(timeout=60) for _ in started]
        yield f"{count} {what}", f"{sum(found):,.0f} images/s", "", False


def one_of_several(barrier: Any, queue: Any, steps: int) -> None:
    """Train together with others, starting when all are warmed up."""
    device, data = device_here(), images(BATCH * 40)
    ours = OurLoop(student(data, device, "bf16"), data, "bf16", None, device=device)
    ours.images_per_second(WARM_UP)
    barrier.wait(60)
    queue.put(statistics.median(ours.images_per_second(steps) for _ in range(3)))


# --- the table ----------------------------------------------------------------------------------

PARTS: tuple[Part, ...] = (tests, errors, repeats, waits, rates, processes)
NEED_A_CARD = (waits, rates, processes)


def main(seconds: float = SECONDS) -> int:
    """Print the table; return the number of failed checks."""
    device, end = device_here(), time.monotonic() + seconds
    rows: list[Row] = []
    for part in PARTS:
        name, left = part.__name__, end - time.monotonic()
        if left < 10 or (device == CPU and part in NEED_A_CARD):
            why = "out of time" if left < 10 else "torch finds no GPU"
            rows.append((name, f"skipped: {why}", "", False))
            continue
        print(f"{name} ({left:.0f} s left)", file=sys.stderr)
        try:
            for row in part(device, left):
                print(f"  {row[0]}: {row[1]}", file=sys.stderr)
                rows.append(row)
        except Exception as error:  # a part that fails is a finding, not the end
            rows.append((name, f"{type(error).__name__}: {str(error)[:200]}", "no error", True))
    title = f"{provenance.machine()}; {versions_in_words()}"
    table = [
        {"what": what, "found": f"**{found}**" if failed else found, "expected": expected}
        for what, found, expected, failed in rows
    ]
    print(f"\n*{title}*\n", *markdown_table(table), sep="\n")
    return sum(failed for *_, failed in rows)


if __name__ == "__main__":
    sys.exit(min(1, main(float(sys.argv[1]) if sys.argv[1:] else SECONDS)))
