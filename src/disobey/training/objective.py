"""The objective of a run: the label's cross-entropy and, for a student, its distillation loss."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from disobey.errors import UserError
from disobey.training.components import component
from disobey.training.losses import LABEL, STUDENT, TEACHER, TEMPERATURE, loss_of

# (student_logits (batch, class), index of the batch's examples (batch,), step) -> scalar loss
Objective = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]


class Teacher:
    """The teacher of a student: a function that maps a batch's index to the teacher's logits."""

    def look(self, inputs: torch.Tensor) -> None:
        """Receive the student's inputs of a batch, before the teacher is called with its index."""

    def __call__(self, index: torch.Tensor) -> torch.Tensor:
        """Return float32 logits (batch, class) of the current views, without temperature."""
        raise NotImplementedError

    def show(self, slab: int) -> None:
        """Make the views of a slab the current ones; see `disobey.data.views`."""


@dataclass(frozen=True)
class Targets:
    """Targets of all training examples.

    Attributes
    ----------
    label : Tensor of int64, shape (example,)
        The given labels.
    teacher : Teacher, optional
        The teacher, for a student.
    seen : ndarray of int, optional
        Indices of the examples that the run is trained on; all by default. Their number is the
        length of the targets.
    """

    label: torch.Tensor
    teacher: Teacher | None = None
    seen: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.label if self.seen is None else self.seen)


def build_objective(spec: Mapping[str, Any], targets: Targets) -> Objective:
    """Return the objective (1 - w) S^2 CE(y, softmax(z / S)) + w L of a batch, in float32.

    L is the mean of a loss of `disobey.training.losses`; for teachers and references w is 0. S
    (``one_hot_temperature``) and ``label_smoothing`` of CE are those of the recipe.

    Parameters
    ----------
    spec : mapping
        A run's spec.
    targets : Targets
        Targets of all training examples.

    Raises
    ------
    ValueError
        If the loss needs a teacher and the targets have none.
    """
    smoothing = spec["recipe"].get("label_smoothing", 0.0)
    label_temperature = spec["recipe"].get("one_hot_temperature", 1.0)

    def given(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        softened = logits.float() / label_temperature
        return functional.cross_entropy(softened, label, label_smoothing=smoothing)

    if "distill" not in spec:
        return lambda logits, index, _: label_temperature**2 * given(logits, targets.label[index])
    term, switched = _loss_term(spec["distill"], targets), component(spec, "switch")
    weights = None if switched is None else switched(spec, len(targets))
    scale = loss_of(spec["distill"]).scale(spec["distill"].get(TEMPERATURE, 1.0))

    def objective(logits: torch.Tensor, index: torch.Tensor, step: int) -> torch.Tensor:
        label = targets.label[index]
        weight = spec["distill"]["weight"] if weights is None else weights[step]
        loss = weight * scale * term(logits, index, label).mean()
        if weight == 1:
            return loss
        return loss + (1 - weight) * given(logits, label) * label_temperature**2

    return objective


def _loss_term(
    distill: Mapping[str, Any], targets: Targets
) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return a function of a batch's student logits, index and labels: each example's loss."""
    loss, teacher = loss_of(distill), targets.teacher
    parameters = {name: distill[name] for name in loss.parameters if name in distill}
    if loss.needs_teacher and teacher is None:
        raise ValueError(f"loss {loss.name} needs a teacher")

    def term(logits: torch.Tensor, index: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        if logits.shape[1] < loss.least_classes:
            raise UserError(
                f"loss {loss.name} needs {loss.least_classes} classes, the data have "
                f"{logits.shape[1]}; choose another loss"
            )
        seen = {STUDENT: logits, LABEL: label}
        if loss.needs_teacher and teacher is not None:
            seen[TEACHER] = teacher(index)
        found: torch.Tensor = loss.function(*(seen[name] for name in loss.reads), **parameters)
        return found

    return term
