"""When a student listens to its teacher: the weight of distillation over one training."""

from collections.abc import Mapping
from typing import Any


def distillation_weight(weight: float, switch: Mapping[str, Any], spent: float) -> float:
    """Return w of the distillation loss.

    Parameters
    ----------
    weight : float
        w while the student is distilled; it is 0 while it learns one-hot labels.
    switch : mapping
        ``order`` (``distillation_first`` or ``one_hot_first``), ``at`` and, where the change is
        linear over a stretch centred on ``at``, its length ``ramp``; both are shares of the
        cumulative learning rate, which is what a training's progress depends on: under a one-cycle
        schedule .03 of it are left after .75 of the steps.
    spent : float
        The share of the cumulative learning rate that lies behind, in [0, 1).
    """
    ramp = switch.get("ramp", 0.0)
    if ramp:
        second = min(max((spent - switch["at"]) / ramp + 0.5, 0.0), 1.0)
    else:
        second = float(spent >= switch["at"])
    return weight * (second if switch["order"] == "one_hot_first" else 1 - second)
