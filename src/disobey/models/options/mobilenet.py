"""MobileNetV2: options, size and work."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from disobey.models.cost import Cost, Shape, convolution, linear
from disobey.models.mobilenet_v2_stages import LAST, STAGES, STEM, scaled
from disobey.models.options.layer import Layer
from disobey.models.shrinking import single_pixels
from disobey.strict import Strict


class MobilenetV2(Strict):
    """MobileNetV2 (Sandler et al. 2018), from scratch."""

    inputs: ClassVar[tuple[str, ...]] = ("image",)

    family: Literal["mobilenet_v2"] = Field(description="MobileNetV2, from scratch")
    width: Annotated[float, Field(gt=0, le=4)] = Field(
        1.0, description="factor of all channels, which stay multiples of eight"
    )
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="before the classifier")
    small_images: bool = Field(
        False, description="no stride in the stem and the first strided stage, for 32 x 32 images"
    )

    def label(self) -> str:
        """Return a name for run ids."""
        width = "" if self.width == 1 else f"x{self.width:g}"
        return f"mobilenetv2{width}{'-small' if self.small_images else ''}"

    def refusal(self, shape: Shape) -> str | None:
        """Return why examples of a shape cannot be learnt from; None where they can."""
        return None if self.small_images else single_pixels(*shape.inputs[:2])

    def cost(self, shape: Shape) -> Cost:
        """Return size and work, for asking a cluster."""
        y, x, colours = shape.inputs
        if not self.small_images:
            y, x = -(-y // 2), -(-x // 2)
        channels, last = scaled(STEM, self.width), max(LAST, scaled(LAST, self.width))
        total = convolution(colours, channels, 3, y * x)
        for stage, (expansion, base, blocks, stride) in enumerate(STAGES, 1):
            width = scaled(base, self.width)
            for block in range(blocks):
                hidden = expansion * channels
                if expansion != 1:
                    total += convolution(channels, hidden, 1, y * x)
                if stride == 2 and block == 0 and not (self.small_images and stage == 2):
                    y, x = -(-y // 2), -(-x // 2)
                depthwise = Cost(11 * hidden, 3 * hidden * y * x, 9 * hidden * y * x)
                total += depthwise + convolution(hidden, width, 1, y * x)
                channels = width
        return total + convolution(channels, last, 1, y * x) + linear(last, shape.classes)

    def trackable(self) -> dict[str, Layer]:
        """Return the layers that can be tracked; depthwise convolutions have no matrix."""
        found = {"stem.convolution": Layer(first=True, unit_norm=True, kernel=3)}
        for stage, (expansion, _, blocks, _) in enumerate(STAGES, 1):
            for block in range(1, blocks + 1):
                for part in ("project",) if expansion == 1 else ("expand", "project"):
                    name = f"stage_{stage}.block_{block}.residual.{part}.convolution"
                    found[name] = Layer(unit_norm=True)
        return found | {"head.convolution": Layer(unit_norm=True), "classifier": Layer()}
