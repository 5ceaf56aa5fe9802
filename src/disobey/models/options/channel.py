"""A linear classifier over channels: options, size and work."""

import math
from typing import ClassVar, Literal

from pydantic import Field

from disobey.models.cost import Cost, Shape
from disobey.models.options.layer import Layer
from disobey.strict import Strict


class ChannelLinear(Strict):
    """One channel of features for each class, and a linear logit of it."""

    inputs: ClassVar[tuple[str, ...]] = ("feature",)

    family: Literal["channel_linear"] = Field(
        description="for each class a linear logit of that class's own channel"
    )

    def label(self) -> str:
        """Return a name for run ids."""
        return "channel-linear"

    def cost(self, shape: Shape) -> Cost:
        """Return size and work, for asking a cluster."""
        features = math.prod(shape.inputs)
        return Cost(features, features, features)

    def trackable(self) -> dict[str, Layer]:
        """Return no layer: a channel's weights have no directions in common with another's."""
        return {}
