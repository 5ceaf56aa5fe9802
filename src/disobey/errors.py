"""Exceptions with messages for users, and advice on packages that are not installed."""

import difflib
import importlib.util
import zipfile
import zlib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input: says what is wrong, where, and the remedy; shown without a traceback."""


# Errors of numpy.load for a damaged or encrypted file, or one with an unknown compression.
UNREADABLE_ARRAYS = (
    OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class OutOfTime(UserError):
    """A training stopped near its time limit, after new steps; its state is saved."""


class DiskFull(UserError):
    """A file could not be written because the disk is full; no existing file is lost."""


def nearest(name: object, known: Iterable[object], similarity: float = 0.6) -> str:
    """Return a hint that names what the user probably meant.

    The hint is ``did you mean 'x'?`` for the closest of the ``known`` names, or else lists them.
    Case is ignored; ``similarity`` is the least similarity, between 0 and 1, of a close name.
    """
    names = sorted(str(item) for item in known)
    folded = {item.casefold(): item for item in names}
    close = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=similarity)
    if close:
        return f"did you mean '{folded[close[0]]}'?"
    return "there are none" if not names else "known: " + ", ".join(names)


# The extra that installs each package, by import name. The core packages, which `disobey.compare`,
# the analysis and the figures need, are left out. tests/test_install.py checks pyproject.toml.
EXTRA = {
    "torch": "train",
    "tqdm": "train",
    "safetensors": "train",
    "PIL": "train",
    "sklearn": "train",
    "mlxtend": "train",
    "babel": "train",
    "tokenizers": "train",
    "snakemake": "workflow",
    "docutils": "workflow",
    "transformers": "hub",
    "datasets": "hub",
    "huggingface_hub": "hub",
    "pyarrow": "hub",
}


def advice(module: str | None) -> str | None:
    """Return advice on the extra that installs a missing module; None for any other module.

    Examples
    --------
    >>> advice("torch.nn")
    "torch is not installed; pip install 'disobey[train]'"
    """
    package = (module or "").partition(".")[0]
    if package not in EXTRA:
        return None
    return f"{package} is not installed; pip install 'disobey[{EXTRA[package]}]'"


def missing(*packages: str) -> list[str]:
    """Return the advice for each of ``packages`` that is not installed."""
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    return [words for name in absent if (words := advice(name))]
