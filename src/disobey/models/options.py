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


class CifarResnet(Strict):
    """A residual network for 32 x 32 images, of depth 6n + 2 (He et al. 2015)."""

    inputs: ClassVar[str] = "image"

    family: Literal["cifar_resnet"]
    depth: PositiveInt = Field(20, description="6n + 2: 8, 20, 32, 56, 110")
    widths: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)] = Field(
        [16, 32, 64], description="channels of the three stages"
    )
    pre_activation: bool = Field(
        False, description="normalisation and ReLU before each convolution (He et al. 2016)"
    )

    @model_validator(mode="after")
    def _whole_blocks(self) -> "CifarResnet":
        if self.depth % 6 != 2:
            nearest = 6 * max(1, round((self.depth - 2) / 6)) + 2
            raise ValueError(f"depth must be 6n + 2, got {self.depth}; write depth: {nearest}")
        return self

    def label(self) -> str:
        """Return a name for run ids."""
        widths = "" if self.widths == [16, 32, 64] else "x" + "x".join(map(str, self.widths))
        return f"resnet{self.depth}{widths}{'-pre' if self.pre_activation else ''}"

    def cost(self, shape: Shape) -> Cost:
        """Return size and work, for asking a cluster."""
        y, x, channels = shape.inputs
        total = convolution(channels, self.widths[0], 3, y * x)
        before = self.widths[0]
        for stage, width in enumerate(self.widths):
            pixels = -(-y // 2**stage) * -(-x // 2**stage)
            total += convolution(before, width, 3, pixels) + convolution(width, width, 3, pixels)
            if before != width or stage:
                total += convolution(before, width, 1, pixels)
                if self.pre_activation:  # its shortcut shares the block's normalisation
                    total += Cost(parameters=-2 * width)
            for _ in range(2 * ((self.depth - 2) // 6 - 1)):
                total += convolution(width, width, 3, pixels)
            before = width
        return total + linear(self.widths[-1], shape.classes)

    def trackable(self) -> dict[str, Layer]:
        """Return the layers that can be tracked, by their names in the model."""
        # Before activation a filter's scale is normalised away only where normalisation follows.
        unit = not self.pre_activation
        found = {"stem.convolution": Layer(first=True, unit_norm=unit)}
        for stage, width in enumerate(self.widths, 1):
            before = self.widths[max(stage - 2, 0)]
            for block in range(1, (self.depth - 2) // 6 + 1):
                changes = block == 1 and (stage > 1 or width != before)
                names = self._convolutions(changes)
                found |= {f"stage_{stage}.block_{block}.{name}": Layer(unit_norm=norm)
                          for name, norm in names.items()}  # fmt: skip
        return found | {"classifier": Layer()}

    def _convolutions(self, changes: bool) -> dict[str, bool]:
        """Return a block's convolutions, and whether normalisation follows each."""
        if self.pre_activation:
            names = {"convolution_1": True, "convolution_2": False}
            return names | ({"shortcut": False} if changes else {})
        names = {"first.convolution": True, "second.convolution": True}
        return names | ({"shortcut.convolution": True} if changes else {})


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


ModelOptions = Annotated[Mlp | SmallResnet | CifarResnet | Roberta, Field(discriminator="family")]
