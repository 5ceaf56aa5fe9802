"""A sequence classifier from a public checkpoint: options, size and work."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from disobey.models.checkpoint import ROBERTA_BASE, number, read_config
from disobey.models.cost import Cost, Shape, linear
from disobey.models.options.checkpoint import Place
from disobey.models.options.layer import Layer
from disobey.provenance import spec_id
from disobey.stores.layout import PRETRAINED

# Of architectures whose layers have these names: bert, roberta.
ENCODERS = ("bert", "roberta")
PARTS = (
    "attention.self.query", "attention.self.key", "attention.self.value",
    "attention.output.dense", "intermediate.dense", "output.dense",
)  # fmt: skip


class Pretrained(Place):
    """A sequence classifier whose weights, but for a new head, come from a public checkpoint."""

    inputs: ClassVar[tuple[str, ...]] = ("text",)

    family: Literal["pretrained"] = Field(description="a public checkpoint with a new head")
    layers: PositiveInt | None = Field(None, description="only the first ones; all if not given")
    dropout: float | None = Field(
        None, ge=0.0, lt=1.0, description="everywhere; the checkpoint's own if not given"
    )
    tokenizer: str | None = Field(
        None, description="another model of this file whose tokenizer is the same as this one's"
    )

    def store(self, spec: Mapping[str, Any]) -> str:
        """Return the id of the store that a spec of this checkpoint makes."""
        return spec_id(self._name(), spec)

    def config(self) -> Mapping[str, Any] | None:
        """Return the checkpoint's configuration, where it can be read without the hub."""
        place = self.place()
        if place is None:  # of the hub: there as soon as it was fetched
            place = Path(PRETRAINED.format(pretrained=self.store(self.hub_spec())))
        return read_config(place)

    def _name(self) -> str:
        """Return a name that does not change when a folder is moved."""
        if self.checkpoint is not None:
            return self.checkpoint.rpartition("/")[2]
        config = self.config() or {}
        depth = number(config, "num_hidden_layers")
        return f"{config.get('model_type', 'model')}{number(config, 'hidden_size')}x{depth}"

    def label(self) -> str:
        """Return a name for run ids."""
        return self._name() + (f"-first{self.layers}" if self.layers else "")

    def cost(self, shape: Shape) -> Cost:
        """Return size and work, for asking a cluster."""
        return encoder_cost(self.config() or ROBERTA_BASE, self.layers, shape)

    def trackable(self) -> dict[str, Layer]:
        """Return the encoder's linear layers, for the architectures whose names are known here."""
        config = self.config() or ROBERTA_BASE
        kind = config.get("model_type")
        if kind not in ENCODERS:
            return {}
        depths = range(self.layers or number(config, "num_hidden_layers"))
        names = [f"network.{kind}.encoder.layer.{i}.{part}" for i in depths for part in PARTS]
        return {name: Layer() for name in names}


def encoder_cost(config: Mapping[str, Any], layers: int | None, shape: Shape) -> Cost:
    """Return the cost of an encoder like BERT; activations after Korthikanti et al. 2023.

    Exact for BERT and RoBERTa but for the pooling layer, which both count as their head's.
    """
    (tokens,), width = shape.inputs, number(config, "hidden_size")
    inner, heads = number(config, "intermediate_size"), number(config, "num_attention_heads")
    rows = sum(number(config, f) for f in
               ("vocab_size", "max_position_embeddings", "type_vocab_size"))  # fmt: skip
    layer = Cost(
        4 * width**2 + 2 * width * inner + 9 * width + inner,
        (9 * width + 2 * inner) * tokens + 3 * heads * tokens**2,
        tokens * (4 * width**2 + 2 * width * inner) + 2 * tokens**2 * width,
    )
    depth = layers or number(config, "num_hidden_layers")
    total = sum(itertools.repeat(layer, depth), Cost((rows + 2) * width, tokens * width))
    return total + linear(width, width) + linear(width, shape.classes)
