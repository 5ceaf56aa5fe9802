"""Options of recipes in study files: how models are trained."""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    field_validator,
    model_validator,
)

from disobey.strict import Strict, spec_of
from disobey.training.schedules import misfit

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Inside = Annotated[float, Field(gt=0, lt=1)]


def _one_unit(given: "Span | Points | Recipe", example: str) -> None:
    """Refuse what is said in two units at once, or in none."""
    units = [unit for unit in ("epochs", "steps") if getattr(given, unit) is not None]
    if len(units) == 2:
        raise ValueError("both epochs and steps are given; remove one of them")
    if not units:
        raise ValueError(f"neither epochs nor steps are given; write {example}")


# The same for editors.
ONE_UNIT = ConfigDict(
    json_schema_extra={"oneOf": [{"required": ["epochs"]}, {"required": ["steps"]}]}
)


class Span(Strict):
    """A time from the start of a training: so many epochs, or so many steps."""

    model_config = ONE_UNIT

    epochs: PositiveInt | None = Field(None, description="passes over the training examples")
    steps: PositiveInt | None = Field(None, description="batches")

    @model_validator(mode="after")
    def _says_one(self) -> "Span":
        _one_unit(self, "{epochs: 15}, or {steps: 1000}")
        return self


class Points(Strict):
    """Times from the start of a training, all in epochs, or all in steps."""

    model_config = ONE_UNIT

    epochs: Annotated[list[PositiveInt], Field(min_length=1)] | None = Field(
        None, description="passes over the training examples"
    )
    steps: Annotated[list[PositiveInt], Field(min_length=1)] | None = Field(
        None, description="batches"
    )

    @model_validator(mode="after")
    def _says_one(self) -> "Points":
        _one_unit(self, "{epochs: [100, 150]}, or {steps: [10000, 15000]}")
        return self


def _no_counts(value: Any) -> Any:  # noqa: ANN401 - whatever YAML gave
    """Refuse 15 in the place of a share of all steps: it may be epochs, or steps."""
    counts = value if isinstance(value, list) else [value]
    if counts and all(type(count) is int and count >= 1 for count in counts):
        raise ValueError(
            f"without a unit it is a share of all steps, below 1; got {value}: write "
            f"{{epochs: {value}}}, or {{steps: {value}}}"
        )
    return value


def _has_units(value: object) -> str:
    return "in units" if isinstance(value, dict | Span | Points) else "in shares"


Warmup = Annotated[
    Annotated[float, Field(ge=0, lt=1), BeforeValidator(_no_counts), Tag("in shares")]
    | Annotated[Span, Tag("in units")],
    Discriminator(_has_units),
]
Milestones = Annotated[
    Annotated[list[Inside], Field(min_length=1), BeforeValidator(_no_counts), Tag("in shares")]
    | Annotated[Points, Tag("in units")],
    Discriminator(_has_units),
]


class Evaluate(Strict):
    """Accuracy in evaluation mode along a training; it changes no weight."""

    points: Annotated[int, Field(ge=2)] = Field(
        20, description="logarithmically spaced steps, the first and the last among them"
    )
    examples: PositiveInt = Field(
        300,
        description="of each split, a fixed random part; all where the split has no more. Each "
        "point costs a pass over them",
    )


class Recipe(Strict):
    """How a model is trained; the same for teacher, reference and student unless said otherwise."""

    model_config = ONE_UNIT

    optimizer: Literal["sgd", "adam", "adamw"] = Field(
        description="stochastic gradient descent, Adam, or AdamW"
    )
    lr: Positive = Field(description="peak learning rate")
    epochs: PositiveInt | None = Field(
        None, description="how long it is, in passes over the training examples; or write steps"
    )
    steps: PositiveInt | None = Field(
        None,
        description="how long it is, in batches; or write epochs. It may end inside of an epoch, "
        "whose history is then over the examples that were seen",
    )
    batch: PositiveInt = Field(128, description="examples in a step, over all GPUs")
    schedule: Literal["constant", "cosine", "linear", "one_cycle", "steps"] = Field(
        "cosine", description="shape of the learning rate after the warm-up"
    )
    warmup: Warmup | None = Field(
        None,
        description="how long lr rises linearly: a share of all steps (0.1), {epochs: 15} or "
        "{steps: 1000}; with every schedule but one_cycle",
    )
    milestones: Milestones | None = Field(
        None,
        description="schedule steps only: where lr is divided by ten, in shares of all steps "
        "([0.5, 0.75]), {epochs: [100, 150]} or {steps: [10000, 15000]}, the warm-up included",
    )
    momentum: Fraction | None = Field(None, description="sgd only")
    nesterov: bool = Field(False, description="sgd with momentum only")
    weight_decay: float | None = Field(
        None, ge=0, description="L2 for sgd and adam, decoupled for adamw"
    )
    label_smoothing: Fraction | None = Field(None, description="of the one-hot loss")
    one_hot_temperature: float | None = Field(
        None,
        ge=0,
        description="T of the one-hot loss, T^2 CE(label, softmax(logits / T)); 1 if not given. Of "
        "a distilled student it is the label's term, which weight 1 leaves out",
    )
    precision: Literal["fp32", "bf16"] | None = Field(
        None, description="of matrix products in training; fp32 if not given"
    )
    compile: bool = Field(False, description="with torch.compile, which takes a minute first")
    cuda_graph: bool = Field(
        False,
        description="replay a step as one CUDA graph, faster where the network is small; images in "
        "memory, one GPU. Has not run on a GPU yet",
    )
    evaluate: Evaluate | None = Field(
        None,
        description="record training accuracy (of given labels) and test accuracy at some steps; "
        "{} for the defaults",
    )
    snapshots: Annotated[list[PositiveInt], Field(min_length=1)] | None = Field(
        None,
        description="epochs, before the last one ends, after which the weights are kept, for "
        "over_training",
    )

    @field_validator("precision")
    @classmethod
    def _fp32_is_off(cls, value: str | None) -> str | None:
        """Read fp32 as not given: the same training has one id."""
        return None if value == "fp32" else value

    @field_validator("warmup", "momentum", "weight_decay", "label_smoothing")
    @classmethod
    def _zero_is_off(cls, value: float | Span | None) -> float | Span | None:
        """Read 0 as not given: the same training has one id."""
        return value or None

    @field_validator("one_hot_temperature")
    @classmethod
    def _one_is_off(cls, value: float | None) -> float | None:
        """Read 1, and 0, as not given: the same training has one id."""
        return None if value in (0, 1) else value

    @model_validator(mode="after")
    def _says_how_long(self) -> "Recipe":
        _one_unit(self, "epochs: 200, or steps: 25000")
        return self

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> "Recipe":
        """Refuse an option that would silently do nothing."""
        given = [name for name in ("momentum", "nesterov") if getattr(self, name)]
        if self.optimizer != "sgd" and given:
            raise ValueError(
                f"optimizer {self.optimizer} has no {' and no '.join(given)}; "
                f"remove {' and '.join(given)}, or write optimizer: sgd"
            )
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs momentum above 0; add momentum: 0.9")
        if self.schedule == "steps" and self.milestones is None:
            raise ValueError("schedule steps needs milestones; add milestones: [0.5, 0.75]")
        if self.schedule != "steps" and self.milestones is not None:
            raise ValueError(
                f"schedule {self.schedule} has no milestones; "
                f"remove milestones, or write schedule: steps"
            )
        if self.schedule == "one_cycle" and self.warmup is not None:
            raise ValueError("schedule one_cycle has its own warm-up; remove warmup")
        return self

    @model_validator(mode="after")
    def _compiled_or_replayed(self) -> "Recipe":
        if self.compile and self.cuda_graph:
            raise ValueError("compile and cuda_graph do not go together; remove one of them")
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> "Recipe":
        """Refuse what cannot be whatever the data are; the rest is checked by the training."""
        wrong = misfit(spec_of(self))
        if wrong is not None:
            raise ValueError(wrong)
        return self

    @model_validator(mode="after")
    def _snapshots_lie_inside(self) -> "Recipe":
        kept = self.snapshots or []
        if sorted(set(kept)) != kept:
            raise ValueError(f"snapshots must rise, got {kept}")
        if kept and self.epochs is not None and kept[-1] >= self.epochs:
            raise ValueError(
                f"snapshots must be before the last epoch, {self.epochs}, which is kept anyway; "
                f"got {kept[-1]}"
            )
        return self
