"""What a study file may say of a model; free of torch, so that a dry run stays fast.

Stages do not import this module: they get plain values out of their spec, so a new option here
makes nothing stale.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from disobey.strict import Strict

Widths = Annotated[list[PositiveInt], Field(min_length=1)]


class Mlp(Strict):
    """A multilayer perceptron over the flattened image."""

    inputs: ClassVar[str] = "image"

    family: Literal["mlp"]
    hidden: Widths = Field([256, 256], description="units of each hidden layer")

    def label(self) -> str:
        """Return a name for run ids."""
        return "mlp" + "x".join(map(str, self.hidden))


class SmallResnet(Strict):
    """A small residual network: a strided stem, then one strided block per width."""

    inputs: ClassVar[str] = "image"

    family: Literal["small_resnet"]
    stem: PositiveInt = Field(16, description="channels of the first convolution, stride 2")
    widths: Widths = Field([32, 64], description="channels of each residual block, stride 2")

    def label(self) -> str:
        """Return a name for run ids."""
        return "resnet" + "x".join(map(str, [self.stem, *self.widths]))


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


ModelOptions = Annotated[Mlp | SmallResnet | Roberta, Field(discriminator="family")]
