"""One module for each source of data, with ``load(spec, files)``; built-in ones have a ``SOURCE``.

A built-in source comes with an installed package or is drawn at random. The study file's choices
and the sizes of data are derived from its ``SOURCE``.
"""

import functools
import hashlib
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from disobey.data.raw import SPLITS, RawData
from disobey.errors import UserError


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
        The package that contains the data. It must be in `disobey.provenance.VERSIONED`, so that
        every manifest records its version.
    content : str or None
        Expected hash from `content_of`, since another version of the package may hold other data.
    """

    words: str
    kind: Literal["image", "text", "feature"]
    train: int
    test: int
    classes: int
    inputs: tuple[int, ...]
    package: str | None = None
    content: str | None = None

    def checked(self, raw: RawData) -> RawData:
        """Return ``raw``, the data of this source, after checking its content.

        Raises
        ------
        UserError
            If the installed version of the package holds other data.
        """
        if self.content is None or content_of(raw) == self.content:
            return raw
        version = importlib.metadata.version(self.package or "")
        raise UserError(
            f"{self.package} {version} holds other data than the built-in source means; install "
            f"the version that constraints.txt names"
        )


def content_of(raw: RawData) -> str:
    """Return the SHA-256 of inputs, labels and class names of data in memory."""
    digest = hashlib.sha256("\0".join(raw.class_names).encode())
    for split in SPLITS:
        for block in raw.split(split).blocks():
            inputs = block.inputs
            if isinstance(inputs, np.ndarray):
                digest.update(repr((inputs.shape, inputs.dtype.str)).encode() + inputs.tobytes())
            else:
                digest.update("\0".join(map(str, inputs)).encode())
            digest.update(block.label.astype("<i8").tobytes())
    return digest.hexdigest()


@functools.cache
def builtin_sources() -> Mapping[str, Source]:
    """Return the built-in sources by their names in study files."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        source = getattr(importlib.import_module(f"{__name__}.{module.name}"), "SOURCE", None)
        if source is not None:
            found[module.name.replace("_", "-")] = source
    return found


def module_of(source: str) -> str:
    """Return the module of a source, given its name in study files."""
    return f"{__name__}.{source.replace('-', '_')}"
