"""The figures: a module each with ``draw(analyses)``, or an entry of `forest.FORESTS`."""

import importlib
import importlib.util
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from disobey.members import member

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def module_of(kind: str) -> str:
    """Return the module that draws a kind of figure."""
    own = member("figures", kind)
    return own if importlib.util.find_spec(own) else member("figures", "forest")


def drawer(kind: str) -> Callable[[dict[str, Any]], "Figure"]:
    """Return the function that draws a kind of figure from analyses by setting."""
    name = module_of(kind)
    module = importlib.import_module(name)
    return module.draw if name == member("figures", kind) else partial(module.draw, kind)
