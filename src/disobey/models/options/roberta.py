"""RoBERTa: options, size and work."""

import itertools
from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from disobey.models.cost import Cost, Shape, linear
from disobey.models.options.layer import Layer
from disobey.strict import Strict


class Roberta(Strict):
    """A RoBERTa sequence classifier from a `transformers` configuration, from scratch."""

    inputs: ClassVar[tuple[str, ...]] = ("text",)

    family: Literal["roberta"] = Field(description="RoBERTa, from scratch")
    hidden: PositiveInt = Field(128, description="width; a multiple of heads")
    layers: PositiveInt = Field(2, description="blocks of attention and two dense layers")
    heads: PositiveInt = Field(2, description="of the attention in each layer")
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
