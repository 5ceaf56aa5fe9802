"""The device of a job; torch's answers are made up, so that no GPU is needed."""

from types import SimpleNamespace

import pytest
import torch

from disobey.errors import UserError
from disobey.training import device as module
from disobey.training.device import GIVEN_BY, card_names, choose_device


def never(cards):
    raise AssertionError("no card may be taken")


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in GIVEN_BY:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def two_gpus(monkeypatch):
    """Return the arguments of calls of torch.cuda.set_device."""
    current = []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda card: SimpleNamespace(uuid=f"8f3a-{card}")
    )
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    # and back to what they were
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    # monkeypatch cannot put back what it changes of this object
    torch.backends.cuda.matmul.allow_tf32, before = True, torch.backends.cuda.matmul.allow_tf32
    yield current
    torch.backends.cuda.matmul.allow_tf32 = before


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


def test_float32_is_not_rounded_to_tf32_and_a_run_repeats(two_gpus):
    choose_device("cuda", lambda cards: 0)
    assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cuda.matmul.allow_tf32 is False  # whatever the environment says
    assert torch.backends.cudnn.deterministic


OLD_DRIVER = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15\n"


@pytest.mark.parametrize("name", GIVEN_BY)
@pytest.mark.parametrize(
    ("cuda", "driver", "words"),
    [
        ("13.0", OLD_DRIVER, "built for CUDA 13.0, the driver is 535.104.05"),
        (None, None, "built without CUDA, no driver of NVIDIA is loaded"),
    ],
)
def test_auto_refuses_a_card_that_torch_cannot_use(
    name, cuda, driver, words, no_gpu, monkeypatch, tmp_path
):
    monkeypatch.setenv(name, "0")
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(module, "DRIVER", tmp_path / "version")
    if driver:
        module.DRIVER.write_text(driver)
    with pytest.raises(UserError) as refused:
        choose_device("auto", never)
    said = str(refused.value)
    assert f"{name}=0" in said and f"torch {torch.__version__} is {words}" in said
    assert "TORCH_INDEX" in said and "device: cpu" in said


@pytest.mark.parametrize("value", ["", "-1", "NoDevFiles"])
def test_a_job_from_which_gpus_are_hidden_runs_on_the_cpu(value, no_gpu, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert choose_device("auto", never) == torch.device("cpu")


def test_a_part_of_a_card_has_the_name_that_the_cluster_gives_it(two_gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1/2/3")
    assert card_names() == ["MIG-1/2/3"]
