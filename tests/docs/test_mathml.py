"""Formulas of the pages, without a script from anywhere."""

import pytest
from disobey_docs.mathml import mathml
from docutils.utils.math import MathError


def test_a_fraction_is_a_fraction():
    assert "<mfrac>" in mathml(r"\frac{1}{2}", block=False)


def test_what_git_hosts_need_is_known():
    assert mathml(r"0 \lt t \gt 1", block=False) == mathml("0 < t > 1", block=False)
    assert mathml(r"\big(t\big)", block=True) == mathml("(t)", block=True)


def test_what_nobody_knows_is_an_error():
    with pytest.raises(MathError):
        mathml(r"\nosuchcommand", block=False)
