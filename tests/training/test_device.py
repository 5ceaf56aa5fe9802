"""Which device a job gets; there need be no GPU here, so torch's answers are made up."""

from types import SimpleNamespace

import pytest
import torch

from disobey.errors import UserError
from disobey.training.device import card_names, choose_device


def never(cards):
    raise AssertionError("no card may be taken")


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch):
    """Return what torch.cuda.set_device was called with."""
    current = []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda card: SimpleNamespace(uuid=f"8f3a-{card}")
    )
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # and back to what it was
    return current


def test_auto_falls_back_to_the_cpu_and_says_so(no_gpu, capsys):
    assert choose_device("auto", never) == torch.device("cpu")
    assert "device: auto -> cpu, torch finds no GPU" in capsys.readouterr().err


def test_cuda_without_a_gpu_is_refused_with_what_to_write(no_gpu):
    with pytest.raises(UserError, match=r"finds no GPU here.*write device: auto"):
        choose_device("cuda", never)


def test_the_cpu_takes_no_card(two_gpus):
    assert choose_device("cpu", never) == torch.device("cpu")


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_the_card_taken_is_the_one_used(wanted, two_gpus):
    asked = []
    device = choose_device(wanted, lambda cards: asked.append(cards) or 1)
    assert asked == [["8f3a-0", "8f3a-1"]]
    assert device == torch.device("cuda", 1)
    assert two_gpus == [device]  # random numbers are drawn on the current device


def test_float32_is_not_rounded_to_tf32(two_gpus):
    torch.backends.cudnn.allow_tf32 = True
    choose_device("cuda", lambda cards: 0)
    assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cuda.matmul.allow_tf32 is False


def test_a_part_of_a_card_has_the_name_that_the_cluster_gives_it(two_gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1/2/3")
    assert card_names() == ["MIG-1/2/3"]
