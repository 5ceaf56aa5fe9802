"""Exceptions with messages for users, and advice on packages that are not installed."""

import difflib
import importlib.util
import zipfile
import zlib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input: says what is wrong, where and what to write instead; shown without traceback."""


# What numpy.load raises for a file that is damaged, encrypted, or packed in a way it does not know.
UNREADABLE_ARRAYS = (
    OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class OutOfTime(UserError):
    """A training was told that its time limit is near; its state is saved, with new steps in it."""


class DiskFull(UserError):
    """A file could not be written for want of space; nothing that was there before is lost."""


def nearest(name: object, known: Iterable[object], similarity: float = 0.6) -> str:
    """Return a hint that names what the user probably meant.

    That is ``did you mean 'x'?`` for the closest of the ``known`` names, else the list of them.
    Upper and lower case are taken for equal; ``similarity`` is how close a name must be, up to 1.
    """
    names = sorted(str(item) for item in known)
    folded = {item.casefold(): item for item in names}
    close = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=similarity)
    if close:
        return f"did you mean '{folded[close[0]]}'?"
    return "there are none" if not names else "known: " + ", ".join(names)


# Packages beyond the core, which `disobey.compare`, the analysis and the figures need: the extra
# that installs each, by the name that is imported. tests/test_install.py compares pyproject.toml.
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
    """Return which extra brings a module that cannot be imported; None for any other module.

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
