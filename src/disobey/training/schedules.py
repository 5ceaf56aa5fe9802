"""Durations, learning rates, and the weight of distillation over a training. Pure.

A recipe gives its length in ``epochs`` or ``steps``. Its warm-up is a share of all steps,
``{"epochs": n}`` or ``{"steps": n}``; its milestones are a list of shares, or one of these two with
a list. The number of steps of an epoch depends on the data: what needs it is checked by the
training before its first step, everything else when the study file is read.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from disobey.errors import UserError

# One-cycle [our choice]: rises for 30 % of the steps from 1/25 of the peak, then falls to nearly 0.
ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1e-5
STEP_FACTOR = 0.1


def learning_rates(recipe: Mapping[str, Any], per_epoch: int) -> np.ndarray:
    """Return the learning rate of every step.

    Parameters
    ----------
    recipe : mapping
        ``lr``, ``schedule``, ``epochs`` or ``steps`` and optionally ``warmup`` and
        ``milestones``; see `disobey.training.schedules`.
    per_epoch : int
        Number of steps of an epoch.

    Returns
    -------
    ndarray of float64, shape (step,)

    Raises
    ------
    UserError
        If warm-up, milestones and the length of the training do not fit together.
    """
    wrong = misfit(recipe, per_epoch)
    if wrong is not None:
        raise UserError(f"recipe: {wrong}")
    steps = total_steps(recipe, per_epoch)
    progress = np.arange(steps) / steps
    warmup = share_of(recipe.get("warmup", 0.0), per_epoch, steps)
    milestones = [share_of(found, per_epoch, steps) for found in milestones_of(recipe)]
    after = np.clip((progress - warmup) / (1 - warmup), 0, 1)
    shape = {
        "constant": lambda: np.ones(steps),
        "cosine": lambda: (1 + np.cos(np.pi * after)) / 2,
        "linear": lambda: 1 - after,
        "one_cycle": lambda: _one_cycle(progress),
        "steps": lambda: STEP_FACTOR ** np.searchsorted(milestones, progress, "right"),
    }[recipe["schedule"]]()
    if warmup:
        shape = np.where(progress < warmup, (progress + 1 / steps) / (warmup + 1 / steps), shape)
    return recipe["lr"] * shape


def _one_cycle(progress: np.ndarray) -> np.ndarray:
    """Return the one-cycle factor of the peak rate: a cosine rise to 1, then a cosine fall."""
    up = np.clip(progress / ONE_CYCLE_RISE, 0, 1)
    down = np.clip((progress - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE), 0, 1)
    rising = ONE_CYCLE_START + (1 - ONE_CYCLE_START) * (1 - np.cos(np.pi * up)) / 2
    falling = ONE_CYCLE_END + (1 - ONE_CYCLE_END) * (1 + np.cos(np.pi * down)) / 2
    return np.where(progress < ONE_CYCLE_RISE, rising, falling)


EPOCHS, STEPS = "epochs", "steps"

Duration = float | Mapping[str, int]


def total_steps(recipe: Mapping[str, Any], per_epoch: int) -> int:
    """Return the number of steps of a training whose epochs have ``per_epoch`` steps."""
    steps: int = recipe[STEPS] if STEPS in recipe else recipe[EPOCHS] * per_epoch
    return steps


def steps_per_epoch(examples: int, batch: int) -> int:
    """Return the number of batches of an epoch; the last may be smaller."""
    return -(-examples // batch)


def number_of_epochs(recipe: Mapping[str, Any], examples: int) -> int:
    """Return the number of epochs of a training, including an incomplete last one."""
    if EPOCHS in recipe:
        epochs: int = recipe[EPOCHS]
        return epochs
    return math.ceil(recipe[STEPS] / steps_per_epoch(examples, recipe["batch"]))


def logarithmic_steps(steps: int, points: int) -> np.ndarray:
    """Return up to ``points`` logarithmically spaced steps, including the first and the last.

    Parameters
    ----------
    steps, points : int

    Returns
    -------
    ndarray of int, shape (point,)
        Strictly increasing; there are fewer than ``points`` if neighbours would coincide.
    """
    return np.unique(np.geomspace(1, steps, points).round().astype(int))


def share_of(duration: Duration, per_epoch: int, steps: int) -> float:
    """Return a duration as a share of all steps.

    A share is used since a duration may include a fraction of a step. The share of ``n`` whole
    steps is exactly ``n / steps``, the progress at step ``n``, so that the two can be compared.

    Parameters
    ----------
    duration : float or mapping
        A share of all steps, ``{"epochs": n}`` or ``{"steps": n}``.
    per_epoch, steps : int
        Numbers of steps of an epoch and of the whole training.
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
    """Return a message on parts of a recipe that do not fit together; None if all fit.

    Parameters
    ----------
    recipe : mapping
        As in a run's spec.
    per_epoch : int, optional
        Number of steps of an epoch; checks that depend on it are skipped if it is not given.
    """
    found = next(_misfits(recipe, per_epoch), None)
    if found is None or per_epoch is None:
        return found
    return f"{found}; an epoch of this data has {_words({STEPS: per_epoch})}"


def _measured(
    duration: Duration, end: Mapping[str, int], per_epoch: int | None
) -> tuple[str, float]:
    """Return a duration's unit and length; the unit is the share of all steps if it is known."""
    if per_epoch is not None:
        return "share", share_of(duration, per_epoch, total_steps(end, per_epoch))
    if isinstance(duration, Mapping) and duration.keys() != end.keys():
        ((unit, number),) = duration.items()
        return unit, number
    return "share", share_of(duration, 1, *end.values())  # in the unit of the end


def _misfits(recipe: Mapping[str, Any], per_epoch: int | None) -> Iterator[str]:
    """Yield a message on each misfit."""
    warmup, milestones = recipe.get("warmup", 0.0), milestones_of(recipe)
    unit = STEPS if STEPS in recipe else EPOCHS
    end = {unit: recipe[unit]}

    def reaches(one: Duration, other: Duration) -> bool:
        """Return True if ``one`` is known to last at least as long as ``other``."""
        measured = [_measured(duration, end, per_epoch) for duration in (one, other)]
        return measured[0][0] == measured[1][0] and measured[0][1] >= measured[1][1]

    if warmup and reaches(warmup, end):
        yield (
            f"a warm-up of {_words(warmup)} leaves nothing of a training of {_words(end)}; "
            f"shorten warmup, or write more {unit}"
        )
    if any(reaches(one, other) for one, other in pairwise(milestones)):
        yield f"milestones must rise, got {[_number(milestone) for milestone in milestones]}"
    for milestone in milestones:
        if reaches(milestone, end):
            yield (
                f"the milestone at {_words(milestone)} is not inside a training of "
                f"{_words(end)}; remove it, or write more {unit}"
            )
        if warmup and reaches(warmup, milestone):
            yield (
                f"the milestone at {_words(milestone)} is not after the warm-up of "
                f"{_words(warmup)}; write a later one, or shorten warmup"
            )


def _number(duration: Duration) -> float:
    return next(iter(duration.values())) if isinstance(duration, Mapping) else duration


def _words(duration: Duration) -> str:
    if not isinstance(duration, Mapping):
        return f"{duration:g} of all steps"
    ((unit, number),) = duration.items()
    return f"{number} {unit if number != 1 else unit.removesuffix('s')}"


def distillation_weights(distill: Mapping[str, Any], rates: np.ndarray) -> np.ndarray:
    """Return the weight w of the distillation loss in each step; 0 without a teacher.

    By default, the time of a switch is a share of the sum of all learning rates, since the progress
    of a training depends on it: with one-cycle, .03 of the sum is left after .75 of the steps.

    Parameters
    ----------
    distill : mapping
        ``weight``: w during distillation. A ``switch`` adds a part of the training on one-hot
        labels, with w = 0. It has ``order`` (``distillation_first`` or ``one_hot_first``), the time
        ``at`` and, for a linear change centred on ``at``, its length ``ramp``; both are shares of
        the sum of all learning rates or, with ``unit: steps``, of all steps.
    rates : ndarray, shape (step,)
        Learning rates.

    Returns
    -------
    ndarray of float64, shape (step,)
    """
    weight, switch = distill.get("weight", 0.0), distill.get("switch")
    if switch is None:
        return np.full(len(rates), weight)
    if switch.get("unit") == "steps":
        passed = np.arange(len(rates)) / len(rates)
    else:
        passed = (np.cumsum(rates) - rates) / rates.sum()
    second = (passed >= switch["at"]).astype(float)
    if switch.get("ramp"):
        second = np.clip((passed - switch["at"]) / switch["ramp"] + 0.5, 0.0, 1.0)
    weights: np.ndarray = weight * (second if switch["order"] == "one_hot_first" else 1 - second)
    return weights


def switched_weights(spec: Mapping[str, Any], examples: int) -> list[float]:
    """Return the weight in each step of a run whose ``distill`` has a ``switch``."""
    rates = learning_rates(spec["recipe"], steps_per_epoch(examples, spec["recipe"]["batch"]))
    weights: list[float] = distillation_weights(spec["distill"], rates).tolist()
    return weights
