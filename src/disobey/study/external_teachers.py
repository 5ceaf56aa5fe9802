"""What a study file may say of teachers that were trained elsewhere, for students of its own."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from disobey.models.options import Checkpoint
from disobey.strict import Strict
from disobey.study.comparisons import Checkpoints
from disobey.study.datasets import Paths


class ExternalLogits(Strict):
    """Teachers as files of logits, of the training and the test examples."""

    source: Literal["logits"] = Field(description="files of logits")
    files: Paths = Field(
        description="one for each seed of the study, in their order, or one that teaches all; "
        "below data_root where the study has one"
    )
    replicates: Paths | None = Field(None, description="further teachers, without students")
    probabilities: bool = Field(False, description="the files hold probabilities, not logits")

    def models(self) -> dict[str, list[str]]:
        """Return the files by their keys, replicates last."""
        return {"files": self.files, "replicates": self.replicates or []}


class ExternalCheckpoints(Strict):
    """Teachers as trained classifiers of the Hugging Face hub, or in folders."""

    source: Literal["huggingface"] = Field(description="classifiers of the hub, or in folders")
    checkpoints: Checkpoints = Field(
        description="one for each seed of the study, in their order, or one that teaches all"
    )
    replicates: Checkpoints | None = Field(None, description="further teachers, without students")
    max_tokens: PositiveInt | None = Field(
        None, description="longer texts are cut; if not given, each model's own limit"
    )

    def models(self) -> dict[str, list[Checkpoint]]:
        """Return the checkpoints by their keys, replicates last."""
        return {"checkpoints": self.checkpoints, "replicates": self.replicates or []}


ExternalTeacher = Annotated[ExternalLogits | ExternalCheckpoints, Field(discriminator="source")]
