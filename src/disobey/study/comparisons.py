"""Options of external models: comparisons without training, and teachers trained elsewhere."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from disobey.models.options import Checkpoint
from disobey.strict import Strict
from disobey.study.datasets import Name, Path, Paths
from disobey.study.recipes import Positive

Split = Literal["train", "test"]
Checkpoints = Annotated[list[Checkpoint], Field(min_length=1)]
Temperature = Annotated[
    Positive | None,
    Field(description="at which the students were distilled, for tables and figures"),
]
ONE_A_SEED = "one for each seed of the study, in their order"
REFERENCES = "the students' architecture, trained on labels alone; in the same order"
REPLICATES = "further teachers, without students"
ROLE_KEYS = ("teachers", "students", "references", "replicates")


class _Models(Strict):
    """Models that were trained elsewhere."""

    KEYS: ClassVar[tuple[str, ...]] = ROLE_KEYS

    def models(self) -> dict[str, list[Any]]:
        """Return files or checkpoints by the keys that name them; none where a key is not given."""
        return {key: getattr(self, key) or [] for key in self.KEYS}


class _Logits(_Models):
    """Models as files of logits: npz, npy, parquet, or the netCDF of this package."""

    source: Literal["logits"] = Field(description="files of logits")
    replicates: Paths | None = Field(None, description=REPLICATES)
    probabilities: bool = Field(False, description="the files hold probabilities, not logits")


class _Classifiers(_Models):
    """Models as trained classifiers of the Hugging Face hub, or in folders."""

    source: Literal["huggingface"] = Field(description="classifiers of the hub, or in folders")
    replicates: Checkpoints | None = Field(None, description=REPLICATES)
    max_tokens: PositiveInt | None = Field(
        None, description="longer texts are cut; if not given, each model's own limit"
    )


class ComparedLogits(_Logits):
    """A comparison of models as files of logits."""

    temperature: Temperature = None
    teachers: Paths = Field(description=f"{ONE_A_SEED}; below data_root where the study has one")
    students: Paths = Field(description="of these teachers, in the same order")
    references: Paths | None = Field(None, description=REFERENCES)
    dataset: Name | None = Field(
        None, description="of this file: then labels, ids and what the explorer shows come from it"
    )
    labels: Path | None = Field(None, description="a file of them, where the models' hold none")
    classes: Annotated[list[Path], Field(min_length=2)] | None = Field(
        None, description="names in the order of the logits"
    )
    split: Split | None = Field(
        None, description="the split of arrays whose names do not tell it; test if not given"
    )

    @model_validator(mode="after")
    def _told_once(self) -> "ComparedLogits":
        for key in ("labels", "classes"):
            if self.dataset is not None and getattr(self, key) is not None:
                raise ValueError(f"has dataset, which says the {key}; remove one of both")
        return self


class ComparedCheckpoints(_Classifiers):
    """A comparison of trained classifiers."""

    temperature: Temperature = None
    dataset: Name = Field(description="of this file, without label noise")
    teachers: Checkpoints = Field(description=ONE_A_SEED)
    students: Checkpoints = Field(description="of these teachers, in the same order")
    references: Checkpoints | None = Field(None, description=REFERENCES)
    splits: Annotated[list[Split], Field(min_length=1)] = Field(
        ["train", "test"], description="which to run them over"
    )

    @model_validator(mode="after")
    def _each_split_once(self) -> "ComparedCheckpoints":
        if len(set(self.splits)) < len(self.splits):
            raise ValueError(f"splits must differ, got {', '.join(self.splits)}")
        return self


class ExternalLogits(_Logits):
    """Teachers as files of logits, of the training and the test examples."""

    KEYS = ("files", "replicates")

    files: Paths = Field(
        description=f"{ONE_A_SEED}, or one that teaches all; below data_root where the study has "
        "one"
    )


class ExternalCheckpoints(_Classifiers):
    """Teachers as trained classifiers."""

    KEYS = ("checkpoints", "replicates")

    checkpoints: Checkpoints = Field(description=f"{ONE_A_SEED}, or one that teaches all")


Comparison = Annotated[ComparedLogits | ComparedCheckpoints, Field(discriminator="source")]
ExternalTeacher = Annotated[ExternalLogits | ExternalCheckpoints, Field(discriminator="source")]
