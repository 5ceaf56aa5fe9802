"""The built-in sources: how many rows, which classes, and nothing on both sides of a split."""

import numpy as np
import pytest

from disobey.data.raw import RawData, RawSplit
from disobey.data.sources import cldr_langid, digits, mnist5k
from disobey.errors import UserError
from disobey.stages.prepare import check


def test_mnist5k_is_split_by_class():
    raw = mnist5k.load()
    assert raw.train.inputs.shape == (4000, 28, 28, 1) and raw.train.inputs.dtype == np.uint8
    assert (np.bincount(raw.train.label) == 400).all()
    assert (np.bincount(raw.test.label) == 100).all()
    assert not set(raw.train.example_id) & set(raw.test.example_id)


def test_digits_keep_all_their_images():
    raw = digits.load()
    assert len(raw.train.label) + len(raw.test.label) == 1797
    assert raw.train.inputs.max() == 16 * 15


def test_no_concept_and_no_widely_shared_name_is_in_the_language_data():
    raw = cldr_langid.load()
    assert 14_000 < len(raw.train.label) < 14_400 and 3_400 < len(raw.test.label) < 3_750
    languages = {}
    for split in (raw.train, raw.test):
        for name, label in zip(split.inputs, split.label, strict=True):
            languages.setdefault(name, set()).add(label)
    assert max(map(len, languages.values())) == 2
    sides = {}
    for concept, _, _ in cldr_langid._names():
        sides.setdefault(concept, set()).add(cldr_langid._is_test(concept))
    assert {len(side) for side in sides.values()} == {1}


def raw(inputs=("a", "b"), label=(0, 1), ids=(0, 1), test_ids=(2, 3)):
    def split(these):
        return RawSplit(list(inputs), np.array(label), np.array(these))

    return RawData(split(ids), split(test_ids), ("x", "y"))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (raw(inputs=("a", " ")), "source: train row 1, column text: is empty"),
        (raw(label=(0, 2)), "source: train row 1, column label: 2 is not one of the 2 classes"),
        (raw(test_ids=(1, 2)), "source: example_id 1 is given twice"),
        (raw(inputs=(), label=(), ids=(), test_ids=()), "source: the train split is empty"),
    ],
)
def test_data_that_cannot_be_right_is_refused_with_its_row(broken, message):
    with pytest.raises(UserError) as error:
        check(broken, "source")
    assert str(error.value).startswith(message)
    check(raw(), "source")
