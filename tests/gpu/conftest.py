"""Tests that need a GPU: ``make gpu-check``.

Each test that can runs on the CPU too, in every call of pytest, so that it is no untested code
where there is no GPU; what is marked gpu is left out there.
"""

import pytest
import torch

from disobey.training.device import repeatable_float32

from ..training.conftest import Workplace
from ..training.test_encoded import photos  # noqa: F401 - a fixture

CUDA = pytest.param("cuda", marks=pytest.mark.gpu)


def skip_without(gpus):
    """Skip, with the reason, if there are fewer GPUs."""
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found < gpus:
        pytest.skip(f"needs {gpus} GPU{'s' * (gpus > 1)}; torch {torch.__version__} finds {found}")


@pytest.fixture(params=["cpu", CUDA])
def device(request, monkeypatch):
    """The device under test; float32 is float32, as `choose_device` leaves it in a stage."""
    if request.param == "cuda":
        skip_without(1)
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # and back to what they were
        monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
        repeatable_float32()
    return request.param


@pytest.fixture
def workplace(tmp_path, device):
    """A place where stages run on the device under test."""
    return Workplace(tmp_path, device)


@pytest.fixture
def on_gpus(tmp_path):
    """A place where stages run on GPUs."""
    return Workplace(tmp_path, "cuda")
