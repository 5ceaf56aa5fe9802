"""The built-in sources have the right rows and classes, and no row is in both splits."""

import numpy as np
import pytest

from disobey.data.sources import builtin_sources, cldr_langid, digits, mnist5k
from disobey.errors import UserError
from disobey.provenance import VERSIONED


def block(split):
    """Return the only block of a split in memory."""
    (only,) = split.blocks()
    return only


def test_mnist5k_is_split_by_class():
    raw = mnist5k.load()
    train, test = block(raw.train), block(raw.test)
    assert train.inputs.shape == (4000, 28, 28, 1) and train.inputs.dtype == np.uint8
    assert (np.bincount(train.label) == 400).all()
    assert (np.bincount(test.label) == 100).all()
    assert not set(train.example_id) & set(test.example_id)


def test_digits_keep_all_their_images():
    raw = digits.load()
    assert len(block(raw.train)) + len(block(raw.test)) == 1797
    assert block(raw.train).inputs.max() == 16 * 15


def test_no_concept_and_no_widely_shared_name_is_in_the_language_data():
    raw = cldr_langid.load()
    assert 14_000 < len(block(raw.train)) < 14_400 and 3_400 < len(block(raw.test)) < 3_750
    languages = {}
    for split in (block(raw.train), block(raw.test)):
        for name, label in zip(split.inputs, split.label, strict=True):
            languages.setdefault(name, set()).add(label)
    assert max(map(len, languages.values())) == 2
    sides = {}
    for concept, _, _ in cldr_langid._names():
        sides.setdefault(concept, set()).add(cldr_langid._is_test(concept))
    assert {len(side) for side in sides.values()} == {1}


def test_other_data_of_a_package_are_refused():
    raw = digits.load()
    (changed,) = raw.train.blocks()
    changed.label[0] += 1
    with pytest.raises(UserError, match=r"scikit-learn [\d.]+ holds other data .* constraints.txt"):
        digits.SOURCE.checked(raw)


def test_the_version_of_each_package_with_data_is_recorded():
    packages = {source.package for source in builtin_sources().values() if source.package}
    assert packages and packages <= set(VERSIONED)
    assert all(source.content for source in builtin_sources().values() if source.package)
