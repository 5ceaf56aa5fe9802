"""What a manifest records of the device that it used."""

import sys
from types import SimpleNamespace

import pytest

from disobey.stores.manifest import device_used


@pytest.mark.parametrize(("initialized", "device"), [(True, "cuda"), (False, "cpu")])
def test_the_device_is_the_one_used_not_the_one_that_is_there(monkeypatch, initialized, device):
    cuda = SimpleNamespace(is_available=lambda: True, is_initialized=lambda: initialized)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert device_used() == device


def test_a_stage_without_torch_has_no_device(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert device_used() is None
