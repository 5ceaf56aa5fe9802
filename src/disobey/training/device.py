"""Which device a job runs on."""

import os
import sys
from collections.abc import Callable, Sequence

import torch

from disobey.data.prepared import ENCODED
from disobey.errors import UserError


def choose_device(wanted: str, take_card: Callable[[Sequence[str]], int]) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``; says so where auto falls back.

    Parameters
    ----------
    wanted : str
        As the study says.
    take_card : callable
        Given the names of the GPUs that torch sees, returns the position of one to use.

    Raises
    ------
    UserError
        For ``cuda`` where torch finds none.
    """
    if wanted == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", take_card(card_names()))
        torch.cuda.set_device(device)
        # float32 is what a recipe without bf16 says; cuDNN would round to ten bits (TF32).
        torch.backends.cudnn.allow_tf32 = False
        return device
    if wanted == "cuda":
        raise UserError(
            "device: cuda, but torch finds no GPU here (torch "
            f"{torch.__version__}); write device: auto, or install a CUDA build of torch"
        )
    print("device: auto -> cpu, torch finds no GPU", file=sys.stderr)
    return torch.device("cpu")


def compute_threads(threads: int, kind: str) -> int:
    """Return how many of a job's threads compute on the CPU.

    One where the others decode images: how many there are may depend on the machine, and sums by
    another number of threads have other last digits.

    Parameters
    ----------
    threads : int
        Of the job.
    kind : str
        Of its data, see `disobey.data.prepared.Prepared`.
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
