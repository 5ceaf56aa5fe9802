"""How long a training and its parts last: in epochs, in steps, or in shares of all steps. Pure.

A recipe says ``epochs`` or ``steps``. Its warm-up is a share of all steps, ``{"epochs": n}`` or
``{"steps": n}``; its milestones are a list of shares, or one of these two with a list. Only the
data tell how many steps an epoch has: what needs that is checked by the training, before its first
step, and all else where the study file is read.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

EPOCHS, STEPS = "epochs", "steps"

Duration = float | Mapping[str, int]


def total_steps(recipe: Mapping[str, Any], per_epoch: int) -> int:
    """Return how many steps a training has, whose epochs have ``per_epoch`` steps."""
    steps: int = recipe[STEPS] if STEPS in recipe else recipe[EPOCHS] * per_epoch
    return steps


def steps_per_epoch(examples: int, batch: int) -> int:
    """Return how many batches an epoch has; the last may be smaller."""
    return -(-examples // batch)


def number_of_epochs(recipe: Mapping[str, Any], examples: int) -> int:
    """Return how many epochs a training on ``examples`` begins; it may end inside of the last."""
    if EPOCHS in recipe:
        epochs: int = recipe[EPOCHS]
        return epochs
    return math.ceil(recipe[STEPS] / steps_per_epoch(examples, recipe["batch"]))


def logarithmic_steps(steps: int, points: int) -> np.ndarray:
    """Return up to ``points`` different steps, logarithmically spaced, the first and the last too.

    Parameters
    ----------
    steps, points : int

    Returns
    -------
    ndarray of int, shape (point,)
        Rising; fewer than ``points`` where neighbours would be the same step.
    """
    return np.unique(np.geomspace(1, steps, points).round().astype(int))


def share_of(duration: Duration, per_epoch: int, steps: int) -> float:
    """Return the share of all steps that a duration takes.

    A share, not a number of steps: a recipe may ask for one that is no whole number of steps. Of
    ``n`` whole steps it is ``n / steps`` exactly as the progress of step ``n`` is, so that the two
    may be compared.

    Parameters
    ----------
    duration : float or mapping
        A share of all steps, ``{"epochs": n}`` or ``{"steps": n}``.
    per_epoch, steps : int
        Steps of an epoch, and of the whole training.
    """
    if not isinstance(duration, Mapping):
        return duration
    ((unit, number),) = duration.items()
    return number * (per_epoch if unit == EPOCHS else 1) / steps


def milestones_of(recipe: Mapping[str, Any]) -> list[Duration]:
    """Return a recipe's milestones, each as a duration from the start."""
    milestones = recipe.get("milestones", [])
    if not isinstance(milestones, Mapping):
        return list(milestones)
    ((unit, numbers),) = milestones.items()
    return [{unit: number} for number in numbers]


def misfit(recipe: Mapping[str, Any], per_epoch: int | None = None) -> str | None:
    """Return in words which parts of a recipe do not fit into each other; None if all do.

    Parameters
    ----------
    recipe : mapping
        As in a run's spec.
    per_epoch : int, optional
        Steps of an epoch; without it only what can be compared without it is.
    """
    unit = STEPS if STEPS in recipe else EPOCHS
    found = next(_misfits(recipe, _Ruler({unit: recipe[unit]}, per_epoch)), None)
    if found is None or per_epoch is None:
        return found
    return f"{found}; an epoch of this data has {_words({STEPS: per_epoch})}"


@dataclass(frozen=True)
class _Ruler:
    """Compares durations of a training that ends at ``end``, as far as that can be known."""

    end: Mapping[str, int]
    per_epoch: int | None

    def reaches(self, one: Duration, other: Duration) -> bool:
        """Whether ``one`` is known to last as long as ``other``, or longer."""
        if isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys():
            return _number(one) >= _number(other)
        shares = self._share(one), self._share(other)
        return shares[0] is not None and shares[1] is not None and shares[0] >= shares[1]

    def _share(self, duration: Duration) -> float | None:
        """Return a duration as a share of all steps; None where only the data tell."""
        if self.per_epoch is not None:
            return share_of(duration, self.per_epoch, total_steps(self.end, self.per_epoch))
        if isinstance(duration, Mapping) and duration.keys() != self.end.keys():
            return None
        return share_of(duration, 1, *self.end.values())  # in the unit of the end


def _misfits(recipe: Mapping[str, Any], ruler: _Ruler) -> Iterator[str]:
    """Yield what is wrong, in words."""
    warmup, milestones = recipe.get("warmup", 0.0), milestones_of(recipe)
    (unit,) = ruler.end
    if warmup and ruler.reaches(warmup, ruler.end):
        yield (
            f"a warm-up of {_words(warmup)} leaves nothing of a training of {_words(ruler.end)}; "
            f"shorten warmup, or write more {unit}"
        )
    if any(ruler.reaches(one, other) for one, other in pairwise(milestones)):
        yield f"milestones must rise, got {[_number(milestone) for milestone in milestones]}"
    for milestone in milestones:
        if ruler.reaches(milestone, ruler.end):
            yield (
                f"the milestone at {_words(milestone)} does not lie inside of a training of "
                f"{_words(ruler.end)}; remove it, or write more {unit}"
            )
        if warmup and ruler.reaches(warmup, milestone):
            yield (
                f"the milestone at {_words(milestone)} does not lie behind the warm-up of "
                f"{_words(warmup)}; write a later one, or shorten warmup"
            )


def _number(duration: Duration) -> float:
    return next(iter(duration.values())) if isinstance(duration, Mapping) else duration


def _words(duration: Duration) -> str:
    if not isinstance(duration, Mapping):
        return f"{duration:g} of all steps"
    ((unit, number),) = duration.items()
    return f"{number} {unit if number != 1 else unit.removesuffix('s')}"
