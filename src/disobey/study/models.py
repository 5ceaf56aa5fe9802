"""The study file as pydantic models: what may be written, of what type, with which default."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    PositiveInt,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from disobey.analysis.names import PLACEBOS
from disobey.models.options.families import ModelOptions
from disobey.stores.layout import SHARED_FOLDERS
from disobey.strict import Strict

# Names become parts of file names and of Snakemake wildcards.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=60)]
Seed = Annotated[int, Field(ge=0, lt=1_000_000)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Inside = Annotated[float, Field(gt=0, lt=1)]


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever YAML gave
    if not isinstance(value, str | int | float | bool):
        raise ValueError("must be a word, a number, true or false")
    return value


Value = Annotated[Any, AfterValidator(_plain)]


class LabelNoise(Strict):
    """Exactly round(rate x n) training labels, balanced by class, moved to another class."""

    rate: float = Field(gt=0, lt=1, description="share of the training labels that are moved")
    seed: Seed = Field(0, description="the draw; the same for every seed of the study")


class Tokenizer(Strict):
    """A byte-level BPE, trained on the training rows."""

    vocabulary: int = Field(
        2000, ge=261, description="tokens, with the 256 bytes and 5 special ones"
    )
    max_tokens: int = Field(24, ge=3, description="longer rows are cut, <s> and </s> counted")


class TokenizerOf(Strict):
    """The tokenizer of a pretrained model of the same file."""

    of: Name = Field(description="a model of family pretrained")
    max_tokens: int = Field(128, ge=3, description="longer rows are cut, special tokens counted")


def _kind_of_tokenizer(value: object) -> str:
    borrowed = "of" in value if isinstance(value, dict) else isinstance(value, TokenizerOf)
    return "pretrained" if borrowed else "trained"


AnyTokenizer = Annotated[
    Annotated[Tokenizer, Tag("trained")] | Annotated[TokenizerOf, Tag("pretrained")],
    Discriminator(_kind_of_tokenizer),
]


class Augment(Strict):
    """Views of the training images: each epoch shows one view of every image."""

    crop_padding: PositiveInt | None = Field(
        None, description="black pixels around the image, out of which a crop of its size is cut"
    )
    flip: bool = Field(False, description="mirrored, half of the time")

    @model_validator(mode="after")
    def _does_something(self) -> "Augment":
        if not self.crop_padding and not self.flip:
            raise ValueError("has no effect; write crop_padding: 4, or flip: true, or remove it")
        return self


class BuiltinImages(Strict):
    """Images that come with an installed package."""

    kind: ClassVar[str] = "image"

    source: Literal["builtin"]
    name: Literal["mnist5k", "digits"]
    label_noise: LabelNoise | None = None
    centre: Literal["pixel"] | None = Field(
        None, description="subtract the mean training image, not only each channel's mean"
    )
    augment: Augment | None = None


class BuiltinText(Strict):
    """Text that comes with an installed package."""

    kind: ClassVar[str] = "text"
    centre: ClassVar[str | None] = None  # tokens have no mean
    augment: ClassVar[None] = None

    source: Literal["builtin"]
    name: Literal["cldr-langid"]
    tokenizer: AnyTokenizer = Tokenizer()
    label_noise: LabelNoise | None = None


Dataset = Annotated[BuiltinImages | BuiltinText, Field(discriminator="name")]


class Recipe(Strict):
    """How a model is trained; the same for teacher, reference and student unless said otherwise."""

    optimizer: Literal["sgd", "adamw"]
    lr: Positive = Field(description="peak learning rate")
    epochs: PositiveInt
    batch: PositiveInt = 128
    schedule: Literal["constant", "cosine", "linear", "one_cycle", "steps"] = Field(
        "cosine", description="shape of the learning rate after the warm-up"
    )
    warmup: Fraction | None = Field(None, description="share of all steps that warm up linearly")
    milestones: Annotated[list[Inside], Field(min_length=1)] | None = Field(
        None, description="schedule steps only: where, in shares of all steps, lr is divided by ten"
    )
    momentum: Fraction | None = Field(None, description="sgd only")
    nesterov: bool = Field(False, description="sgd with momentum only")
    weight_decay: float | None = Field(None, ge=0)
    label_smoothing: Fraction | None = Field(None, description="of the one-hot loss")
    precision: Literal["fp32", "bf16"] | None = Field(
        None, description="of matrix products in training; fp32 if not given"
    )
    compile: bool = Field(False, description="with torch.compile, which takes a minute first")
    snapshots: Annotated[list[PositiveInt], Field(min_length=1)] | None = Field(
        None, description="epochs after which the weights are kept, for over_training"
    )

    @field_validator("precision")
    @classmethod
    def _fp32_is_off(cls, value: str | None) -> str | None:
        """Read fp32 as not given: the same training has one id."""
        return None if value == "fp32" else value

    @field_validator("warmup", "momentum", "weight_decay", "label_smoothing")
    @classmethod
    def _zero_is_off(cls, value: float | None) -> float | None:
        """Read 0 as not given: the same training has one id."""
        return value or None

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
        if self.milestones is not None and sorted(set(self.milestones)) != self.milestones:
            raise ValueError(f"milestones must rise, got {self.milestones}")
        return self

    @model_validator(mode="after")
    def _snapshots_lie_inside(self) -> "Recipe":
        kept = self.snapshots or []
        if sorted(set(kept)) != kept:
            raise ValueError(f"snapshots must rise, got {kept}")
        if kept and kept[-1] >= self.epochs:
            raise ValueError(
                f"snapshots must lie before the last epoch, {self.epochs}, which is kept anyway; "
                f"got {kept[-1]}"
            )
        return self


class Switch(Strict):
    """A change between distillation and one-hot labels within one training."""

    order: Literal["distillation_first", "one_hot_first"]
    at: Fraction = Field(description="share of the cumulative learning rate")
    ramp: Fraction | None = Field(
        None, description="share of it over which the change takes place, centred; 0 is at once"
    )

    @field_validator("ramp")
    @classmethod
    def _zero_is_off(cls, value: float | None) -> float | None:
        return value or None


class Distill(Strict):
    """(1 - weight) CE(label, student) + weight T^2 KL(teacher^(T) || student^(T))."""

    temperature: Positive
    weight: Fraction = Field(1.0, description="of the teacher's term; 1 leaves the label out")
    switch: Switch | None = Field(None, description="distil for a part of the training only")
    teacher: Literal["auto", "views", "live"] | None = Field(
        None,
        description="under augmentation, views: its logits on every view are stored once, for all "
        "students; live: it is run in every step; auto, if not given: by their size on disk",
    )

    @field_validator("teacher")
    @classmethod
    def _auto_is_off(cls, value: str | None) -> str | None:
        """Read auto as not given: the same training has one id."""
        return None if value == "auto" else value


class Bias(Strict):
    """Measure the implicit bias: progress of weights along eigendirections of a layer's input."""

    layers: Annotated[list[str], Field(min_length=1)] = Field(description="names in the model")
    directions: Annotated[list[PositiveInt], Field(min_length=2)] | None = Field(
        None, description="ranks of eigenvalues, 1 first; if not given: 1, 2, 3, 5, 9, 17, ..."
    )
    placebos: list[Literal[PLACEBOS]] = Field(  # type: ignore[valid-type]
        list(PLACEBOS), description="one-hot runs that no distillation made differ"
    )
    smoothing: Inside = Field(0.1, description="of the labels, in the placebo label_smoothing")

    @field_validator("directions")
    @classmethod
    def _leading_first(cls, ranks: list[int] | None) -> list[int] | None:
        """The clock is progress along the leading direction: it must be there."""
        if ranks is not None and (ranks[0] != 1 or sorted(set(ranks)) != ranks):
            raise ValueError(f"directions must rise from 1, got {ranks}")
        return ranks


class StudentOf(Strict):
    """A teacher that is another setting's student: repeated distillation."""

    setting: Name


def _kind_of_teacher(value: object) -> str:
    return "setting" if isinstance(value, dict | StudentOf) else "model"


Teacher = Annotated[
    Annotated[Name, Tag("model")] | Annotated[StudentOf, Tag("setting")],
    Discriminator(_kind_of_teacher),
]


class Setting(Strict):
    """One row of a study: data set, teacher, student, recipe, distillation."""

    dataset: Name
    teacher: Teacher = Field(description="a model, or {setting: NAME} for that setting's student")
    student: Name
    recipe: Name
    teacher_recipe: Name | None = Field(None, description="where the teacher has another one")
    teacher_fits: Literal["interpolating", "non_interpolating"] | None = Field(
        None,
        description="what the teacher must turn out to be: with 99.5 % of its given training "
        "labels right, or with fewer; else verdicts on it are withheld",
    )
    distill: Distill
    bias: Bias | None = None
    over_training: bool = Field(False, description="analyse the recipe's snapshots too")


class Sweep(Strict):
    """Copies of a setting that differ in the values of some of its keys, in all combinations."""

    base: Name = Field(description="a setting of this file")
    vary: Annotated[dict[str, Annotated[list[Value], Field(min_length=1)]], Field(min_length=1)] = (
        Field(description="key of the setting, with dots, to a list of values")
    )


class Analysis(Strict):
    """How intervals are computed."""

    resamples: int = Field(1000, ge=100, description="bootstrap resamples of the test examples")
    seed: Seed = 0


class Views(Strict):
    """How teachers' logits on augmented images are stored."""

    dtype: Literal["float32", "float16"] = Field(
        "float32", description="float16: half the bytes, logits rounded to three or four digits"
    )
    limit_gb: Positive = Field(
        50.0, description="larger views of one teacher are not stored: it is run live instead"
    )


class Study(Strict):
    """One experiment file."""

    study: Name
    seeds: Annotated[list[Seed], Field(min_length=1)]
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto takes a GPU where there is one"
    )
    datasets: Annotated[dict[Name, Dataset], Field(min_length=1)]
    models: Annotated[dict[Name, ModelOptions], Field(min_length=1)]
    recipes: Annotated[dict[Name, Recipe], Field(min_length=1)]
    settings: Annotated[dict[Name, Setting], Field(min_length=1)]
    sweeps: dict[Name, Sweep] = Field(default_factory=dict)
    views: Views = Views()
    analysis: Analysis = Analysis()

    @field_validator("study")
    @classmethod
    def _own_folder(cls, name: str) -> str:
        """A study's results lie beside the stores that all studies share."""
        if name in SHARED_FOLDERS:
            raise ValueError(f"'{name}' is a folder of results/ already; choose another name")
        return name
