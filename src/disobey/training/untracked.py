"""What a training follows its weights with, and the one that follows nothing."""

from collections.abc import Mapping
from typing import Any, Protocol

from disobey.stores.writer import NetcdfWriter


class Tracker(Protocol):
    """Follows the weights of one training; see `disobey.training.progress`."""

    def after_step(self, step: int) -> None:
        """Record, if ``step`` steps are one of the points."""

    def state(self) -> dict[str, Any]:
        """Return what a resumed training needs."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved `state`."""

    def write(self, writer: NetcdfWriter) -> None:
        """Write the group ``progress`` of a run's history."""


class Untracked:
    """Records nothing."""

    def after_step(self, step: int) -> None:
        """Do nothing."""

    def state(self) -> dict[str, Any]:
        """Return an empty state."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Do nothing."""

    def write(self, writer: NetcdfWriter) -> None:
        """Write an empty group: each history has one."""
        writer.annotate("progress", basis="")
