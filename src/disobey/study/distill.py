"""Options of a student's loss in study files: one model for each loss of the registry."""

import functools
import operator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    create_model,
    field_validator,
    model_validator,
)

from disobey.strict import Strict, spec_of
from disobey.study.recipes import Fraction
from disobey.training.losses import DEFAULT, TEMPERATURE, Loss, losses


def _no_count(given: Any) -> Any:  # noqa: ANN401 - whatever YAML gave
    """Refuse 15000 in the place of a share of the training: a number of steps, most likely."""
    if isinstance(given, int | float) and not isinstance(given, bool) and given > 1:
        raise ValueError(
            f"is a share of the training, 0 to 1, got {given}; for a step write its share of all "
            f"steps, such as 0.5, and unit: steps"
        )
    return given


Share = Annotated[Fraction, BeforeValidator(_no_count)]


class Switch(Strict):
    """A change between distillation and one-hot labels within one training."""

    order: Literal["distillation_first", "one_hot_first"] = Field(
        description="what the training begins with, and so what it ends with"
    )
    at: Share = Field(description="share of the training, in its unit, before the change")
    ramp: Share | None = Field(
        None, description="share over which the change takes place, centred on at; 0 is at once"
    )
    unit: Literal["steps"] | None = Field(
        None,
        description="steps: shares are of the number of steps; if not given, of the cumulative "
        "learning rate",
    )

    @field_validator("ramp")
    @classmethod
    def _zero_is_off(cls, value: float | None) -> float | None:
        return value or None

    @model_validator(mode="after")
    def _inside_of_the_training(self) -> Self:
        """Refuse a change that begins before the training, or ends after it."""
        around = (self.ramp or 0) / 2
        if around <= min(self.at, 1 - self.at) + 1e-9:
            return self
        room = 2 * min(self.at, 1 - self.at)
        fit = f"at: {around:g}, or more" if self.at < 0.5 else f"at: {1 - around:g}, or less"
        remedy = f"ramp: {room:g}, or less" if room else f"{fit}, or remove ramp"
        raise ValueError(
            f"a change from {self.at - around:g} to {self.at + around:g} is not inside the "
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
    teacher: Literal["auto", "views", "live"] | None = Field(
        None,
        description="under augmentation, views: its logits on every view are stored once, for all "
        "students; live: it is run in every step; auto, if not given: by their size on disk",
    )

    @property
    def softening(self) -> float:
        """The temperature, 1 for a loss that has none."""
        return float(getattr(self, TEMPERATURE, 1.0))

    @property
    def words(self) -> str:
        """Its name in figures and tables, with the parameters that differ from their defaults."""
        return self.registered.in_words(spec_of(self))

    @field_validator("teacher")
    @classmethod
    def _auto_is_off(cls, value: str | None) -> str | None:
        """Read auto as not given: the same training has one id."""
        return None if value == "auto" else value

    @model_validator(mode="after")
    def _learns_something(self) -> Self:
        """Refuse a loss without a teacher that says how to see one, or leaves out the labels."""
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
    # The default is not named, so that one training has one id.
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


def loss(value: Any) -> str:  # noqa: ANN401 - whatever YAML gave
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
