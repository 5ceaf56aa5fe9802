"""Shapes, costs and tables of stages that networks and their options share.

This module does not import torch or pydantic.
"""

from dataclasses import dataclass

from disobey.data.prepared import Prepared
from disobey.errors import UserError

# MobileNetV2 (Sandler et al. 2018, table 2): expansion, channels, blocks and stride of each stage.
MOBILENET_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip
MOBILENET_STEM, MOBILENET_LAST = 32, 1280  # channels

# ResNet (He et al. 2015, table 1), by depth: blocks, inner and output channels of each stage.
RESNET_STAGES = {
    18: ((2, 2, 2, 2), (64, 128, 256, 512), (64, 128, 256, 512)),
    34: ((3, 4, 6, 3), (64, 128, 256, 512), (64, 128, 256, 512)),
    50: ((3, 4, 6, 3), (64, 128, 256, 512), (256, 512, 1024, 2048)),
}
RESNET_STEM = 64  # channels
BOTTLENECK_FROM = 50  # from this depth on, a block is three convolutions, the outer ones 1 x 1

# Side of the images that are one pixel at the last strided layer, after four halvings.
BEFORE_THE_LAST = 16


def scaled(channels: int, width: float) -> int:
    """Return ``width`` times the channels as a multiple of eight, at most a tenth smaller."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def single_pixels(height: int, width: int) -> str | None:
    """Return an error message if the input of a network's last strided layer is a single pixel.

    Return None for larger images. Nothing can be learnt from a single pixel, and in torch 2.13 the
    gradient of its strided 3 x 3 convolution is wrong, and often not finite, in bf16 on CPUs with
    AMX.
    """
    if min(height, width) > BEFORE_THE_LAST:
        return None
    return (
        f"images of {height} x {width} pixels shrink to a single one before its last stage; "
        f"write small_images: true in the model"
    )


def refuse_single_pixels(data: "Prepared", what: str) -> None:
    """Refuse prepared images that are too small for a network; see `single_pixels`.

    Parameters
    ----------
    data : Prepared
    what : str
        The network, for the error message.

    Raises
    ------
    UserError
    """
    _, height, width, _ = data.train.inputs.shape
    wrong = single_pixels(height, width)
    if wrong is not None:
        raise UserError(f"{what}: {wrong}")


@dataclass(frozen=True)
class Shape:
    """Shape of one example, (y, x, channel) or (token,), number of classes, vocabulary size."""

    inputs: tuple[int, ...]
    classes: int
    vocabulary: int = 0


@dataclass(frozen=True)
class Cost:
    """Size of a model and its work on one example, in counts of numbers and multiply-adds.

    ``activations`` is the number of values kept per example for the backward pass (an estimate),
    ``largest`` the part of them in the largest part of the model. ``multiply_adds`` are those of
    the forward pass; the backward pass costs about twice as much.
    """

    parameters: int = 0
    activations: int = 0
    multiply_adds: int = 0
    largest: int = -1

    def __post_init__(self) -> None:
        if self.largest < 0:
            object.__setattr__(self, "largest", self.activations)

    def __add__(self, other: "Cost") -> "Cost":
        """Return the cost of two consecutive parts of a model."""
        return Cost(
            self.parameters + other.parameters,
            self.activations + other.activations,
            self.multiply_adds + other.multiply_adds,
            max(self.largest, other.largest),
        )


def linear(inputs: int, outputs: int) -> Cost:
    """Return the cost of a linear layer with bias, including the following ReLU."""
    return Cost(inputs * outputs + outputs, 2 * outputs, inputs * outputs)


def convolution(channels: int, width: int, size: int, pixels: int) -> Cost:
    """Return the cost of a convolution without bias, including the following normalisation.

    Parameters
    ----------
    channels, width : int
        Numbers of input and output channels.
    size : int
        Side of the kernel.
    pixels : int
        Number of output pixels.
    """
    weights = size * size * channels * width
    return Cost(weights + 2 * width, 3 * width * pixels, weights * pixels)
