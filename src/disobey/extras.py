"""Packages that only some commands need: which extra of this package installs them.

The core is what `disobey.compare`, the analysis and the figures need.
"""

import importlib.util

# By the name that is imported; tests/test_install.py holds this to pyproject.toml.
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
