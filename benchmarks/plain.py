"""The training loop of public distillation code bases, written only for comparison.

Every step crops and flips PIL images in a DataLoader, without decoding, runs the teacher live in
float32 without gradients, and trains the student in float32 on cross-entropy and T^2 KL. Of
`disobey` only the networks are used, so that both loops train the same ones.
"""

import itertools
import random
import time
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

TEMPERATURE, WEIGHT = 4.0, 0.9
CPU = torch.device("cpu")


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """PIL images, padded, cropped, flipped and normalised one by one.

    Parameters
    ----------
    images : ndarray of uint8, shape (example, y, x, channel)
    label : ndarray of int
    padding : int
        0 disables cropping and flipping.
    """

    def __init__(self, images: np.ndarray, label: np.ndarray, padding: int = 4) -> None:
        self.images, self.label, self.padding = images, label, padding
        scaled = images[:1000].reshape(-1, images.shape[-1]) / 255
        self.mean = torch.tensor(scaled.mean(0), dtype=torch.float32)[:, None, None]
        self.std = torch.tensor(scaled.std(0), dtype=torch.float32)[:, None, None]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, example: int) -> tuple[torch.Tensor, int]:
        """Return one augmented image (channel, y, x), float32, and its label."""
        image = Image.fromarray(self.images[example])
        if self.padding:
            image = self._augmented(image)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        return (pixels.float().div(255) - self.mean) / self.std, int(self.label[example])

    def _augmented(self, image: Image.Image) -> Image.Image:
        width, height = image.size
        padded = ImageOps.expand(image, self.padding)
        left, upper = (random.randint(0, 2 * self.padding) for _ in range(2))
        cropped = padded.crop((left, upper, left + width, upper + height))
        return ImageOps.mirror(cropped) if random.random() < 0.5 else cropped


class PlainLoop:
    """Plain training loop of a student.

    Parameters
    ----------
    student : nn.Module
    teacher : nn.Module or None
        None for cross-entropy only.
    pictures : Pictures
    batch, workers : int
        Options of the DataLoader.
    device : torch.device
        The device of student and teacher.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module | None,
        pictures: Pictures,
        batch: int = 64,
        workers: int = 0,
        device: torch.device = CPU,
    ) -> None:
        self.device = device
        self.student = student.train()
        self.teacher = None if teacher is None else teacher.eval()
        self.batch = batch
        self.loader = DataLoader(
            pictures, batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0
        )
        self.optimizer = torch.optim.SGD(
            student.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4
        )
        self._batches = self._forever()

    def images_per_second(self, steps: int) -> float:
        """Train for ``steps`` steps; return the rate, including the loader's work."""
        started = time.perf_counter()
        for images, label in itertools.islice(self._batches, steps):
            self.step(images, label)
        return steps * self.batch / (time.perf_counter() - started)

    def epoch(self) -> None:
        """Train for one epoch, including the last partial batch."""
        for images, label in self.loader:
            self.step(images, label)

    def step(self, images: torch.Tensor, label: torch.Tensor) -> float:
        """Take one step; return the loss, which such loops usually print."""
        images, label = images.to(self.device), label.to(self.device)
        logits = self.student(images)
        loss = functional.cross_entropy(logits, label)
        if self.teacher is not None:
            with torch.no_grad():
                teacher_logits = self.teacher(images)
            divergence = functional.kl_div(
                functional.log_softmax(logits / TEMPERATURE, 1),
                functional.softmax(teacher_logits / TEMPERATURE, 1),
                reduction="batchmean",
            )
            loss = (1 - WEIGHT) * loss + WEIGHT * TEMPERATURE**2 * divergence
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def _forever(self) -> Iterator[list[torch.Tensor]]:
        while True:
            yield from (batch for batch in self.loader if len(batch[1]) == self.batch)
