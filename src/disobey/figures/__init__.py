"""The figures of a study.

A kind of figure is drawn by ``draw(analyses)`` in the module with its name, by ``draw_<kind>`` in a
module of `SHARED`, or as an entry of `forest.FORESTS`. ``analyses`` maps settings to their
analyses, in the order of the study; a ValueError names what is missing.
"""

import importlib
import importlib.util
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Modules that draw several kinds of figures.
SHARED = {
    "bias": ("trajectories",),
    "confidence": ("steps",),
    "curves": ("training-curves", "equal-accuracy", "switching"),
    "planes": ("link", "pay-off"),
    "sweeps": ("rounds", "temperature", "over-training", "leak"),
    "variants": ("dissection", "mislabelled", "measures", "label-class"),
}
MODULES = {kind: f"{__name__}.{name}" for name, kinds in SHARED.items() for kind in kinds}


def module_of(kind: str) -> str:
    """Return the module that draws a kind of figure."""
    own = MODULES.get(kind, f"{__name__}.{kind.replace('-', '_')}")
    return own if importlib.util.find_spec(own) else f"{__name__}.forest"


def drawer(kind: str) -> Callable[[dict[str, Any]], "Figure"]:
    """Return the function that draws a kind of figure from analyses by setting."""
    name = module_of(kind)
    of_kind = f"draw_{kind.replace('-', '_')}" if kind in MODULES else "draw"
    draw: Callable[..., Figure] = getattr(importlib.import_module(name), of_kind)
    return partial(draw, kind) if name == f"{__name__}.forest" else draw
