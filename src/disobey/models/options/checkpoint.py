"""Where a public checkpoint lies: on the hub, in a folder, or in an installed package."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from disobey.models.checkpoint import read_config
from disobey.strict import Strict

HubName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)?$")
]
KINDS = ("checkpoint", "folder", "package")


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
            When the package is not installed.
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
        """Return what two models share that start from the same weights."""
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
        """Return a name for store ids, tables and figures, which no move of a folder changes."""
        if self.checkpoint is not None:
            return self.checkpoint.rpartition("/")[2]
        return str(self.config().get("model_type", "model"))

    def config(self) -> Mapping[str, Any]:
        """Return the configuration, where it can be read without the hub; else nothing."""
        place = self.place()
        return (read_config(place) if place is not None else None) or {}
