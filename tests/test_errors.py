"""Error messages suggest the most similar valid name."""

import pytest

from disobey.errors import advice, missing, nearest

FAMILIES = ("mlp", "roberta", "small_resnet")


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("robreta", "did you mean 'roberta'?"),
        ("small-resnet", "did you mean 'small_resnet'?"),
        ("RoBERTa", "did you mean 'roberta'?"),
        ("vgg", "known: mlp, roberta, small_resnet"),
        (3, "known: mlp, roberta, small_resnet"),
        ("", "known: mlp, roberta, small_resnet"),
    ],
)
def test_hint_is_the_nearest_name_or_all_names(written, hint):
    assert nearest(written, FAMILIES) == hint


def test_names_with_capitals_are_offered_as_they_are_written():
    assert nearest("mnist-t4", ["MNIST-T4", "langid"]) == "did you mean 'MNIST-T4'?"


def test_a_package_that_no_extra_brings_is_not_advised():
    assert advice("torch.nn") == "torch is not installed; pip install 'disobey[train]'"
    assert advice("nothing_here.torch") is None and advice(None) is None
    assert missing("nothing_here", "numpy") == []


def test_no_name_to_offer():
    assert nearest("x", []) == "there are none"


def test_a_likeness_below_the_one_asked_for_is_not_offered():
    assert nearest("gpu", ["cpu", "cuda"], similarity=0.8) == "known: cpu, cuda"
