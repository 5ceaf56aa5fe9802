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
    """Return the device for ``auto``, ``cpu`` or ``cuda``; log when ``auto`` falls back to the CPU.

    A GPU is set to compute in float32 and reproducibly, see `repeatable_float32`.

    Parameters
    ----------
    wanted : str
        ``device`` of the study file.
    take_card : callable
        Maps the names of the GPUs that torch sees to the position of the GPU to use.

    Raises
    ------
    UserError
        For ``cuda`` if torch finds no GPU, and for ``auto`` if torch cannot use the GPU that the
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
    """Make GPUs compute in full float32 (unless the recipe uses bf16) and reproducibly.

    By default cuDNN and, if the environment says so, cuBLAS round to ten bits (TF32), and cuDNN
    sums some gradients in an order that changes from run to run.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True


def given_cards() -> str | None:
    """Return the environment variable that names the job's GPUs, as ``NAME=value``, or None."""
    for name in GIVEN_BY:
        value = os.environ.get(name, "")
        if value not in ("", "-1", "NoDevFiles"):  # schedulers' values for no GPU
            return f"{name}={value}"
    return None


def versions_in_words() -> str:
    """Return a text with the versions of torch, of its CUDA and of the driver."""
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

    It is 1 if the other threads decode images: their number may depend on the machine, and the
    last digits of a sum depend on the number of threads that compute it.

    Parameters
    ----------
    threads : int
        Number of threads of the job.
    kind : str
        Kind of its data, see `disobey.data.prepared.Prepared`.
    """
    return 1 if kind == ENCODED else threads


def card_names() -> list[str]:
    """Return a name for each GPU that torch sees; CUDA_VISIBLE_DEVICES hides the others.

    A card has the same name in every process, whereas its position depends on the cards that a
    process sees. A part of a card (MIG) has its name in CUDA_VISIBLE_DEVICES; torch sees only one.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if visible[0].startswith("MIG-"):
        return visible[:1]
    count = torch.cuda.device_count()
    return [str(torch.cuda.get_device_properties(card).uuid) for card in range(count)]
