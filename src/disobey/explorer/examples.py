"""A sample of examples for a page, each with a small picture or its text."""

import base64
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from disobey.data.prepared import RawExamples
from disobey.errors import UserError
from disobey.stores.reader import read_arrays, read_attributes

# Pixels of the longer side in a gallery. Larger images are scaled down.
THUMBNAIL = 64
# Characters of a text, or of each text of a pair.
LONGEST_TEXT = 240
# Number of examples from which the average size of a picture or text is estimated.
PROBED = 100
# Number of images that are decoded at a time.
DECODED = 64
QUALITY = 85  # of colour pictures; grey ones are kept exactly
SEED = 0


def sample(examples: int, most: int) -> np.ndarray:
    """Return the sorted positions of all examples, or of a random sample of ``most`` of them.

    The draw depends only on the two numbers, so all settings on a data set show the same examples.
    """
    if examples <= most:
        return np.arange(examples)
    drawn = np.random.default_rng(SEED).choice(examples, most, replace=False)
    return np.sort(drawn)


class Examples:
    """One split of a data store, see `disobey.data.prepared`, read on demand."""

    def __init__(self, path: Path, split: str) -> None:
        self.path, self.split = path, split
        self._attributes = read_attributes(path)
        self.id = read_arrays(path, split, "example_id")["example_id"]

    def __len__(self) -> int:
        return len(self.id)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of labels."""
        names: list[str] = json.loads(self._attributes["class_names"])
        return names

    def check_ids(self, ids: np.ndarray, logits: Path) -> None:
        """Raise a `UserError` unless logits belong to the same examples in the same order."""
        if not np.array_equal(ids, self.id):
            raise UserError(
                f"{logits}: its {self.split} examples are not those of {self.path}; make the "
                f"logits again"
            )

    def bytes_each(self) -> float:
        """Estimate the mean size in bytes of an example's picture or text from a small sample."""
        probe = sample(len(self), PROBED)
        return len(json.dumps(self.shown(probe))) / max(1, len(probe))

    def shown(self, positions: np.ndarray) -> dict[str, Any]:
        """Return pictures or texts of the examples at sorted ``positions``.

        For text, the key ``texts`` has for each example a list of one text, or two for pairs. For
        images, ``sheet`` is a data URI of a single picture in which all are arranged row by row,
        with ``columns`` per row, each of ``width`` x ``height`` pixels. If only logits are known,
        ``texts`` contains the ids.
        """
        with RawExamples(self.path, self.split) as given:
            if given.kind == "image":
                return _sheet(given, positions)
            if given.kind == "text":
                texts = given.texts(positions)
                return {"texts": [[_cut(text) for text in parts] for parts in texts]}
        return {"texts": [[f"example {id}"] for id in self.id[positions]]}


def _sheet(given: RawExamples, positions: np.ndarray) -> dict[str, Any]:
    """Return all pictures arranged in one, and their layout; see `Examples.shown`."""
    from PIL import Image

    pictures = list(_pictures(given, positions))
    columns, (width, height) = math.isqrt(len(pictures)), pictures[0].size
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new(pictures[0].mode, (columns * width, rows * height))
    for place, picture in enumerate(pictures):
        sheet.paste(picture, (place % columns * width, place // columns * height))
    stream = io.BytesIO()
    sheet.save(stream, "WEBP", lossless=sheet.mode == "L", quality=QUALITY)
    uri = "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
    return {"sheet": uri, "columns": columns, "width": width, "height": height}


def _pictures(given: RawExamples, positions: np.ndarray) -> Iterator[Any]:
    """Yield each image as a Pillow image, no side longer than `THUMBNAIL`."""
    from PIL import Image

    for start in range(0, len(positions), DECODED):
        for pixels in given.images(positions[start : start + DECODED]):
            picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
            picture.thumbnail((THUMBNAIL, THUMBNAIL))
            yield picture


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
