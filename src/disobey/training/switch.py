"""When a student listens to its teacher: the weight of distillation over one training."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from disobey.training.durations import steps_per_epoch
from disobey.training.schedules import learning_rates


def distillation_weight(weight: float, switch: Mapping[str, Any], passed: float) -> float:
    """Return w of the distillation loss.

    Parameters
    ----------
    weight : float
        w while the student is distilled; it is 0 while it learns one-hot labels.
    switch : mapping
        ``order`` (``distillation_first`` or ``one_hot_first``), ``at`` and, where the change is
        linear over a stretch centred on ``at``, its length ``ramp``; both are shares of what
        `passed_before` counts.
    passed : float
        The share that lies behind, in [0, 1).
    """
    ramp = switch.get("ramp", 0.0)
    if ramp:
        second = min(max((passed - switch["at"]) / ramp + 0.5, 0.0), 1.0)
    else:
        second = float(passed >= switch["at"])
    return weight * (second if switch["order"] == "one_hot_first" else 1 - second)


def passed_before(switch: Mapping[str, Any], rates: np.ndarray) -> np.ndarray:
    """Return the share of a training that lies before each step, in the unit of a switch.

    Parameters
    ----------
    switch : mapping
        With ``unit: steps`` steps are counted. Else learning rates are added up, which is what a
        training's progress depends on: under a one-cycle schedule .03 of their sum are left after
        .75 of the steps.
    rates : ndarray, shape (step,)
        Learning rates.

    Returns
    -------
    ndarray of float64, shape (step,)
    """
    if switch.get("unit") == "steps":
        return np.arange(len(rates)) / len(rates)
    passed: np.ndarray = (np.cumsum(rates) - rates) / rates.sum()
    return passed


def weights(spec: Mapping[str, Any], examples: int) -> Callable[[float], float]:
    """Return w as a function of the share of the cumulative learning rate that is spent.

    Parameters
    ----------
    spec : mapping
        Spec of a run whose ``distill`` has a ``switch``.
    examples : int
        Number of training examples.
    """
    switch, recipe = spec["distill"]["switch"], spec["recipe"]
    weight_of = partial(distillation_weight, spec["distill"]["weight"], switch)
    if "unit" not in switch:
        return weight_of
    rates = learning_rates(recipe, steps_per_epoch(examples, recipe["batch"]))
    spent, passed = passed_before({}, rates), passed_before(switch, rates)
    # A training tells its step by what it has spent.
    return lambda share: weight_of(float(passed[int(np.searchsorted(spent, share))]))
