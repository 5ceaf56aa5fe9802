"""The study file as pydantic models: its keys, their types and their defaults."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    field_validator,
    model_validator,
)

from disobey.analysis.names import CONTROLS, ONE_HOT_AT_T, PAIRS, PLACEBOS
from disobey.models.options import ChannelLinear, ModelOptions
from disobey.stores.layout import SHARED_FOLDERS
from disobey.strict import Strict
from disobey.study.comparisons import Comparison, ExternalTeacher
from disobey.study.datasets import Builtin, Dataset, Name, Seed
from disobey.study.recipes import AnyDistill, Inside, Positive, Recipe, off
from disobey.study.sizes import Data, sizes_of


def _plain(value: Any) -> Any:
    if not isinstance(value, str | int | float | bool):
        raise ValueError("must be a word, a number, true or false")
    return value


Value = Annotated[Any, AfterValidator(_plain)]

# Value of label smoothing in the placebo label_smoothing.
SMOOTHING = 0.1


class Pairs(Strict):
    """Pairs of a top and a bottom eigendirection, as the paper draws them: 15, at random."""

    top: int = Field(PAIRS, ge=PAIRS, description="top directions are the first so many")
    bottom: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)] = Field(
        [20, 60], description="first and last rank of bottom directions"
    )
    seed: Seed = Field(0, description="of the draw")

    @model_validator(mode="after")
    def _enough_directions(self) -> Self:
        first, last = self.bottom
        if first <= self.top:
            words = f"begins among the top directions; write {self.top + 1} or more"
            raise ValueError(f"bottom: {first} {words}, or a smaller top ({PAIRS} at least)")
        if last - first + 1 < PAIRS:
            raise ValueError(
                f"bottom: {first} to {last} are {max(last - first + 1, 0)} directions for {PAIRS} "
                f"pairs; write [{first}, {first + PAIRS - 1}], or more"
            )
        return self


class Bias(Strict):
    """Measure the implicit bias: progress of weights along eigendirections of a layer's input."""

    layers: Annotated[list[str], Field(min_length=1)] = Field(description="names in the model")
    directions: Annotated[list[PositiveInt], Field(min_length=2)] | None = Field(
        None, description="ranks of eigenvalues, 1 first; if not given: 1, 2, 3, 5, 9, 17, ..."
    )
    placebos: list[Literal[PLACEBOS]] = Field(  # type: ignore[valid-type]
        list(PLACEBOS),
        description="one-hot runs that no distillation made differ; one_hot_at_T (the label's loss "
        "at the student's temperature) is left out where that is 1: it would be the reference",
    )
    smoothing: Inside = Field(
        SMOOTHING, description="of the labels, in the placebo label_smoothing"
    )
    pairs: Pairs | None = Field(
        None,
        description="count pairs of directions along which the student has learnt less than its "
        "teacher, as the paper does by eye; {} takes the paper's. The teacher is tracked too",
    )

    @field_validator("directions")
    @classmethod
    def _leading_first(cls, ranks: list[int] | None) -> list[int] | None:
        """Require the leading direction among the ranks: progress along it is the clock."""
        if ranks is not None and (ranks[0] != 1 or sorted(set(ranks)) != ranks):
            raise ValueError(f"directions must rise from 1, got {ranks}")
        return ranks

    @model_validator(mode="after")
    def _pairs_are_tracked(self) -> Self:
        if self.pairs is not None and self.directions is not None:
            first, last = self.pairs.bottom
            needed = [*range(1, self.pairs.top + 1), *range(first, last + 1)]
            missing = [rank for rank in needed if rank not in self.directions]
            if missing:
                words = "of which pairs are made; add it, or leave directions out"
                raise ValueError(f"directions have no rank {missing[0]}, {words}")
        return self

    def tracked(self) -> list[int] | None:
        """Return the ranks to track; None if the spectrum determines them."""
        if self.pairs is None or self.directions is not None:
            return self.directions
        return list(range(1, self.pairs.bottom[1] + 1))


class StudentOf(Strict):
    """A teacher that is another setting's student: repeated distillation."""

    setting: Name = Field(description="a setting of this file, whose student is the teacher")


class External(Strict):
    """A teacher that was trained elsewhere."""

    external: Name = Field(description="one of teachers")


def _kind_of_teacher(value: object) -> str:
    # Earlier versions called the key `trained`; it is refused as a key of `External`.
    keys = {"external", "trained"}
    if isinstance(value, External) or (isinstance(value, dict) and keys & value.keys()):
        return "external"
    return "setting" if isinstance(value, dict | StudentOf) else "model"


def name_of(teacher: "str | StudentOf | External") -> str:
    """Return the name of a setting's teacher in tables and figures."""
    if isinstance(teacher, StudentOf):
        return f"student of {teacher.setting}"
    return teacher.external if isinstance(teacher, External) else teacher


Teacher = Annotated[
    Annotated[Name, Tag("model")]
    | Annotated[StudentOf, Tag("setting")]
    | Annotated[External, Tag("external")],
    Discriminator(_kind_of_teacher),
]


def _three_per_cent(given: Any) -> Any:
    numbers = given if isinstance(given, list) else []
    known = [n for n in numbers if type(n) in (int, float) and 0 <= n <= 100]
    if len(known) != 3 or len(numbers) != 3:
        raise ValueError(
            "must be three numbers between 0 and 100: per cent of teacher, one-hot student and "
            "distilled student, for example [72.52, 72.52, 74.55]"
        )
    if max(known) <= 1:
        raise ValueError(f"must be in per cent; write {[round(100 * n, 6) for n in known]}")
    return given


ThreePerCent = Annotated[list[float], BeforeValidator(_three_per_cent)]


class PaperAccuracies(Strict):
    """Accuracies that the paper reports of a setting, in per cent."""

    train: ThreePerCent | None = Field(
        None, description="of training examples: [teacher, one-hot student, distilled student]"
    )
    test: ThreePerCent | None = Field(None, description="the same of test examples")

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if self.train is None and self.test is None:
            raise ValueError("holds neither train nor test; write test: [72.52, 72.52, 74.55]")
        return self


class Setting(Strict):
    """One row of a study: data set, teacher, student, recipe, distillation."""

    dataset: Name = Field(description="one of datasets")
    teacher: Teacher = Field(
        description="a model; {setting: NAME} for that setting's student; {external: NAME} for one "
        "of teachers"
    )
    student: Name = Field(description="one of models; the reference has the same architecture")
    recipe: Name = Field(description="one of recipes, for teacher, reference and student")
    teacher_recipe: Name | None = Field(None, description="where the teacher has another one")
    teacher_fits: Literal["interpolating", "non_interpolating"] | None = Field(
        None,
        description="what the teacher must turn out to be: with 99.5 % of its given training "
        "labels right, or with fewer; else verdicts on it are withheld",
    )
    distill: AnyDistill = Field(description="the loss of the student")
    initialisation: Literal["teacher"] | None = Field(
        None,
        description="teacher: student, reference and placebos start from the weights that the "
        "teacher of their seed started from, with their own batch order; if not given, all but the "
        "teacher share a start of their own",
    )
    student_share: Annotated[Annotated[float, Field(gt=0, le=1)] | None, off(1)] = Field(
        None,
        description="student, reference and their controls see this share of the training examples "
        "(a draw that keeps each class's share, one for all seeds); the teacher sees all, and what "
        "it says of the others leaks to the student",
    )
    bias: Bias | None = Field(
        None, description="track progress along eigendirections, and train the placebos"
    )
    controls: Annotated[list[Literal[CONTROLS]], Field(min_length=1)] | None = Field(  # type: ignore[valid-type]
        None,
        description="trained and held against the student: placebos without a bias, double_length "
        "(the reference, twice as long) and student_at_1 (a student at temperature 1)",
    )
    over_training: bool = Field(False, description="analyse the recipe's snapshots too")
    paper: PaperAccuracies | None = Field(
        None,
        description="accuracies that the paper reports of this setting; printed beside ours",
    )

    @property
    def placebos(self) -> tuple[str, ...]:
        """The one-hot runs that differ from the reference: placebos of its bias, or controls."""
        named = self.bias.placebos if self.bias is not None else self.controls or ()
        same = self.distill.softening == 1
        return tuple(placebo for placebo in named if not (same and placebo == ONE_HOT_AT_T))


# Keys of a setting that name entries of the file, and the parts of the file with these entries.
NAMING = {
    "dataset": "datasets",
    "teacher": "models",
    "student": "models",
    "recipe": "recipes",
    "teacher_recipe": "recipes",
}
# Tables of the file whose entries have keys that a sweep may vary.
RECIPES = ("recipe", "teacher_recipe")


def _check_varied(key: str) -> None:
    """Refuse a dotted key of a setting without a plain value; unknown keys are reported later."""
    if key in ("teacher.setting", "teacher.external"):
        return
    model: type[Strict] | None = Setting
    first, *rest = parts = key.split(".")
    if rest and first in RECIPES:
        if rest == ["base"]:
            raise ValueError(f"'{key}' is no key that a run has; write vary: {{{first}: [a, b]}}")
        model, parts = Recipe, rest
    elif rest and first in NAMING:
        table = NAMING[first]
        raise ValueError(
            f"'{first}' names an entry of {table}, whose keys cannot be varied; add a second "
            f"entry to {table} and write vary: {{{first}: [a, b]}}"
        )
    for index, part in enumerate(parts):
        if model is None:
            at = key.removesuffix("." + ".".join(parts[index:]))
            raise ValueError(f"'{at}' has no part '{part}'; write a value")
        if part not in model.model_fields:
            return
        model = _model_in(model.model_fields[part].annotation)
    if model is not None:
        required = (part for part, field in model.model_fields.items() if field.is_required())
        example = f"{key}.{next(required, next(iter(model.model_fields)))}"
        raise ValueError(f"'{key}' has parts; vary these one by one, for example {example}")


def _model_in(annotation: Any) -> type[Strict] | None:
    """Return the first model among a key's types; None if it also allows a plain value."""
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not type(None)]
    kinds = [(get_args(kind) or (kind,))[0] for kind in kinds]  # the type of Annotated types
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Strict)]
    return models[0] if len(models) == len(kinds) else None


class Sweep(Strict):
    """Copies of a setting that differ in the values of some of its keys, in all combinations."""

    base: Name = Field(description="a setting of this file")
    vary: Annotated[dict[str, Annotated[list[Value], Field(min_length=1)]], Field(min_length=1)] = (
        Field(
            description="key of the setting, with dots, to a list of values; recipe.lr, and any "
            "other key of its recipe, is varied for the teacher too unless that has a "
            "teacher_recipe"
        )
    )

    @field_validator("vary", mode="before")
    @classmethod
    def _keys_hold_values(cls, given: Any) -> Any:
        """Check the keys first, since a check of values means nothing for a wrong key."""
        keys = list(given) if isinstance(given, dict) else []
        for key in keys:
            _check_varied(key)
            if key == "teacher" and any(isinstance(value, dict) for value in given[key] or ()):
                raise ValueError(
                    "a mapping cannot be varied as a whole; give the base such a teacher, and "
                    "write vary: {teacher.external: [a, b]}, or {teacher.setting: [a, b]}"
                )
            if any(other.startswith(f"{key}.") for other in keys):
                raise ValueError(f"'{key}' is varied as a whole and in parts; remove one of them")
        return given


class Analysis(Strict):
    """Options of the intervals."""

    resamples: int = Field(1000, ge=100, description="bootstrap resamples of the test examples")
    seed: Seed = Field(0, description="of the draw of resamples")


class Views(Strict):
    """Storage of teachers' logits on augmented images."""

    dtype: Literal["float32", "float16"] = Field(
        "float32", description="float16: half the bytes, logits rounded to three or four digits"
    )
    limit_gb: Positive = Field(
        50.0, description="larger views of one teacher are not stored: it is run live instead"
    )


class Study(Strict):
    """One experiment file."""

    study: Name = Field(description="its name: results go to results/NAME/")
    seeds: Annotated[list[Seed], Field(min_length=1)] = Field(
        description="one teacher, reference and student each; two at least for a verdict"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto takes a GPU if there is one"
    )
    data_root: str | None = Field(
        None, description="folder that the paths of data sets of source files start from"
    )
    gpus: PositiveInt = Field(
        1, description="of one training, of one machine: each takes its share of every batch"
    )
    jobs_per_gpu: Literal[1, 2, 4, 8] | None = Field(
        None,
        description="that share a GPU of this machine, where each takes one; by their size, if not "
        "given. 1: a GPU for each",
    )
    datasets: dict[Name, Dataset] = Field(
        default_factory=dict,
        description="by names of yours: sources of data and their preparation",
    )
    models: dict[Name, ModelOptions] = Field(
        default_factory=dict,
        description="by names of yours: architectures, for teachers and students alike",
    )
    teachers: dict[Name, ExternalTeacher] = Field(
        default_factory=dict,
        description="by names of yours: teachers that were trained elsewhere, for students here",
    )
    recipes: dict[Name, Recipe] = Field(
        default_factory=dict, description="by names of yours: how models are trained"
    )
    settings: dict[Name, Setting] = Field(
        default_factory=dict,
        description="by names of yours: what is trained and compared, one row each",
    )
    sweeps: dict[Name, Sweep] = Field(
        default_factory=dict,
        description="by names of yours: copies of settings that differ in keys",
    )
    comparisons: dict[Name, Comparison] = Field(
        default_factory=dict,
        description="by names of yours: models that were made elsewhere; nothing is trained",
    )
    views: Views = Field(Views(), description="how teachers' logits on augmented images are kept")
    analysis: Analysis = Field(Analysis(), description="how intervals are computed")

    @property
    def named(self) -> tuple[str, ...]:
        """The names of settings, then of comparisons."""
        return (*self.settings, *self.comparisons)

    def sizes(self, dataset: str) -> Data:
        """Return the sizes of one of the study's data sets."""
        return sizes_of(self.datasets[dataset], self.data_root)

    def model_of_teacher(self, setting: Setting) -> str | None:
        """Return the name of a setting's teacher model; None if it was trained elsewhere."""
        teacher = setting.teacher
        if isinstance(teacher, StudentOf):
            return self.settings[teacher.setting].student
        return None if isinstance(teacher, External) else teacher

    def has_directions(self, setting: Setting) -> bool:
        """Return whether the true directions of the classes are known, to compare weights with."""
        data = self.datasets[setting.dataset]
        models = (self.model_of_teacher(setting), setting.student)
        linear = all(isinstance(self.models.get(str(name)), ChannelLinear) for name in models)
        return linear and isinstance(data, Builtin) and data.has_directions

    def includes_mean(self, setting: Setting) -> bool:
        """Return whether the eigendirections of a setting's data include that of their mean.

        As in the paper's experiments on eigendirections, features are not centred as images are,
        and neither are data whose pairs are counted, unless ``centre`` is given.
        """
        data, bias = self.datasets[setting.dataset], setting.bias
        if data.centre is not None or bias is None:
            return False
        return data.kind == "feature" or bias.pairs is not None

    @field_validator("study")
    @classmethod
    def _own_folder(cls, name: str) -> str:
        """Refuse the names of shared folders, since a study's folder is next to them."""
        if name in SHARED_FOLDERS:
            raise ValueError(f"'{name}' is already a folder of results/; choose another name")
        return name
