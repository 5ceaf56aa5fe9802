"""How many seeds and examples the numbers of a figure rest on."""

from disobey.analysis.names import ALL
from disobey.analysis.store import Analysis
from disobey.numbers import NBSP


def seeds(analysis: Analysis, split: str = "test") -> int:
    """Return the number of seeds."""
    return int(analysis.splits[split].sizes["seed"])


def size(analysis: Analysis, split: str = "test") -> str:
    """Return "seeds x examples" of a split."""
    return f"{seeds(analysis, split)}{NBSP}×{NBSP}{examples(analysis, split)}"


def examples(analysis: Analysis, split: str = "test", subset: str = ALL) -> str:
    """Return the number of examples, or its range over seeds."""
    counts = analysis.splits[split].examples.sel(subset=subset).values
    few, many = int(counts.min()), int(counts.max())
    return f"{many:,}" if few == many else f"{few:,}–{many:,}"
