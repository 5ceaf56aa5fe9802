"""Student-teacher deviations in distillation, measured from stored logits.

In a notebook: ``from disobey import compare, confidence_logit, exaggeration, linear_path``.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["compare", "confidence_logit", "exaggeration", "linear_path"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever is asked for
    """Import what notebooks use when it is first asked for: the commands stay light."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from disobey import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
