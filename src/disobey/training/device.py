"""The device of a job."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from disobey.data.prepared import ENCODED
from disobey.errors import UserError

# Variables that name the GPUs given to a job: by SLURM to the job or its step, or by the caller.
GIVEN_BY = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "CUDA_VISIBLE_DEVICES")
DRIVER = Path("/proc/driver/nvidia/version")


def choose_device(wanted: str, take_card: Callable[[Sequence[str]], int]) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``; says so where auto falls back.

    On a GPU numbers are then those of float32, and the same in every run.

    Parameters
    ----------
    wanted : str
        As the study says.
    take_card : callable
        Given the names of the GPUs that torch sees, returns the position of one to use.

    Raises
    ------
    UserError
        For ``cuda`` where torch finds none, and for ``auto`` where it cannot use the one that the
        job was given: a job of hours would take weeks on the CPU.
    """
    if wanted == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", take_card(card_names()))
        torch.cuda.set_device(device)
        repeatable_float32()
        return device
    if wanted == "cuda":
        raise UserError(
            f"device: cuda, but torch finds no GPU here ({versions_in_words()}); write "
            f"device: auto, or install a build of torch that fits the driver"
        )
    given = given_cards()
    if given is not None:
        raise UserError(
            f"device: auto, and this job was given a GPU ({given}), but torch cannot use it: "
            f"{versions_in_words()}; install a build of torch for a CUDA that the driver knows "
            f"(make clean-venv, then make figures TORCH_INDEX=<its address>), or a newer driver; "
            f"device: cpu in the study file asks for no GPU"
        )
    print("device: auto -> cpu, torch finds no GPU", file=sys.stderr)
    return torch.device("cpu")


def repeatable_float32() -> None:
    """Let a GPU compute in float32, as a recipe without bf16 says, and repeat its numbers.

    cuDNN and, where the environment says so, cuBLAS would round to ten bits (TF32); some of cuDNN's
    gradients add up in an order that changes from run to run.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True


def given_cards() -> str | None:
    """Return the variable and value that gave the job its GPUs; None if there is none."""
    for name in GIVEN_BY:
        value = os.environ.get(name, "")
        if value not in ("", "-1", "NoDevFiles"):  # what schedulers write for none
            return f"{name}={value}"
    return None


def versions_in_words() -> str:
    """Return the versions of torch, of the CUDA it is built for, and of the driver."""
    cuda = torch.version.cuda
    built = f"built for CUDA {cuda}" if cuda else "built without CUDA"
    try:
        found = re.search(r"\b\d+\.\d+(\.\d+)?\b", DRIVER.read_text(encoding="utf-8"))
    except OSError:
        found = None
    driver = f"the driver is {found[0]}" if found else "no driver of NVIDIA is loaded"
    return f"torch {torch.__version__} is {built}, {driver}"


def compute_threads(threads: int, kind: str) -> int:
    """Return the number of a job's threads that compute on the CPU.

    One where the others decode images: how many there are may depend on the machine, and sums by
    another number of threads have other last digits.

    Parameters
    ----------
    threads : int
        Threads of the job.
    kind : str
        Kind of its data, see `disobey.data.prepared.Prepared`.
    """
    return 1 if kind == ENCODED else threads


def card_names() -> list[str]:
    """Return a name for each GPU that torch sees; CUDA_VISIBLE_DEVICES hides the others.

    The same card has the same name in every process, whatever the process may see: positions would
    not do. Parts of a card (MIG) are named as CUDA_VISIBLE_DEVICES names them, one a process.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if visible[0].startswith("MIG-"):
        return visible[:1]
    count = torch.cuda.device_count()
    return [str(torch.cuda.get_device_properties(card).uuid) for card in range(count)]
