"""Residual networks for 32 x 32 and for large images: options, size and work."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from disobey.models.cost import Cost, Shape, convolution, linear
from disobey.models.options.layer import Layer
from disobey.models.resnet_stages import BOTTLENECK_FROM, STAGES, STEM
from disobey.models.shrinking import single_pixels
from disobey.strict import Strict


class CifarResnet(Strict):
    """A residual network for 32 x 32 images, of depth 6n + 2 (He et al. 2015)."""

    inputs: ClassVar[tuple[str, ...]] = ("image",)

    family: Literal["cifar_resnet"] = Field(description="residual network for 32 x 32 images")
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
        found = {"stem.convolution": Layer(first=True, unit_norm=unit, kernel=3)}
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


class Resnet(Strict):
    """ResNet-18, 34 or 50 (He et al. 2015, table 1), from scratch."""

    inputs: ClassVar[tuple[str, ...]] = ("image",)

    family: Literal["resnet"] = Field(description="residual network for larger images")
    depth: Literal[18, 34, 50] = Field(description="layers with weights; 50 has bottlenecks")
    small_images: bool = Field(
        False, description="a 3 x 3 stem without stride and pooling, for 64 x 64 images"
    )

    def label(self) -> str:
        """Return a name for run ids."""
        return f"resnet{self.depth}{'-small' if self.small_images else ''}"

    def refusal(self, shape: Shape) -> str | None:
        """Return why examples of a shape cannot be learnt from; None where they can."""
        return None if self.small_images else single_pixels(*shape.inputs[:2])

    def cost(self, shape: Shape) -> Cost:
        """Return size and work, for asking a cluster."""
        y, x, channels = shape.inputs
        if self.small_images:
            total = convolution(channels, STEM, 3, y * x)
        else:
            total = convolution(channels, STEM, 7, -(-y // 2) * -(-x // 2))
            y, x = -(-y // 4), -(-x // 4)
        before = STEM
        for stage, (blocks, inner, outer) in enumerate(zip(*STAGES[self.depth], strict=True)):
            pixels = -(-y // 2**stage) * -(-x // 2**stage)
            if before != outer or stage:
                total += convolution(before, outer, 1, pixels)
            for _ in range(blocks):
                total += self._block(before, inner, outer, pixels)
                before = outer
        return total + linear(before, shape.classes)

    def _block(self, before: int, inner: int, outer: int, pixels: int) -> Cost:
        """Return the cost of a block without its shortcut, as if its stride came first."""
        if self.depth < BOTTLENECK_FROM:
            return convolution(before, outer, 3, pixels) + convolution(outer, outer, 3, pixels)
        narrow = convolution(before, inner, 1, pixels) + convolution(inner, inner, 3, pixels)
        return narrow + convolution(inner, outer, 1, pixels)

    def trackable(self) -> dict[str, Layer]:
        """Return the layers that can be tracked, by their names in the model."""
        stem = "resnet.resnet.embedder.embedder.convolution"
        found = {stem: Layer(first=True, unit_norm=True, kernel=7)}
        before = STEM
        for stage, (blocks, _, outer) in enumerate(zip(*STAGES[self.depth], strict=True)):
            for block in range(blocks):
                place = f"resnet.resnet.encoder.stages.{stage}.layers.{block}"
                parts = [f"layer.{i}" for i in range(2 if self.depth < BOTTLENECK_FROM else 3)]
                if block == 0 and (stage or before != outer):
                    parts.append("shortcut")
                found |= {f"{place}.{part}.convolution": Layer(unit_norm=True) for part in parts}
            before = outer
        return found | {"resnet.classifier.1": Layer()}
