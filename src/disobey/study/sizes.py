"""Sizes of data sets before they are read, for planning memory, time and stored views."""

import math
from dataclasses import dataclass, replace

from disobey.data.sources import builtin_sources
from disobey.models.checkpoint import ROBERTA_BASE
from disobey.models.shapes import Shape
from disobey.study.datasets import Builtin, Dataset, Files, Hub, Subset, Tokenizer
from disobey.study.user_files import classes_of, format_of, rows_of

FLOAT, TOKEN, BYTE = 4, 4, 1


@dataclass(frozen=True)
class Data:
    """Sizes of a data set: examples of both splits, shape, bytes of one number in memory.

    Encoded images have an ``itemsize`` of 0. ``exact`` says that the training examples are counted,
    not estimated. Random features are made of ``given`` numbers per example.
    """

    train: int
    test: int
    shape: Shape
    itemsize: int
    exact: bool = True
    given: int = 0

    @property
    def encoded(self) -> bool:
        """Whether its images stay encoded, to be decoded batch by batch."""
        return self.itemsize == 0

    @property
    def input_bytes(self) -> int:
        """Bytes of the inputs of both splits."""
        return (self.train + self.test) * math.prod(self.shape.inputs) * self.itemsize

    @property
    def logit_bytes(self) -> int:
        """Bytes of one model's logits."""
        return (self.train + self.test) * self.shape.classes * FLOAT


ITEMSIZE = {"image": BYTE, "text": TOKEN, "feature": FLOAT}
BUILTIN = {
    name: Data(one.train, one.test, Shape(one.inputs, one.classes), ITEMSIZE[one.kind])
    for name, one in builtin_sources().items()
}
# By path and configuration, as the cards of these repositories say.
HUB: dict[tuple[str, str | None], Data] = {
    ("uoft-cs/cifar10", None): Data(50_000, 10_000, Shape((32, 32, 3), 10), BYTE),
    ("uoft-cs/cifar100", None): Data(50_000, 10_000, Shape((32, 32, 3), 100), BYTE),
    ("zh-plus/tiny-imagenet", None): Data(100_000, 10_000, Shape((64, 64, 3), 200), BYTE),
    ("ILSVRC/imagenet-1k", None): Data(1_281_167, 50_000, Shape((224, 224, 3), 1000), 0),
    ("ylecun/mnist", None): Data(60_000, 10_000, Shape((28, 28, 1), 10), BYTE),
    ("zalando-datasets/fashion_mnist", None): Data(60_000, 10_000, Shape((28, 28, 1), 10), BYTE),
    ("nyu-mll/glue", "mnli"): Data(392_702, 9815, Shape((128,), 3), TOKEN),
    ("nyu-mll/glue", "qqp"): Data(363_846, 40_430, Shape((128,), 2), TOKEN),
    ("nyu-mll/glue", "sst2"): Data(67_349, 872, Shape((128,), 2), TOKEN),
    ("stanfordnlp/imdb", None): Data(25_000, 25_000, Shape((512,), 2), TOKEN),
    ("fancyzhx/ag_news", None): Data(120_000, 7600, Shape((128,), 4), TOKEN),
}
# Guesses where nothing is known [our choice]: jobs that need more get more at their next attempt.
UNKNOWN_ROWS, UNKNOWN_CLASSES, UNKNOWN_SIDE, COLOURS = 100_000, 100, 64, 3


def sizes_of(dataset: Dataset, root: str | None = None) -> Data:
    """Return the sizes of a data set, estimated where nothing says them.

    Parameters
    ----------
    dataset : Builtin, Hub or Files
    root : str, optional
        The study's ``data_root``.
    """
    if isinstance(dataset, Builtin):
        data = BUILTIN[dataset.name]
    elif isinstance(dataset, Hub):
        known = HUB.get((dataset.path, dataset.config))
        data = known or replace(_guessed(dataset), exact=False)
    else:
        train, test = (rows_of(dataset, root, split) for split in ("train", "test"))
        counted = format_of(dataset, root) not in ("csv", "json")  # by their lines only
        data = replace(_guessed(dataset, train, test, classes_of(dataset, root)), exact=counted)
    return _reduced(_shaped(data, dataset), dataset)


def _guessed(
    dataset: Hub | Files,
    train: int = UNKNOWN_ROWS,
    test: int = UNKNOWN_ROWS // 5,
    classes: int | None = None,
) -> Data:
    image = dataset.rows == "image"
    inputs = (UNKNOWN_SIDE, UNKNOWN_SIDE, COLOURS) if image else (0,)
    return Data(train, test, Shape(inputs, classes or UNKNOWN_CLASSES), BYTE if image else TOKEN)


def _shaped(data: Data, dataset: Dataset) -> Data:
    """Return the sizes with what the data set's options say of one example."""
    shape = data.shape
    if dataset.rows == "text":
        tokenizer = dataset.tokenizer or Tokenizer()
        vocabulary = getattr(tokenizer, "vocabulary", ROBERTA_BASE["vocab_size"])  # a checkpoint's
        shape = replace(shape, inputs=(tokenizer.max_tokens,), vocabulary=vocabulary)
        return replace(data, shape=shape)
    size = getattr(dataset, "size", None)
    if size is not None:
        shape = replace(shape, inputs=(size, size, shape.inputs[-1]))
        data = replace(data, shape=shape, itemsize=0 if dataset.encoded else BYTE)
    if dataset.features is None:
        return data
    shape = replace(shape, inputs=(dataset.features.number,))
    return replace(data, shape=shape, itemsize=FLOAT, given=math.prod(data.shape.inputs))


def _reduced(data: Data, dataset: Dataset) -> Data:
    """Return the sizes of what is kept of a data set."""
    classes = None if isinstance(dataset, Builtin) else dataset.first_classes
    if not isinstance(dataset, Builtin) and dataset.classes:
        data = replace(data, shape=replace(data.shape, classes=len(dataset.classes)))
    if classes is not None and classes < data.shape.classes:
        share = classes / data.shape.classes
        shape = replace(data.shape, classes=classes)
        train, test = round(data.train * share), round(data.test * share)
        data = replace(data, train=train, test=test, shape=shape, exact=False)
    if getattr(dataset, "drop_empty", False):
        data = replace(data, exact=False)
    subset = dataset.subset or Subset.model_construct(train=None, test=None)
    if subset.train:
        data = replace(data, train=subset.train, exact=True)
    return replace(data, test=min(data.test, subset.test or data.test))
