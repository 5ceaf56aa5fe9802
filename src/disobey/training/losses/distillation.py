"""Distillation: the label's cross-entropy and the teacher's softened probabilities."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

from disobey.training.losses.targets import Objective, Targets


def distillation(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    label: torch.Tensor,
    temperature: float,
    weight: float,
    smoothing: float = 0.0,
    label_temperature: float = 1.0,
) -> torch.Tensor:
    """Return (1 - w) S^2 CE(y, p_st^(S)) + w T^2 KL(p_te^(T) || p_st^(T)), averaged over the batch.

    p^(T) = softmax(z / T). All in log-space and float32, so that extreme logits give a finite loss
    and gradient; T^2 is a convention that equalises gradients only as T grows.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor, shape (batch, class)
    label : Tensor of int64, shape (batch,)
    temperature : float
        T, above 0.
    weight : float
        w, in [0, 1].
    smoothing, label_temperature : float
        Of the label's term, the second one S; see `disobey.training.losses.one_hot`.
    """
    student = functional.log_softmax(student_logits.float() / temperature, 1)
    teacher = functional.log_softmax(teacher_logits.float() / temperature, 1)
    divergence = (teacher.exp() * (teacher - student)).sum(1).mean()
    loss = weight * temperature**2 * divergence
    if weight == 1:
        return loss
    softened = student_logits.float() / label_temperature
    given = functional.cross_entropy(softened, label, label_smoothing=smoothing)
    return loss + (1 - weight) * given * label_temperature**2


def build(spec: Mapping[str, Any], targets: Targets) -> Objective:
    """Return the objective of a student."""
    weight = spec["distill"]["weight"]
    return objective_of(spec, targets, lambda _: weight)


def objective_of(
    spec: Mapping[str, Any], targets: Targets, weight_at: Callable[[float], float]
) -> Objective:
    """Return the objective whose w is given by the share of the cumulative learning rate."""
    teacher, temperature = targets.teacher, spec["distill"]["temperature"]
    smoothing = spec["recipe"].get("label_smoothing", 0.0)
    of_label = smoothing, spec["recipe"].get("one_hot_temperature", 1.0)
    if teacher is None:
        raise ValueError("distillation needs a teacher")

    def objective(logits: torch.Tensor, index: torch.Tensor, spent: float) -> torch.Tensor:
        label = targets.label[index]
        weight = weight_at(spent)
        return distillation(logits, teacher(index), label, temperature, weight, *of_label)

    return objective
