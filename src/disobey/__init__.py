"""Student-teacher deviations in distillation, measured from stored logits.

For logits of any framework: ``from disobey import compare, confidence_logit, exaggeration,
linear_path``. For results of this package: ``from disobey import open_study, load_run,
load_inputs``.
"""

import importlib
from typing import Any

__version__ = "0.1.0"
# Names for notebooks, mapped to the modules that define them.
_MODULES = {
    "compare": "api", "confidence_logit": "api", "exaggeration": "api", "linear_path": "api",
    "load_inputs": "opening", "load_run": "opening", "open_study": "opening",
}  # fmt: skip
__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    """Import a name for notebooks on first use, which keeps the commands light."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"disobey.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
