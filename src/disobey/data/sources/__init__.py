"""One module for each source of data, with ``load(spec, files)``; built-in ones have a ``SOURCE``.

A built-in source comes with an installed package or is drawn at random. The study file's choices
and the sizes of data are derived from its ``SOURCE``.
"""

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Source:
    """The content of a built-in source, known before it is read.

    Attributes
    ----------
    words : str
        A description for the study file's schema and docs.
    kind : str
        ``image``, ``text`` or ``feature``.
    train, test, classes : int
        Numbers of examples, and of classes.
    inputs : tuple of int
        Shape of one example: (y, x, channel) of an image, (feature,), or (token,).
    package : str or None
        The package that the data come with. `disobey.provenance.VERSIONED` names it, too, so that
        every manifest records its version.
    """

    words: str
    kind: Literal["image", "text", "feature"]
    train: int
    test: int
    classes: int
    inputs: tuple[int, ...]
    package: str | None = None


@functools.cache
def builtin_sources() -> Mapping[str, Source]:
    """Return the built-in sources by the names that study files use."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        source = getattr(importlib.import_module(f"{__name__}.{module.name}"), "SOURCE", None)
        if source is not None:
            found[module.name.replace("_", "-")] = source
    return found


def module_of(source: str) -> str:
    """Return the module of a source, by the name that study files use."""
    return f"{__name__}.{source.replace('-', '_')}"
