"""Examples of a data store as people see them, and as other people's models read them."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from disobey.data.prepared import ENCODED
from disobey.members import member
from disobey.stores.reader import read_attributes

TEXTS = ("text", "text_pair")


class RawExamples:
    """Images as bytes or texts as text, neither normalised nor in tokens, read where asked for.

    Parameters
    ----------
    path : Path
        A data store, see `disobey.data.prepared`; open until the end of a ``with``.
    split : str

    Attributes
    ----------
    kind : str
        ``image``, ``text``, or empty where a store only says which examples there are.
    """

    def __init__(self, path: Path, split: str) -> None:
        import netCDF4

        self._file = netCDF4.Dataset(path, "r")
        self._group = self._file[split]
        self._group.set_auto_mask(False)
        known = self._group.variables
        self._texts = [name for name in TEXTS if name in known]
        self._encoded: Any = None
        if ENCODED in known:
            encoded = importlib.import_module(member("data", ENCODED))  # others need none of it
            shape = read_attributes(path)["encoded_shape"]
            self._encoded = encoded.EncodedImages(path, split, shape)
        is_image = self._encoded is not None or "image" in known
        self.kind = "text" if self._texts else "image" if is_image else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def read(self, positions: np.ndarray) -> Any:  # noqa: ANN401 - images or texts
        """Return examples of either kind."""
        return self.texts(positions) if self.kind == "text" else self.images(positions)

    def images(self, positions: np.ndarray) -> np.ndarray:
        """Return images, uint8 (position, y, x, channel); large ones decoded.

        Parameters
        ----------
        positions : ndarray of int, rising
        """
        found: np.ndarray
        if self._encoded is not None:
            found = self._encoded.read(positions)
        else:
            found = self._group["image"][positions]
        return found

    def texts(self, positions: np.ndarray) -> Sequence[tuple[str, ...]]:
        """Return for each position one text, or the two of a pair."""
        parts = [map(str, self._group[name][positions]) for name in self._texts]
        return list(zip(*parts, strict=True))
