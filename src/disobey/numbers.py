"""Formatting of numbers for titles, pages and tables in text."""

import math

# No-break space: a number and its interval stay on one line.
NBSP = "\u00a0"
MAX_DECIMALS = 4
MIN_DECIMALS = 2
# Least width of an interval in units of the last printed decimal.
LEAST_STEPS = 4
# An endpoint that these decimals cannot distinguish from the null is printed as the null.
MOST_DECIMALS = 8
MINUTE, HOUR = 60, 3600
# In tables: enough digits to recompute a verdict from, few enough to read.
FLOAT_FORMAT = "%.9g"


def parse(cell: str) -> float:
    """Return the number in a cell of a table; NaN for an empty one."""
    return float(cell) if cell else math.nan


def number(value: float, decimals: int = MIN_DECIMALS) -> str:
    """Format a number with fixed decimals and a true minus sign, but no sign on a rounded zero."""
    return f"{value:z.{decimals}f}".replace("-", "−")


def interval(estimate: float, low: float, high: float, null: float = math.nan) -> str:
    """Return ``0.93 [0.90, 0.96]``, with as many decimals as the interval resolves.

    Without an interval, as with a single seed, only the estimate is returned. An endpoint close to
    the ``null`` is not rounded to it; otherwise the interval would seem to contain a null that its
    verdict excludes.
    """
    if math.isnan(estimate):
        return "not estimated"
    if math.isnan(low) or math.isnan(high):
        return number(estimate)
    resolved = _decimals(low, high)
    more = range(resolved, MOST_DECIMALS + 1)
    decimals = next((enough for enough in more if _parts(low, high, null, enough)), resolved)
    middle, left, right = (number(value, decimals) for value in (estimate, low, high))
    return f"{middle}{NBSP}[{left},{NBSP}{right}]"


def _parts(low: float, high: float, null: float, decimals: int) -> bool:
    """Return whether each endpoint that differs from the null also differs from it as printed."""
    return all(
        end == null or number(end, decimals) != number(null, decimals) for end in (low, high)
    )


def _decimals(low: float, high: float) -> int:
    """Return the number of decimals that the width of an interval supports."""
    if not high > low:
        return MIN_DECIMALS
    steps = -math.floor(math.log10((high - low) / LEAST_STEPS))
    return min(max(steps, MIN_DECIMALS), MAX_DECIMALS)


def duration(seconds: float) -> str:
    """Return ``1 h 02 min``, ``2 min 05 s`` or ``3.4 s``."""
    if round(seconds, 1) < MINUTE:
        return f"{seconds:.1f}{NBSP}s"
    whole = round(seconds)
    if whole < HOUR:
        return f"{whole // MINUTE}{NBSP}min{NBSP}{whole % MINUTE:02d}{NBSP}s"
    minutes = round(seconds / MINUTE)
    return f"{minutes // MINUTE:,}{NBSP}h{NBSP}{minutes % MINUTE:02d}{NBSP}min"
