"""The figures: a module each with ``draw(analyses)``, or an entry of `forest.FORESTS`."""

import importlib
import importlib.util
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def module_of(kind: str) -> str:
    """Return the module that draws a kind of figure."""
    own = f"{__name__}.{kind.replace('-', '_')}"
    return own if importlib.util.find_spec(own) else f"{__name__}.forest"


def drawer(kind: str) -> Callable[[dict[str, Any]], "Figure"]:
    """Return the function that draws a kind of figure from analyses by setting."""
    name = module_of(kind)
    draw: Callable[..., Figure] = importlib.import_module(name).draw
    return partial(draw, kind) if name == f"{__name__}.forest" else draw
