"""Options of recipes and of distillation in study files: how models are trained.

``distill`` has one model for each loss of `disobey.training.losses`.
"""

import functools
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    WithJsonSchema,
    create_model,
    model_validator,
)

from disobey.errors import nearest
from disobey.strict import Strict, spec_of
from disobey.study.datasets import Name
from disobey.study.wording import Mistake
from disobey.training.losses import DEFAULT, TEMPERATURE, Loss, losses
from disobey.training.schedules import misfit


def off(*values: object) -> AfterValidator:
    """Return a validator that turns ``values`` into None, so that equal trainings share an id."""
    return AfterValidator(lambda value: None if value in values else value)


Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Inside = Annotated[float, Field(gt=0, lt=1)]


# Part of the schema for editors: exactly one of the two keys is given.
ONE_UNIT: dict[str, Any] = {"oneOf": [{"required": ["epochs"]}, {"required": ["steps"]}]}


class _InOneUnit(Strict):
    """A model with ``epochs`` and ``steps``, of which one is given."""

    model_config = ConfigDict(json_schema_extra=ONE_UNIT)
    EXAMPLE: ClassVar[str]

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        units = [unit for unit in ("epochs", "steps") if getattr(self, unit) is not None]
        if len(units) == 2:
            raise ValueError("both epochs and steps are given; remove one of them")
        if not units:
            raise ValueError(f"neither epochs nor steps are given; write {self.EXAMPLE}")
        return self


class Span(_InOneUnit):
    """A time from the start of a training: so many epochs, or so many steps."""

    EXAMPLE = "{epochs: 15}, or {steps: 1000}"

    epochs: PositiveInt | None = Field(None, description="passes over the training examples")
    steps: PositiveInt | None = Field(None, description="batches")


Times = Annotated[list[PositiveInt], Field(min_length=1)] | None


class Points(_InOneUnit):
    """Times from the start of a training, all in epochs, or all in steps."""

    EXAMPLE = "{epochs: [100, 150]}, or {steps: [10000, 15000]}"

    epochs: Times = Field(None, description="passes over the training examples")
    steps: Times = Field(None, description="batches")


def _no_counts(value: Any) -> Any:
    """Refuse a number such as 15 as a share of all steps: it may mean epochs, or steps."""
    counts = value if isinstance(value, list) else [value]
    if counts and all(type(count) is int and count >= 1 for count in counts):
        raise ValueError(
            f"a number without a unit is a share of all steps, below 1; got {value}: write "
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


def _with_base(schema: dict[str, Any]) -> None:
    """Allow a recipe with a base to omit any key, in the schema for editors."""
    required = {"required": schema.pop("required"), **ONE_UNIT}
    schema["anyOf"] = [{"required": ["base"]}, required]
    schema["not"] = {"required": ["epochs", "steps"]}


class Recipe(_InOneUnit):
    """Options of a training; teacher, reference and student share them unless said otherwise."""

    model_config = ConfigDict(json_schema_extra=_with_base)
    EXAMPLE = "epochs: 200, or steps: 25000"

    base: Name | None = Field(
        None,
        exclude=True,
        description="another recipe of this file, whose keys this one has unless it gives them "
        "itself; null switches one of them off",
    )
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
    warmup: Annotated[Warmup | None, off(0)] = Field(
        None,
        description="how long lr rises linearly: a share of all steps (0.1), {epochs: 15} or "
        "{steps: 1000}; with every schedule but one_cycle",
    )
    milestones: Milestones | None = Field(
        None,
        description="schedule steps only: where lr is divided by ten, in shares of all steps "
        "([0.5, 0.75]), {epochs: [100, 150]} or {steps: [10000, 15000]}, the warm-up included",
    )
    momentum: Annotated[Fraction | None, off(0)] = Field(None, description="sgd only")
    nesterov: bool = Field(False, description="sgd with momentum only")
    weight_decay: Annotated[float | None, Field(ge=0), off(0)] = Field(
        None, description="L2 for sgd and adam, decoupled for adamw"
    )
    label_smoothing: Annotated[Fraction | None, off(0)] = Field(
        None, description="of the one-hot loss"
    )
    one_hot_temperature: Annotated[float | None, Field(ge=0), off(0, 1)] = Field(
        None,
        description="T of the one-hot loss, T^2 CE(label, softmax(logits / T)); 1 if not given. Of "
        "a distilled student it is the label's term, which weight 1 leaves out",
    )
    precision: Annotated[Literal["fp32", "bf16"] | None, off("fp32")] = Field(
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
    snapshots: Times = Field(
        None,
        description="epochs, before the last one ends, after which the weights are kept, for "
        "over_training",
    )

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> "Recipe":
        """Refuse options that would silently have no effect."""
        given = [name for name in ("momentum", "nesterov") if getattr(self, name)]
        if self.optimizer != "sgd" and given:
            raise ValueError(
                f"optimizer {self.optimizer} does not use {' and '.join(given)}; "
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
        if self.compile and self.cuda_graph:
            raise ValueError("compile and cuda_graph cannot be combined; remove one of them")
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> "Recipe":
        """Refuse options that conflict for any data; the training checks the rest."""
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


# --- recipes with a base ---------------------------------------------------------------------


def recipe_over(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a base, overridden by a recipe's own keys.

    A duration replaces the base's duration in the other unit, and None removes a key of the base.
    """
    units = ("epochs", "steps")
    kept = {
        key: value
        for key, value in base.items()
        if not (key in units and any(own.get(unit) is not None for unit in units))
    }
    return {key: value for key, value in (kept | dict(own)).items() if value is not None}


def resolved(recipes: Mapping[str, Any]) -> tuple[dict[str, Any], list[Mistake]]:
    """Return the file's recipes with ``base`` replaced by the base's keys, and the mistakes.

    Mistakes are bases that do not exist, and circles. Recipes that are not mappings are returned
    unchanged; the models refuse them.
    """
    found: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    for name, recipe in recipes.items():
        chain = [name]
        while (base := base_of(recipes, chain[-1])) in recipes and base not in chain:
            chain.append(str(base))
        here = ("recipes", name, "base")
        if base in chain:
            circle = " -> ".join([*chain, str(base)])
            mistakes.append((here, f"is its own base in the end ({circle}); remove one base"))
        elif base is not None and len(chain) == 1:  # else reported for the last recipe of the chain
            mistakes.append((here, f"there is no recipe '{base}'; {nearest(base, recipes)}"))
        whole: dict[str, Any] = {}
        for inherited in reversed(chain):
            if isinstance(recipes[inherited], dict):
                whole = recipe_over(whole, recipes[inherited])
        found[name] = {k: v for k, v in whole.items() if k != "base"} if chain[1:] else recipe
    return found, mistakes


def base_of(recipes: Mapping[str, Any], name: str) -> str | None:
    """Return the name of a recipe's base, or None."""
    recipe = recipes[name]
    base = recipe.get("base") if isinstance(recipe, dict) else None
    return base if isinstance(base, str) else None


# --- distillation ----------------------------------------------------------------------------


def _no_count(given: Any) -> Any:
    """Refuse a number such as 15000 as a share of the training: it most likely means steps."""
    if isinstance(given, int | float) and not isinstance(given, bool) and given > 1:
        raise ValueError(
            f"must be a share of the training, 0 to 1, got {given}; to switch at a step, write its "
            f"share of all steps, such as 0.5, and unit: steps"
        )
    return given


Share = Annotated[Fraction, BeforeValidator(_no_count)]


class Switch(Strict):
    """A change between distillation and one-hot labels within one training."""

    order: Literal["distillation_first", "one_hot_first"] = Field(
        description="what the training begins with, and so what it ends with"
    )
    at: Share = Field(description="share of the training, in its unit, before the change")
    ramp: Annotated[Share | None, off(0)] = Field(
        None, description="share over which the change takes place, centred on at; 0 is at once"
    )
    unit: Literal["steps"] | None = Field(
        None,
        description="steps: shares are of the number of steps; if not given, of the cumulative "
        "learning rate",
    )

    @model_validator(mode="after")
    def _inside_of_the_training(self) -> Self:
        """Refuse a change that begins before the training or ends after it."""
        around = (self.ramp or 0) / 2
        if around <= min(self.at, 1 - self.at) + 1e-9:
            return self
        room = 2 * min(self.at, 1 - self.at)
        fit = f"at: {around:g}, or more" if self.at < 0.5 else f"at: {1 - around:g}, or less"
        remedy = f"ramp: {room:g}, or less" if room else f"{fit}, or remove ramp"
        raise ValueError(
            f"the change from {self.at - around:g} to {self.at + around:g} extends beyond the "
            f"training, 0 to 1; write {remedy}"
        )


class Distill(Strict):
    """(1 - weight) CE(label, student) + weight times the loss."""

    model_config = ConfigDict(validate_default=True)
    registered: ClassVar[Loss]

    weight: Fraction = Field(
        1.0, description="of the loss; 1 leaves out the cross-entropy with the label"
    )
    switch: Switch | None = Field(None, description="distil for a part of the training only")
    teacher: Annotated[Literal["auto", "views", "live"] | None, off("auto")] = Field(
        None,
        description="under augmentation, views: its logits on every view are stored once, for all "
        "students; live: it is run in every step; auto, if not given: by their size on disk",
    )

    @property
    def softening(self) -> float:
        """The temperature; 1 for a loss without a temperature."""
        return float(getattr(self, TEMPERATURE, 1.0))

    @property
    def words(self) -> str:
        """The name of the loss in figures and tables, with parameters that are not the defaults."""
        return self.registered.in_words(spec_of(self))

    @model_validator(mode="after")
    def _learns_something(self) -> Self:
        """Refuse a loss without a teacher that has options of a teacher, or ignores the labels."""
        if self.registered.needs_teacher:
            return self
        name = self.registered.name
        if self.teacher is not None:
            raise ValueError(f"loss {name} has no teacher: teacher has no effect; remove it")
        if self.weight == 1:
            raise ValueError(
                f"loss {name} has no teacher, so the student needs labels, which weight: 1 leaves "
                f"out; write weight: 0.1, or another share below 1"
            )
        return self


def _model_of(loss: Loss) -> type[Distill]:
    """Return the model of ``distill`` with the parameters of a loss."""
    # The default loss is left out of specs, so that one training has one id.
    is_default = loss.name == DEFAULT
    named: Any = Literal[loss.name]
    if is_default:
        schema = {"const": loss.name, "type": "string"}
        named = Annotated[named | None, AfterValidator(lambda _: None), WithJsonSchema(schema)]
    fields: dict[str, Any] = {
        name: (
            parameter.annotation,
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for name, parameter in loss.parameters.items()
    }
    words = Field(None if is_default else ..., description=f"{loss.formula}; {loss.source}")
    model = create_model(
        f"Distill{loss.name.title().replace('_', '')}",
        __base__=Distill,
        __doc__=f"(1 - weight) CE(label, student) + weight L, with L = {loss.formula}.",
        loss=(named, words),
        **fields,
    )
    model.registered = loss
    return model


def loss(value: Any) -> str:
    """Return the loss that ``distill`` names; messages call the key by this function's name."""
    if isinstance(value, dict):
        given = value.get("loss")
        return DEFAULT if given is None else str(given)
    return value.registered.name if isinstance(value, Distill) else DEFAULT


DISTILL = {name: _model_of(one) for name, one in losses().items()}
if TYPE_CHECKING:
    AnyDistill = Distill
else:
    tagged = (Annotated[model, Tag(name)] for name, model in DISTILL.items())
    AnyDistill = Annotated[functools.reduce(operator.or_, tagged), Discriminator(loss)]
