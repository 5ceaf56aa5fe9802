"""The networks and images of the speed benchmarks, and our loop over them."""

import contextlib
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from disobey.data.prepared import Prepared, Split
from disobey.models.registry import build_model
from disobey.stages.views import write_slab
from disobey.stores.writer import NetcdfWriter
from disobey.training import inputs as augmented
from disobey.training.compiled import compiled_forward
from disobey.training.inputs import AugmentedImages
from disobey.training.loop import Training
from disobey.training.objective import Targets, Teacher, build_objective
from disobey.training.teachers import LiveTeacher, StoredViews
from disobey.training.weights import for_device

CPU = torch.device("cpu")
CLASSES = 100
AUGMENT = {"crop_padding": 4, "flip": True}
BATCH = 64
SLABS = 10


def images(examples: int) -> Prepared:
    """Return random images of 32 x 32 pixels in 100 classes: speed is independent of content."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (examples, 32, 32, 3)).astype(np.uint8)
    label = rng.integers(CLASSES, size=examples)
    split = Split(pixels, label, label, np.arange(examples))
    scaled = pixels[:1000].reshape(-1, 3) / 255
    moments = {"channel_mean": scaled.mean(0), "channel_std": scaled.std(0)}
    return Prepared(split, split, tuple(map(str, range(CLASSES))), moments)


def resnet(depth: int, data: Prepared, *, plain: bool = False) -> nn.Module:
    """Return a residual network; ``plain`` keeps PyTorch's default memory format."""
    model = build_model({"family": "cifar_resnet", "depth": depth, "widths": [16, 32, 64]}, data)
    return model if plain else for_device(model, CPU)


def write_views(path: Path, inputs: AugmentedImages, teacher: nn.Module | None = None) -> None:
    """Store a teacher's logits on one block of slabs, or random logits without a teacher."""
    examples = inputs.shown.views.shape[1]
    rng = np.random.default_rng(1)
    with NetcdfWriter(path) as writer:
        shape = (SLABS, examples, CLASSES)
        logits = writer.declare("/", "logits", ("view", "example", "class"), shape, "f4")
        for slab in range(SLABS):
            if teacher is None:
                logits[slab] = rng.normal(size=shape[1:])
            else:
                write_slab(logits, slab, slab, teacher, inputs)
        writer.write("/", "view", ("view", "example"), inputs.shown.views[:SLABS])
        writer.write("/", "example_id", ("example",), np.arange(examples))


class Stop(Exception):
    """Raised to end a training after the requested steps."""


class OurLoop:
    """The loop of `disobey.stages.train` over images in memory.

    Parameters
    ----------
    student : nn.Module
    data : Prepared
    precision : {"fp32", "bf16"}
    teacher : Path, nn.Module or None
        Stored views, a model that is run live, or None for cross-entropy only.
    compile : bool
        True to compile the student with torch.compile.
    device : torch.device
        The device of the data, the student and the teacher.
    batch : int
    """

    def __init__(
        self,
        student: nn.Module,
        data: Prepared,
        precision: str,
        teacher: Path | nn.Module | None,
        *,
        compile: bool = False,
        device: torch.device = CPU,
        batch: int = BATCH,
    ) -> None:
        self.device = device
        self.recipe: dict[str, Any] = {
            "optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "epochs": SLABS,
            "batch": batch, "schedule": "constant", "precision": precision,
        }  # fmt: skip
        self.student, self.data = student, data
        self.spec: dict[str, Any] = {
            "augment": AUGMENT, "recipe": self.recipe, "seeds": {"draw": 0, "views": 0},
        }  # fmt: skip
        if teacher is not None:
            self.spec["distill"] = {"temperature": 4.0, "weight": 0.9}
        self.inputs = augmented.augmented_training_inputs(self.spec, data, device)
        self.teacher = self._teacher(teacher)
        self.forward = compiled_forward(student, batch, varying=False) if compile else None

    def _teacher(self, teacher: Path | nn.Module | None) -> Teacher | None:
        if isinstance(teacher, Path):
            return StoredViews([teacher], self.data, self.inputs, self.device)
        return None if teacher is None else LiveTeacher(teacher)

    def training(self) -> Training:
        """Return a training of the student at its first step."""
        targets = Targets(torch.from_numpy(self.data.train.label).to(self.device), self.teacher)
        objective = build_objective(self.spec, targets)
        shown = augmented.show_views(self.spec, self.inputs, targets)
        return Training(
            self.student,
            self.inputs,
            targets,
            objective,
            self.recipe,
            0,
            before_epoch=shown,
            forward=self.forward,
        )

    def images_per_second(self, steps: int) -> float:
        """Train for ``steps`` steps; return the rate, including reading of views."""
        training = self.training()
        started = time.perf_counter()
        take_steps(training, steps)
        return steps * self.recipe["batch"] / (time.perf_counter() - started)

    def run(self) -> None:
        """Train for all epochs."""
        with contextlib.redirect_stderr(io.StringIO()):
            self.training().run()


def take_steps(training: Training, steps: int) -> None:
    """Take ``steps`` steps of a training, and wait until its device has finished them."""
    end = training.step + steps

    def after_step() -> None:
        if training.step == end:
            raise Stop

    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(Stop):
        training.run(after_step)
    if training.device.type == "cuda":
        torch.cuda.synchronize(training.device)
