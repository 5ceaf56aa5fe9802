"""Learning rates as a function of progress, all steps at once."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from disobey.errors import UserError
from disobey.training.durations import milestones_of, misfit, share_of, total_steps

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
        ``lr``, ``schedule``, ``epochs`` or ``steps`` and, if they are given, ``warmup`` and
        ``milestones``; see `disobey.training.durations`.
    per_epoch : int
        How many steps an epoch has.

    Returns
    -------
    ndarray of float64, shape (step,)

    Raises
    ------
    UserError
        Where warm-up, milestones and the length of the training do not fit into each other.
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
    """Cosine up to 1, cosine down."""
    up = np.clip(progress / ONE_CYCLE_RISE, 0, 1)
    down = np.clip((progress - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE), 0, 1)
    rising = ONE_CYCLE_START + (1 - ONE_CYCLE_START) * (1 - np.cos(np.pi * up)) / 2
    falling = ONE_CYCLE_END + (1 - ONE_CYCLE_END) * (1 + np.cos(np.pi * down)) / 2
    return np.where(progress < ONE_CYCLE_RISE, rising, falling)
