"""Each view of an image occurs once, in an order that depends on the seed."""

import numpy as np
import pytest

from disobey.data.views import (
    BLOCK,
    blocks_of,
    number_of_slabs,
    number_of_views,
    offsets,
    slab_of_epoch,
    slabs_of,
    views_by_slab,
)

CIFAR = {"crop_padding": 4, "flip": True}
CASES = {
    "crop": {"crop_padding": 1},
    "flip": {"flip": True},
    "both": {"crop_padding": 2, "flip": True},
}


@pytest.mark.parametrize(
    ("augment", "views"),
    [(CIFAR, 162), (CASES["crop"], 9), (CASES["flip"], 2), (CASES["both"], 50)],
)
def test_a_view_is_a_crop_and_a_flip(augment, views):
    assert number_of_views(augment) == views
    side = 2 * augment.get("crop_padding", 0) + 1
    y, x, flipped = offsets(np.arange(views), augment)
    assert len(set(zip(y, x, flipped, strict=True))) == views  # all different
    assert (y.min(), y.max(), x.min(), x.max()) == (0, side - 1, 0, side - 1)
    assert set(flipped) == ({0, 1} if augment.get("flip") else {0})


@pytest.mark.parametrize("augment", CASES.values(), ids=CASES)
def test_each_image_has_every_view_once_in_an_order_of_its_own(augment):
    views = views_by_slab(3, 40, augment)
    assert views.shape == (number_of_views(augment), 40)
    assert (np.sort(views, axis=0) == np.arange(len(views))[:, None]).all()
    assert len({tuple(column) for column in views.T}) > 1
    assert np.array_equal(views, views_by_slab(3, 40, augment))
    assert not np.array_equal(views, views_by_slab(4, 40, augment))


def test_views_are_shown_alike_often():
    """The first slab of 20,000 images: 18 views, each within five standard deviations."""
    counts = np.bincount(views_by_slab(0, 20_000, {"crop_padding": 1, "flip": True})[0])
    expected = 20_000 / 18
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


@pytest.mark.parametrize(("epochs", "slabs"), [(1, 1), (7, 7), (18, 18), (40, 18)])
def test_an_epoch_shows_a_slab_and_none_comes_again_before_all_were_shown(epochs, slabs):
    augment = {"crop_padding": 1, "flip": True}
    assert number_of_slabs(augment, epochs) == slabs
    shown = [slab_of_epoch(5, epoch, epochs, augment) for epoch in range(epochs)]
    for first in range(0, epochs, slabs):
        passed = shown[first : first + slabs]
        assert len(set(passed)) == len(passed) and set(passed) <= set(range(slabs))
    others = [[slab_of_epoch(seed, e, epochs, augment) for e in range(epochs)] for seed in range(6)]
    assert slabs == 1 or any(other != shown for other in others)


def test_passes_differ_in_their_order():
    shown = [slab_of_epoch(0, epoch, 36, {"crop_padding": 1, "flip": True}) for epoch in range(36)]
    assert sorted(shown[:18]) == sorted(shown[18:]) and shown[:18] != shown[18:]


def test_blocks_hold_ten_slabs_and_a_longer_study_only_adds_some():
    assert list(blocks_of(CIFAR, 25)) == [0, 1, 2]
    assert list(blocks_of(CIFAR, 450)) == list(range(17))
    every = [slab for block in blocks_of(CIFAR, 450) for slab in slabs_of(CIFAR, block)]
    assert every == list(range(162))
    assert list(slabs_of(CIFAR, 16)) == [160, 161]
    assert len(slabs_of(CIFAR, 0)) == BLOCK
