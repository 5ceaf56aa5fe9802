"""How large a model is and how much one example costs it; free of torch, for asking a cluster."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """What a model sees of a data set.

    Attributes
    ----------
    inputs : tuple of int
        Of one example: (y, x, channel) of an image, (token,) of a text.
    classes : int
    vocabulary : int
        Of the tokenizer; 0 for images.
    """

    inputs: tuple[int, ...]
    classes: int
    vocabulary: int = 0


@dataclass(frozen=True)
class Cost:
    """Size of a model and its work on one example, in numbers and multiply-adds, not bytes.

    Attributes
    ----------
    parameters : int
        Trainable numbers.
    activations : int
        Numbers that a training step keeps of each example for the way back; an estimate.
    multiply_adds : int
        Of one example forward; the way back costs about twice that.
    largest : int
        Those of the activations that the largest part makes; all of them, unless said otherwise.
    """

    parameters: int = 0
    activations: int = 0
    multiply_adds: int = 0
    largest: int = -1

    def __post_init__(self) -> None:
        if self.largest < 0:
            object.__setattr__(self, "largest", self.activations)

    def __add__(self, other: "Cost") -> "Cost":
        """Return the cost of one part after the other."""
        return Cost(
            self.parameters + other.parameters,
            self.activations + other.activations,
            self.multiply_adds + other.multiply_adds,
            max(self.largest, other.largest),
        )


def linear(inputs: int, outputs: int) -> Cost:
    """Return the cost of a linear layer with bias and the ReLU behind it."""
    return Cost(inputs * outputs + outputs, 2 * outputs, inputs * outputs)


def convolution(channels: int, width: int, size: int, pixels: int) -> Cost:
    """Return the cost of a convolution without bias and the batch normalisation behind it.

    Parameters
    ----------
    channels, width : int
        Channels in and out.
    size : int
        Side of the kernel.
    pixels : int
        Positions of the output.
    """
    weights = size * size * channels * width
    return Cost(weights + 2 * width, 3 * width * pixels, weights * pixels)
