"""Options of models in study files, by family, with their cost and layers.

This module does not import torch, so that a dry run stays fast. Networks get plain values from
their spec.
"""

import importlib.util
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, StringConstraints, model_validator

from disobey.models.checkpoint import ROBERTA_BASE, number, read_config
from disobey.models.shapes import (
    BOTTLENECK_FROM,
    MOBILENET_LAST,
    MOBILENET_STAGES,
    MOBILENET_STEM,
    RESNET_STAGES,
    RESNET_STEM,
    Cost,
    Shape,
    convolution,
    linear,
    scaled,
    single_pixels,
)
from disobey.provenance import spec_id
from disobey.stores.layout import PRETRAINED
from disobey.strict import Strict

HubName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)?$")
]
KINDS = ("checkpoint", "folder", "package")
# Architectures whose layers have the names in PARTS.
ENCODERS = ("bert", "roberta")
PARTS = (
    "attention.self.query", "attention.self.key", "attention.self.value",
    "attention.output.dense", "intermediate.dense", "output.dense",
)  # fmt: skip
Widths = Annotated[list[PositiveInt], Field(min_length=1)]


@dataclass(frozen=True)
class Layer:
    """A layer whose weights can be tracked along eigendirections of its input.

    The input of a ``first`` layer is the data itself; that of another layer is the output of a
    trained teacher's previous layers. Batch normalisation follows a ``unit_norm`` layer, so that
    only the direction of a filter has an effect. ``kernel`` is the side of a first convolution's
    kernel in pixels; it is None if a row of weights is multiplied by the whole input.
    """

    first: bool = False
    unit_norm: bool = False
    kernel: int | None = None


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
        """Return size and work, from which the resources of cluster jobs are estimated."""
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
        """Return size and work, from which the resources of cluster jobs are estimated."""
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


# For each stage of a residual network: number of blocks, inner and output channels of a block.
Stages = Sequence[tuple[int, int, int]]


def _blocks(stages: Stages, before: int) -> Iterator[tuple[int, int, tuple[int, int, int], bool]]:
    """Yield each block's stage, number and channels, and True if its shortcut has weights."""
    for stage, (blocks, inner, outer) in enumerate(stages, 1):
        for block in range(1, blocks + 1):
            changes = before != outer or (block == 1 and stage > 1)
            yield stage, block, (before, inner, outer), changes
            before = outer


def _blocks_cost(stages: Stages, before: int, y: int, x: int, *, pre_activation: bool) -> Cost:
    """Return the cost of the blocks, as if the first convolution of a block had its stride."""
    total = Cost()
    for stage, _, (channels, inner, outer), changes in _blocks(stages, before):
        pixels = -(-y // 2 ** (stage - 1)) * -(-x // 2 ** (stage - 1))
        if changes:
            total += convolution(channels, outer, 1, pixels)
            if pre_activation:  # its shortcut shares the block's normalisation
                total += Cost(parameters=-2 * outer)
        parts = [(channels, outer, 3), (outer, outer, 3)]
        if inner != outer:  # a bottleneck
            parts = [(channels, inner, 1), (inner, inner, 3), (inner, outer, 1)]
        for part in parts:
            total += convolution(*part, pixels)
    return total


def _before_activation(stages: Stages, before: int, kernel: int) -> dict[str, Layer]:
    """Return the trackable layers of a network with pre-activation blocks."""
    found = {"stem.convolution": Layer(first=True, kernel=kernel)}
    for stage, block, (_, inner, outer), changes in _blocks(stages, before):
        last = 2 if inner == outer else 3
        for part in range(1, last + 1):
            name = f"stage_{stage}.block_{block}.convolution_{part}"
            found[name] = Layer(unit_norm=part < last)
        if changes:
            found[f"stage_{stage}.block_{block}.shortcut"] = Layer()
    return found | {"classifier": Layer()}


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
        """Return size and work, from which the resources of cluster jobs are estimated."""
        y, x, channels = shape.inputs
        total = convolution(channels, self.widths[0], 3, y * x)
        total += _blocks_cost(
            self._stages(), self.widths[0], y, x, pre_activation=self.pre_activation
        )
        return total + linear(self.widths[-1], shape.classes)

    def trackable(self) -> dict[str, Layer]:
        """Return the layers that can be tracked, by their names in the model."""
        if self.pre_activation:
            return _before_activation(self._stages(), self.widths[0], kernel=3)
        found = {"stem.convolution": Layer(first=True, unit_norm=True, kernel=3)}
        for stage, block, _, changes in _blocks(self._stages(), self.widths[0]):
            for part in ("first", "second", *(["shortcut"] if changes else [])):
                found[f"stage_{stage}.block_{block}.{part}.convolution"] = Layer(unit_norm=True)
        return found | {"classifier": Layer()}

    def _stages(self) -> Stages:
        return [((self.depth - 2) // 6, width, width) for width in self.widths]


class Resnet(Strict):
    """ResNet-18, 34 or 50 (He et al. 2015, table 1), from scratch."""

    inputs: ClassVar[tuple[str, ...]] = ("image",)

    family: Literal["resnet"] = Field(description="residual network for larger images")
    depth: Literal[18, 34, 50] = Field(description="layers with weights; 50 has bottlenecks")
    small_images: bool = Field(
        False, description="a 3 x 3 stem without stride and pooling, for 64 x 64 images"
    )
    pre_activation: bool = Field(
        False, description="normalisation and ReLU before each convolution (He et al. 2016)"
    )

    def label(self) -> str:
        """Return a name for run ids."""
        small, before = self.small_images, self.pre_activation
        return f"resnet{self.depth}{'-small' if small else ''}{'-pre' if before else ''}"

    def refusal(self, shape: Shape) -> str | None:
        """Return the reason for which the model cannot learn from examples of a shape, or None."""
        return None if self.small_images else single_pixels(*shape.inputs[:2])

    def cost(self, shape: Shape) -> Cost:
        """Return size and work, from which the resources of cluster jobs are estimated."""
        y, x, channels = shape.inputs
        if self.small_images:
            total = convolution(channels, RESNET_STEM, 3, y * x)
        else:
            total = convolution(channels, RESNET_STEM, 7, -(-y // 2) * -(-x // 2))
            y, x = -(-y // 4), -(-x // 4)
        stages = self._stages()
        total += _blocks_cost(stages, RESNET_STEM, y, x, pre_activation=self.pre_activation)
        return total + linear(stages[-1][-1], shape.classes)

    def trackable(self) -> dict[str, Layer]:
        """Return the layers that can be tracked, by their names in the model."""
        kernel = 3 if self.small_images else 7
        if self.pre_activation:
            return _before_activation(self._stages(), RESNET_STEM, kernel)
        stem = "resnet.resnet.embedder.embedder.convolution"
        found = {stem: Layer(first=True, unit_norm=True, kernel=kernel)}
        parts = [f"layer.{i}" for i in range(2 if self.depth < BOTTLENECK_FROM else 3)]
        for stage, block, _, changes in _blocks(self._stages(), RESNET_STEM):
            place = f"resnet.resnet.encoder.stages.{stage - 1}.layers.{block - 1}"
            for part in (*parts, *(["shortcut"] if changes else [])):
                found[f"{place}.{part}.convolution"] = Layer(unit_norm=True)
        return found | {"resnet.classifier.1": Layer()}

    def _stages(self) -> Stages:
        return list(zip(*RESNET_STAGES[self.depth], strict=True))


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
        """Return the reason for which the model cannot learn from examples of a shape, or None."""
        return None if self.small_images else single_pixels(*shape.inputs[:2])

    def cost(self, shape: Shape) -> Cost:
        """Return size and work, from which the resources of cluster jobs are estimated."""
        y, x, colours = shape.inputs
        if not self.small_images:
            y, x = -(-y // 2), -(-x // 2)
        channels, last = (
            scaled(MOBILENET_STEM, self.width),
            max(MOBILENET_LAST, scaled(MOBILENET_LAST, self.width)),
        )
        total = convolution(colours, channels, 3, y * x)
        for stage, (expansion, base, blocks, stride) in enumerate(MOBILENET_STAGES, 1):
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
        """Return the layers that can be tracked: all but depthwise convolutions."""
        found = {"stem.convolution": Layer(first=True, unit_norm=True, kernel=3)}
        for stage, (expansion, _, blocks, _) in enumerate(MOBILENET_STAGES, 1):
            for block in range(1, blocks + 1):
                for part in ("project",) if expansion == 1 else ("expand", "project"):
                    name = f"stage_{stage}.block_{block}.residual.{part}.convolution"
                    found[name] = Layer(unit_norm=True)
        return found | {"head.convolution": Layer(unit_norm=True), "classifier": Layer()}


class Timm(Strict):
    """An image classifier of the package timm, from scratch."""

    inputs: ClassVar[tuple[str, ...]] = ("image",)

    family: Literal["timm"] = Field(description="a model of the package timm, from scratch")
    model: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")] = Field(
        description="its name in timm: resnet18, vit_tiny_patch16_224"
    )
    options: dict[str, int | float | bool | str] | None = Field(
        None, description="further arguments of timm.create_model: {img_size: 64}"
    )

    def label(self) -> str:
        """Return a name for run ids."""
        return self.model.replace("_", "-")

    def cost(self, shape: Shape) -> Cost:
        """Return the cost of a ResNet-50 as an estimate; planning does not build the model."""
        return Resnet(family="resnet", depth=50, small_images=True).cost(shape)

    def trackable(self) -> dict[str, Layer]:
        """Return an empty mapping, since the names of timm's layers are not known here."""
        return {}


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
        """Return size and work, from which the resources of cluster jobs are estimated."""
        config = {
            "hidden_size": self.hidden,
            "intermediate_size": 4 * self.hidden,
            "num_attention_heads": self.heads,
            "vocab_size": shape.vocabulary,
            "max_position_embeddings": shape.inputs[0] + 2,  # see `disobey.models.roberta`
        }
        return encoder_cost(config, self.layers, shape)

    def trackable(self) -> dict[str, Layer]:
        """Return the layers that can be tracked, by their names in the model."""
        ends = ["roberta.classifier.dense", "roberta.classifier.out_proj"]
        names = [*_encoder_layers("roberta.roberta", self.layers), *ends]
        return {name: Layer() for name in names}


class Place(Strict):
    """Exactly one place of a checkpoint."""

    checkpoint: HubName | None = Field(None, description="its name on the hub")
    revision: str | None = Field(
        None, description="of a checkpoint on the hub: a commit, so that it stays the same"
    )
    folder: str | None = Field(
        None, description="the checkpoint's folder, or, with package, the one inside the package"
    )
    package: Annotated[str, StringConstraints(pattern=r"^\w+$")] | None = Field(
        None, description="an installed Python package that holds the checkpoint's folder"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> "Place":
        kinds = [kind for kind in KINDS if getattr(self, kind) is not None]
        if kinds not in (["checkpoint"], ["folder"], ["folder", "package"]):
            given = " and ".join(kinds) or "none"
            raise ValueError(
                f"needs exactly one of checkpoint (a name on the hub), folder, and package with "
                f"folder; got {given}"
            )
        if self.revision is not None and self.checkpoint is None:
            raise ValueError("revision is of a checkpoint on the hub; remove it")
        return self

    def place(self) -> Path | None:
        """Return the checkpoint's folder on this machine; None for one on the hub.

        Raises
        ------
        ModuleNotFoundError
            If the package is not installed.
        """
        if self.folder is None:
            return None
        if self.package is None:
            return Path(self.folder)
        found = importlib.util.find_spec(self.package)
        if found is None or not found.submodule_search_locations:
            raise ModuleNotFoundError(self.package)
        return Path(found.submodule_search_locations[0], self.folder)

    def source(self) -> tuple[str | None, ...]:
        """Return the source of the weights, which is equal for models with the same weights."""
        return self.checkpoint, self.revision, self.folder, self.package

    def hub_spec(self) -> dict[str, Any]:
        """Return the spec of the store of a checkpoint on the hub."""
        return {"checkpoint": self.checkpoint} | (
            {} if self.revision is None else {"revision": self.revision}
        )


class Checkpoint(Place):
    """A trained classifier, as `transformers` saves it."""

    outputs: Annotated[list[str], Field(min_length=2)] | None = Field(
        None,
        description="the data set's class names in the order of the model's outputs, where its own "
        "names (id2label) are others",
    )

    def label(self) -> str:
        """Return a name for store ids, tables and figures, independent of the folder's path."""
        if self.checkpoint is not None:
            return self.checkpoint.rpartition("/")[2]
        return str(self.config().get("model_type", "model"))

    def config(self) -> Mapping[str, Any]:
        """Return the configuration; it is empty if only the hub has it."""
        place = self.place()
        return (read_config(place) if place is not None else None) or {}


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
        """Return the id of this checkpoint's store, given its spec."""
        return spec_id(self._name(), spec)

    def config(self) -> Mapping[str, Any] | None:
        """Return the checkpoint's configuration if it can be read without the hub, else None."""
        place = self.place()
        if place is None:  # on the hub: its store exists once it is fetched
            place = Path(PRETRAINED.format(pretrained=self.store(self.hub_spec())))
        return read_config(place)

    def _name(self) -> str:
        """Return a name that is independent of the folder's path."""
        if self.checkpoint is not None:
            return self.checkpoint.rpartition("/")[2]
        config = self.config() or {}
        depth = number(config, "num_hidden_layers")
        return f"{config.get('model_type', 'model')}{number(config, 'hidden_size')}x{depth}"

    def label(self) -> str:
        """Return a name for run ids."""
        return self._name() + (f"-first{self.layers}" if self.layers else "")

    def cost(self, shape: Shape) -> Cost:
        """Return size and work, from which the resources of cluster jobs are estimated."""
        return encoder_cost(self.config() or ROBERTA_BASE, self.layers, shape)

    def trackable(self) -> dict[str, Layer]:
        """Return the encoder's linear layers, for architectures with known layer names."""
        config = self.config() or ROBERTA_BASE
        kind = config.get("model_type")
        if kind not in ENCODERS:
            return {}
        depth = self.layers or number(config, "num_hidden_layers")
        return {name: Layer() for name in _encoder_layers(f"network.{kind}", depth)}


def _encoder_layers(network: str, depth: int) -> list[str]:
    return [f"{network}.encoder.layer.{i}.{part}" for i in range(depth) for part in PARTS]


def encoder_cost(config: Mapping[str, Any], layers: int | None, shape: Shape) -> Cost:
    """Return the cost of an encoder like BERT, with activations by Korthikanti et al. 2023.

    It is exact for BERT and RoBERTa except for the pooling layer, which is part of the head.
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
        """Return size and work, from which the resources of cluster jobs are estimated."""
        features = math.prod(shape.inputs)
        return Cost(features, features, features)

    def trackable(self) -> dict[str, Layer]:
        """Return an empty mapping, since different channels' weights share no directions."""
        return {}


ModelOptions = Annotated[
    Mlp
    | SmallResnet
    | CifarResnet
    | MobilenetV2
    | Resnet
    | Timm
    | Roberta
    | Pretrained
    | ChannelLinear,
    Field(discriminator="family"),
]
