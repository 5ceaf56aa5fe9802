"""Small networks for small images: options, size and work."""

import itertools
import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from disobey.models.cost import Cost, Shape, convolution, linear
from disobey.models.options.layer import Layer
from disobey.strict import Strict

Widths = Annotated[list[PositiveInt], Field(min_length=1)]


class Mlp(Strict):
    """A multilayer perceptron over the flattened image, or over features."""

    inputs: ClassVar[tuple[str, ...]] = ("image", "feature")

    family: Literal["mlp"] = Field(description="multilayer perceptron")
    hidden: list[PositiveInt] = Field(
        [256, 256], description="units of each hidden layer; [] is a linear model of the inputs"
    )
    initialisation: Literal["glorot_uniform"] | None = Field(
        None,
        description="weights uniform within sqrt(6 / (inputs + outputs)) of 0, and biases 0, as in "
        "Keras; if not given, as in PyTorch",
    )

    def label(self) -> str:
        """Return a name for run ids."""
        return "mlp" + "x".join(map(str, self.hidden)) if self.hidden else "linear"

    def cost(self, shape: Shape) -> Cost:
        """Return size and work, for asking a cluster."""
        widths = [math.prod(shape.inputs), *self.hidden, shape.classes]
        return sum((linear(a, b) for a, b in itertools.pairwise(widths)), Cost())

    def trackable(self) -> dict[str, Layer]:
        """Return the layers that can be tracked, by their names in the model."""
        hidden = [f"hidden_{i}" for i in range(1, len(self.hidden) + 1)]
        layers = [*hidden, "classifier"]
        return {name: Layer(first=name == layers[0]) for name in layers}


class SmallResnet(Strict):
    """A small residual network: a strided stem, then one strided block per width."""

    inputs: ClassVar[tuple[str, ...]] = ("image",)

    family: Literal["small_resnet"] = Field(description="small residual network")
    stem: PositiveInt = Field(16, description="channels of the first convolution, stride 2")
    widths: Widths = Field([32, 64], description="channels of each residual block, stride 2")

    def label(self) -> str:
        """Return a name for run ids."""
        return "resnet" + "x".join(map(str, [self.stem, *self.widths]))

    def cost(self, shape: Shape) -> Cost:
        """Return size and work, for asking a cluster."""
        y, x, channels = shape.inputs
        pixels = -(-y // 2) * -(-x // 2)
        total = convolution(channels, self.stem, 3, pixels)
        for depth, (before, width) in enumerate(itertools.pairwise([self.stem, *self.widths]), 2):
            pixels = -(-y // 2**depth) * -(-x // 2**depth)
            total += convolution(before, width, 3, pixels) + convolution(width, width, 3, pixels)
            total += convolution(before, width, 1, pixels)
        return total + linear(self.widths[-1], shape.classes)

    def trackable(self) -> dict[str, Layer]:
        """Return the layers that can be tracked, by their names in the model."""
        found = {"stem.convolution": Layer(first=True, unit_norm=True, kernel=3)}
        for i in range(1, len(self.widths) + 1):
            for part in ("residual.first", "residual.second", "shortcut"):
                found[f"block_{i}.{part}.convolution"] = Layer(unit_norm=True)
        return found | {"classifier": Layer()}
