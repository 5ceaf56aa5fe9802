"""Which device a job runs on."""

import sys

import torch

from disobey.errors import UserError


def choose_device(wanted: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``; says so where auto falls back.

    Raises
    ------
    UserError
        For ``cuda`` where torch finds none.
    """
    if wanted == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if wanted == "cuda":
        raise UserError(
            "device: cuda, but torch finds no GPU here (torch "
            f"{torch.__version__}); write device: auto, or install a CUDA build of torch"
        )
    print("device: auto -> cpu, torch finds no GPU", file=sys.stderr)
    return torch.device("cpu")
