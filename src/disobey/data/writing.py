"""Write the kept rows of a split into a data store, block by block."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from disobey.data.images import check_whole, decode, decode_square, square
from disobey.data.raw import Inputs, Kept
from disobey.data.tokens import Text, TextTokenizer
from disobey.errors import UserError
from disobey.stores.writer import NetcdfWriter

IMAGE = ("example", "y", "x", "channel")


def write_text(writer: NetcdfWriter, name: str, kept: Kept, tokenizer: TextTokenizer) -> None:
    """Write ``token(example, position)``, ``text`` and, for pairs, ``text_pair``."""
    length, columns = tokenizer.max_tokens, None
    token = writer.declare(name, "token", ("example", "position"), (len(kept), length), "i4")
    for position, _, inputs in kept.blocks():
        place = slice(position, position + len(inputs))
        token[place] = tokenizer.encode(cast(Sequence[Text], inputs))
        parts = _columns_of(inputs)
        if columns is None:
            names = ("text", "text_pair")[: len(parts)]
            columns = [writer.declare(name, n, ("example",), (len(kept),), str) for n in names]
        for column, part in zip(columns, parts, strict=True):
            column[place] = np.array(part, dtype=object)


def _columns_of(inputs: Inputs) -> list[list[str]]:
    if isinstance(inputs[0], tuple):
        return [list(part) for part in zip(*inputs, strict=True)]
    return [list(inputs)]


def write_features(
    writer: NetcdfWriter, name: str, examples: int, blocks: Iterable[np.ndarray]
) -> None:
    """Write ``feature(example, component)``, float32, block by block."""
    feature: Any = None
    first = 0
    for block in blocks:
        if feature is None:
            shape = (examples, block.shape[1])
            feature = writer.declare(name, "feature", ("example", "component"), shape, "f4")
        feature[first : first + len(block)] = block
        first += len(block)


def features_in(kept: Kept) -> Iterator[np.ndarray]:
    """Yield blocks of features, (row, feature)."""
    for _, _, inputs in kept.blocks():
        yield np.asarray(inputs)


class Moments:
    """Mean and standard deviation of each channel of uint8 images, from exact sums."""

    def __init__(self) -> None:
        self._count, self._sum, self._squares = 0, np.zeros(1, object), np.zeros(1, object)

    def add(self, images: np.ndarray) -> None:
        """Add images, uint8 (example, y, x, channel)."""
        pixels = images.reshape(-1, images.shape[-1]).astype(np.int64)
        self._count += len(pixels)
        self._sum = self._sum + pixels.sum(0).astype(object)
        self._squares = self._squares + (pixels**2).sum(0).astype(object)

    def attributes(self) -> dict[str, np.ndarray]:
        """Return ``channel_mean`` and ``channel_std`` of values in [0, 1]."""
        n = self._count
        variance = [n * q - s * s for s, q in zip(self._sum, self._squares, strict=True)]
        mean = np.array([s / (255 * n) for s in self._sum], np.float64)
        std = np.array([np.sqrt(v) / (255 * n) for v in map(float, variance)], np.float64)
        return {"channel_mean": mean, "channel_std": std}


class ImageForm(NamedTuple):
    """The form of images in the store: their shape (y, x, channel) and requested side ``size``.

    ``size`` is None if they keep their size.
    """

    shape: tuple[int, int, int]
    size: int | None = None

    @property
    def grey(self) -> bool:
        """True if images have one channel, False if three."""
        return self.shape[-1] == 1

    def array(self, image: Any) -> np.ndarray:
        """Return one image as uint8 of `shape`."""
        if isinstance(image, np.ndarray):
            if self.size is not None:
                image = square(image, self.size)
            return image if image.shape[-1] == self.shape[-1] else np.repeat(image, 3, -1)
        if self.size is None:
            return decode(image, grey=self.grey)
        return decode_square(image, self.size, self.size, grey=self.grey)


def image_form(
    kept: Mapping[str, Kept], spec: Mapping[str, Any], name: str, largest: int
) -> ImageForm:
    """Return the form of all images of a data set.

    Raises
    ------
    UserError
        If images differ in size, or are large, and the data set has no ``size``.
    """
    surveys = {split: of_split.survey for split, of_split in kept.items()}
    first = surveys["train"].header
    assert first is not None
    grey = all(survey.header.grey for survey in surveys.values() if survey.header is not None)
    size, channels = spec.get("size"), 1 if grey else 3
    if size is not None:
        return ImageForm((size, size, channels), size)
    for split, survey in surveys.items():
        row, header = survey.other or (0, survey.header)
        if header is not None and header[:2] != first[:2]:
            raise UserError(
                f"{name}: images differ in size: {first.width} x {first.height} in train row 0, "
                f"{header.width} x {header.height} in {split} row {row}; add size: 224 to the "
                f"data set, or another side of a square"
            )
    if max(first.width, first.height) > largest:
        raise UserError(
            f"{name}: images of {first.width} x {first.height} are too large to be kept as they "
            f"are; add size: 224 to the data set, or another side of a square"
        )
    return ImageForm((first.height, first.width, channels))


def write_images(
    writer: NetcdfWriter, name: str, kept: Kept, form: ImageForm, moments: Moments
) -> Any:
    """Write decoded images as ``image(example, y, x, channel)``, and add them to ``moments``."""
    image = writer.declare(name, "image", IMAGE, (len(kept), *form.shape), "u1")
    for position, rows, inputs in kept.blocks():
        block = np.empty((len(inputs), *form.shape), np.uint8)
        for i, (row, one) in enumerate(zip(rows, inputs, strict=True)):
            try:
                block[i] = form.array(one)
            except ValueError as error:
                raise _undecodable(kept, row, error) from None
        image[position : position + len(inputs)] = block
        moments.add(block)
    return image


def write_encoded(
    writer: NetcdfWriter, name: str, kept: Kept, form: ImageForm, moments: Moments, sampled: int
) -> None:
    """Write encoded images as ``encoded(byte)``, and the boundaries between them as ``start``.

    Each image is checked to its end; about ``sampled`` of them are decoded for ``moments``.
    """
    start = np.concatenate([[0], np.cumsum(kept.survey.size[kept.rows])])
    writer.write(name, "start", ("boundary",), start)
    encoded = writer.declare(name, "encoded", ("byte",), (int(start[-1]),), "u1")
    every = max(1, len(kept) // sampled)
    assert form.size is not None
    for position, rows, inputs in kept.blocks():
        for i, (row, one) in enumerate(zip(rows, inputs, strict=True), position):
            try:
                check_whole(one)
                if i % every == 0:
                    moments.add(decode_square(one, form.size, form.size, grey=form.grey)[None])
            except ValueError as error:
                raise _undecodable(kept, row, error) from None
        joined = np.frombuffer(b"".join(cast(Sequence[bytes], inputs)), np.uint8)
        encoded[start[position] : start[position + len(inputs)]] = joined


def _undecodable(kept: Kept, row: int, error: ValueError) -> UserError:
    return UserError(f"{kept.where} {kept.split.place(row)}: {error}")


def texts_in(kept: Kept) -> Iterator[str]:
    """Yield all texts, including both of a pair, for the training of a tokenizer."""
    for _, _, inputs in kept.blocks():
        for text in inputs:
            yield from text if isinstance(text, tuple) else (text,)


def write_columns(writer: NetcdfWriter, name: str, kept: Kept) -> None:
    """Write ``label`` and ``example_id``."""
    writer.write(name, "label", ("example",), kept.survey.label[kept.rows])
    writer.write(name, "example_id", ("example",), kept.survey.example_id[kept.rows])
