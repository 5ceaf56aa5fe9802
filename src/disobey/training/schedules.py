"""Learning rates as a function of progress, all steps at once."""

from collections.abc import Mapping
from typing import Any

import numpy as np

# One-cycle [our choice]: rises for 30 % of the steps from 1/25 of the peak, then falls to nearly 0.
ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1e-5
STEP_FACTOR = 0.1


def learning_rates(recipe: Mapping[str, Any], steps: int) -> np.ndarray:
    """Return the learning rate of every step.

    Parameters
    ----------
    recipe : mapping
        ``lr``, ``schedule`` and, if they are given, ``warmup`` and ``milestones`` in shares of all
        steps.
    steps : int
        How many steps the training has.

    Returns
    -------
    ndarray of float64, shape (steps,)
    """
    progress = np.arange(steps) / steps
    warmup = recipe.get("warmup", 0.0)
    after = np.clip((progress - warmup) / (1 - warmup), 0, 1) if warmup < 1 else 0 * progress
    shape = {
        "constant": lambda: np.ones(steps),
        "cosine": lambda: (1 + np.cos(np.pi * after)) / 2,
        "linear": lambda: 1 - after,
        "one_cycle": lambda: _one_cycle(progress),
        "steps": lambda: STEP_FACTOR ** np.searchsorted(recipe["milestones"], progress, "right"),
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
