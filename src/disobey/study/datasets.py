"""Options of data sets in study files."""

import re
from abc import abstractmethod
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, PositiveInt, StringConstraints, Tag, model_validator

from disobey.data.images import LARGEST_STORED, SHOWN
from disobey.data.sources import builtin_sources
from disobey.strict import Strict, spec_of

# Names become parts of file names and of Snakemake wildcards.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=60)]
Seed = Annotated[int, Field(ge=0, lt=1_000_000)]
Path = Annotated[str, Field(min_length=1)]
Paths = Annotated[list[Path], Field(min_length=1)]

# The contents of data sets, as worded in messages.
PLURAL = {"image": "images", "text": "text", "feature": "features"}

# Options that apply to only one kind of content.
OPTIONS_OF = {"image": ("centre", "augment", "size"), "text": ("tokenizer", "drop_empty")}
# Options of runs on a data set that its store does not depend on.
OF_RUNS = ("label_noise", "centre", "augment")


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
        None,
        description="pixels around the image, out of which a crop of its size is cut: black ones, "
        "or the margin that a large image has",
    )
    flip: bool = Field(False, description="mirrored, half of the time")

    @model_validator(mode="after")
    def _does_something(self) -> "Augment":
        if not self.crop_padding and not self.flip:
            raise ValueError("has no effect; write crop_padding: 4, or flip: true, or remove it")
        return self


class Subset(Strict):
    """A part of the rows, drawn once, with each class's share kept."""

    train: PositiveInt | None = Field(None, description="training rows; all if not given")
    test: PositiveInt | None = Field(None, description="test rows; all if not given")
    seed: Seed = Field(0, description="the draw")

    @model_validator(mode="after")
    def _does_something(self) -> "Subset":
        if self.train is None and self.test is None:
            raise ValueError("has no effect; write train: 10000, or test: 1000, or remove it")
        return self


class Columns(Strict):
    """The roles of a table's columns."""

    image: Path | None = Field(None, description="the column of images; or write text")
    text: Path | None = Field(None, description="the column of texts; or write image")
    text_pair: Path | None = Field(None, description="the second sentence of a pair")
    label: Path = Field("label", description="the column of classes, as numbers or names")
    id: Path | None = Field(
        None, description="whole numbers that name examples; if not given, rows are counted"
    )

    @model_validator(mode="after")
    def _one_kind_of_input(self) -> "Columns":
        if (self.image is None) == (self.text is None):
            raise ValueError("must name either image or text; for example text: sentence")
        if self.text_pair is not None and self.text is None:
            raise ValueError("text_pair needs text; add text: and the column of the first text")
        named = list(spec_of(self).values())
        twice = [column for column in named if named.count(column) > 1]
        if twice:
            raise ValueError(f"column '{twice[0]}' is named twice; use each column once")
        return self


class Features(Strict):
    """Random features in the place of images or vectors: scale max(0, w . x), w ~ N(0, I / d)."""

    kind: Literal["random_relu"] = Field(
        description="ReLU of random projections of pixels in [0, 1], or of vectors as they are"
    )
    number: PositiveInt = Field(5000, description="features of an example")
    seed: Seed = Field(0, description="the draw; the same for every model")
    scale: float = Field(0.3, gt=0, description="all features are multiplied by it")


class _Dataset(Strict):
    """Options of every data set."""

    subset: Subset | None = Field(None, description="use a part of the rows")
    label_noise: LabelNoise | None = Field(
        None, description="move training labels to other classes"
    )
    centre: Literal["pixel"] | None = Field(
        None, description="subtract the mean training image, not only each channel's mean"
    )
    augment: Augment | None = Field(None, description="train on another view in each epoch")
    features: Features | None = Field(
        None, description="computed once, of the rows of subset; models read them in the place of x"
    )
    tokenizer: AnyTokenizer | None = Field(None, description="of text; if not given, a small one")

    @property
    @abstractmethod
    def rows(self) -> str:
        """The kind of its rows: ``image``, ``text`` or ``feature``."""

    @property
    def kind(self) -> str:
        """The kind of input that models read: ``image``, ``text`` or ``feature``."""
        return self.rows if self.features is None else "feature"

    @property
    def encoded(self) -> bool:
        """True if its images stay encoded in the store."""
        return (getattr(self, "size", None) or 0) > LARGEST_STORED

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> "_Dataset":
        for other, keys in OPTIONS_OF.items():
            given = [key for key in keys if getattr(self, key, None)]
            if given and other != self.rows:
                words = f"has no {PLURAL[other]}, so {given[0]} has no effect; remove {given[0]}"
                raise ValueError(words)
        if self.encoded and self.centre:
            raise ValueError(
                f"centre: pixel needs all images in memory, but images of more than "
                f"{LARGEST_STORED} pixels stay encoded; remove centre, or write size: 64"
            )
        padding = self.augment.crop_padding if self.augment else None
        size = getattr(self, "size", None) or 0
        margin = (round(size / SHOWN) - size) // 2  # on each side, see `disobey.data.images`
        if self.encoded and padding and padding > margin:
            raise ValueError(
                f"crop_padding: {padding} exceeds the margin of these images, "
                f"{margin} pixels; write crop_padding: {margin}"
            )
        return self

    @model_validator(mode="after")
    def _features_are_of_fixed_numbers(self) -> "_Dataset":
        if self.features is None:
            return self
        if self.rows == "text":
            raise ValueError("has text, but random features need numbers; remove features")
        for key, why in (
            ("augment", "are computed once, from each original image"),
            ("centre", "are computed from images that are not centred"),
        ):
            if getattr(self, key):
                raise ValueError(f"features {why}; remove {key}, or features")
        if self.encoded:
            raise ValueError(
                f"features need images of at most {LARGEST_STORED} pixels; write size: "
                f"{LARGEST_STORED}, or less"
            )
        return self

    def prepare_spec(self) -> dict[str, Any]:
        """Return the spec of the prepared store, without the content of files."""
        spec = spec_of(self)
        for key in OF_RUNS:
            spec.pop(key, None)
        if self.kind == "text":
            spec["tokenizer"] = spec_of(self.tokenizer or Tokenizer())
        return spec


class Draw(Strict):
    """The draw of synthetic data."""

    seed: Seed = Field(0, description="the draw; the same data for every seed of the study")
    scaling: Literal["relative", "plain"] = Field(
        "relative",
        description="of the signal of similar classes: relative to the margin of the example's own "
        "class, so that all examples can be classified; plain: without regard to it",
    )


class Builtin(_Dataset):
    """A data set that comes with an installed package, or is drawn at random."""

    source: Literal["builtin"] = Field(description="an installed package")
    name: Literal[tuple(builtin_sources())] = Field(  # type: ignore[valid-type]
        description="; ".join(f"{name}: {one.words}" for name, one in builtin_sources().items())
    )
    draw: Draw | None = Field(None, description="of similar-classes; if not given, draw 0")

    @property
    def rows(self) -> str:
        """``image``, ``text`` or ``feature``."""
        return builtin_sources()[self.name].kind

    @property
    def has_directions(self) -> bool:
        """True if the direction of each class is known, in the space that models read."""
        return self.rows == "feature" and self.features is None

    @model_validator(mode="after")
    def _drawn_only_if_synthetic(self) -> "Builtin":
        if self.draw is not None and self.rows != "feature":
            raise ValueError(f"{self.name} is not drawn at random: draw has no effect; remove it")
        return self

    def prepare_spec(self) -> dict[str, Any]:
        """Return the spec of the prepared store."""
        spec = super().prepare_spec()
        return spec | ({"draw": dict(self.draw or Draw())} if self.rows == "feature" else {})


class _Table(_Dataset):
    """A data set that is a table of rows."""

    columns: Columns = Field(description="which column is what")
    classes: Annotated[list[Path], Field(min_length=2)] | None = Field(
        None, description="names in the order of their numbers; if not given, as the data says"
    )
    first_classes: Annotated[int, Field(ge=2)] | None = Field(
        None, description="keep the rows of this many classes, the first ones"
    )
    size: Annotated[int, Field(ge=8)] | None = Field(
        None,
        description="side of the square that is cut out of the middle of each image; needed where "
        f"images differ in size or are larger than {LARGEST_STORED}",
    )
    drop_empty: bool = Field(False, description="leave out rows without text instead of refusing")

    @property
    def rows(self) -> str:
        """``image`` or ``text``."""
        return "text" if self.columns.text else "image"

    @model_validator(mode="after")
    def _classes_differ(self) -> "_Table":
        names = self.classes or []
        if len(set(names)) < len(names):
            raise ValueError(f"class names must be unique, got {', '.join(names)}")
        if self.classes and self.first_classes and self.first_classes > len(names):
            given, known = self.first_classes, len(names)
            words = f"first_classes is {given}, but classes has {known}"
            raise ValueError(f"{words}; write up to {known}")
        return self


class Hub(_Table):
    """A data set of the Hugging Face hub; code of its repository never runs."""

    source: Literal["hub"] = Field(description="a repository of the Hugging Face hub")
    path: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")] = Field(
        description="owner/name"
    )
    config: Path | None = Field(None, description="one of several tables of the repository")
    revision: Path | None = Field(None, description="commit, tag or branch; main if not given")
    train: Path = Field("train", description="the split to train on")
    test: Path = Field("test", description="the split to test on, with labels")

    @property
    def name(self) -> str:
        """The repository's name and configuration, for ids and figures."""
        words = [self.path.rpartition("/")[2], self.config or ""]
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join(filter(None, words)))[:60]


class Files(_Table):
    """The user's own files: parquet, CSV, JSON lines, npz, or a folder of images."""

    source: Literal["files"] = Field(description="files of yours")
    name: Name = Field(description="what ids and figures call it")
    train: Path | Paths = Field(
        description="file, files, pattern or, for images in one folder per class, a folder; "
        "below data_root where the study has one"
    )
    test: Path | Paths = Field(description="the same, of the examples to test on")


Dataset = Annotated[Builtin | Hub | Files, Field(discriminator="source")]
