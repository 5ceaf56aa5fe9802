"""What a study file may say of a model; free of torch, so that a dry run stays fast.

Stages do not import this module: they get plain values out of their spec, so a new option here
makes nothing stale.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from disobey.models.cost import Cost, Shape, convolution, linear
from disobey.strict import Strict

Widths = Annotated[list[PositiveInt], Field(min_length=1)]


@dataclass(frozen=True)
class Layer:
    """A layer whose weights can be tracked along eigendirections of its input.

    Attributes
    ----------
    first : bool
        Whether its input is the data itself; else it is what a trained teacher's layers make of it.
    unit_norm : bool
        Whether batch normalisation follows, so that only the direction of a filter has an effect.
    """

    first: bool = False
    unit_norm: bool = False


class Mlp(Strict):
    """A multilayer perceptron over the flattened image."""

    inputs: ClassVar[str] = "image"

    family: Literal["mlp"]
    hidden: Widths = Field([256, 256], description="units of each hidden layer")

    def label(self) -> str:
        """Return a name for run ids."""
        return "mlp" + "x".join(map(str, self.hidden))

    def cost(self, shape: Shape) -> Cost:
        """Return size and work, for asking a cluster."""
        widths = [math.prod(shape.inputs), *self.hidden, shape.classes]
        return sum((linear(a, b) for a, b in itertools.pairwise(widths)), Cost())

    def trackable(self) -> dict[str, Layer]:
        """Return the layers that can be tracked, by their names in the model."""
        hidden = [f"hidden_{i}" for i in range(1, len(self.hidden) + 1)]
        return {name: Layer(first=name == hidden[0]) for name in [*hidden, "classifier"]}


class SmallResnet(Strict):
    """A small residual network: a strided stem, then one strided block per width."""

    inputs: ClassVar[str] = "image"

    family: Literal["small_resnet"]
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
        found = {"stem.convolution": Layer(first=True, unit_norm=True)}
        for i in range(1, len(self.widths) + 1):
            for part in ("residual.first", "residual.second", "shortcut"):
                found[f"block_{i}.{part}.convolution"] = Layer(unit_norm=True)
        return found | {"classifier": Layer()}


class Roberta(Strict):
    """A RoBERTa sequence classifier from a `transformers` configuration, from scratch."""

    inputs: ClassVar[str] = "text"

    family: Literal["roberta"]
    hidden: PositiveInt = Field(128, description="width; a multiple of heads")
    layers: PositiveInt = 2
    heads: PositiveInt = 2
    dropout: float = Field(0.1, ge=0.0, lt=1.0, description="of hidden states and of attention")

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> "Roberta":
        if self.hidden % self.heads:
            raise ValueError(
                f"hidden ({self.hidden}) must be a multiple of heads ({self.heads}); "
                f"write hidden: {self.heads * max(1, round(self.hidden / self.heads))}"
            )
        return self

    def label(self) -> str:
        """Return a name for run ids."""
        return f"roberta{self.hidden}x{self.layers}"

    def cost(self, shape: Shape) -> Cost:
        """Return size and work, for asking a cluster; activations after Korthikanti et al. 2023."""
        (tokens,), width = shape.inputs, self.hidden
        positions = tokens + 2  # as many as the model has, see `disobey.models.roberta`
        embeddings = Cost((shape.vocabulary + positions + 1) * width + 2 * width, tokens * width)
        layer = Cost(
            12 * width**2 + 13 * width,
            17 * tokens * width + 3 * self.heads * tokens**2,
            12 * tokens * width**2 + 2 * tokens**2 * width,
        )
        blocks = sum(itertools.repeat(layer, self.layers), Cost())
        return embeddings + blocks + linear(width, width) + linear(width, shape.classes)

    def trackable(self) -> dict[str, Layer]:
        """Return the layers that can be tracked, by their names in the model."""
        attention = [f"attention.self.{part}" for part in ("query", "key", "value")]
        parts = [*attention, "attention.output.dense", "intermediate.dense", "output.dense"]
        depths = range(self.layers)
        names = [f"roberta.roberta.encoder.layer.{i}.{part}" for i in depths for part in parts]
        ends = ["roberta.classifier.dense", "roberta.classifier.out_proj"]
        return {name: Layer() for name in [*names, *ends]}


ModelOptions = Annotated[Mlp | SmallResnet | Roberta, Field(discriminator="family")]
