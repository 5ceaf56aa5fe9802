"""Numbers as the page prints them; estimates are rounded as in the titles of the figures."""

import math

NBSP = "\u00a0"
MAX_DECIMALS = 4
MIN_DECIMALS = 2
# An interval spans at least so many units of the last decimal.
LEAST_STEPS = 4
MINUTE, HOUR = 60, 3600


def parse(cell: str) -> float:
    """Return the number in a cell of a table; NaN for an empty one."""
    return float(cell) if cell else math.nan


def number(value: float, decimals: int = MIN_DECIMALS) -> str:
    """Return a number with fixed decimals, a true minus sign, and none on what rounds to zero."""
    return f"{value:z.{decimals}f}".replace("-", "−")


def interval(estimate: float, low: float, high: float) -> str:
    """Return ``0.93 [0.90, 0.96]``, with as many decimals as the interval resolves.

    Without an interval, as with a single seed, the estimate stands alone.
    """
    if math.isnan(estimate):
        return "not estimated"
    if math.isnan(low) or math.isnan(high):
        return number(estimate)
    decimals = MIN_DECIMALS
    if high > low:
        steps = -math.floor(math.log10((high - low) / LEAST_STEPS))
        decimals = min(max(steps, MIN_DECIMALS), MAX_DECIMALS)
    middle, left, right = (number(value, decimals) for value in (estimate, low, high))
    return f"{middle}{NBSP}[{left},{NBSP}{right}]"


def duration(seconds: float) -> str:
    """Return ``1 h 02 min``, ``2 min 05 s`` or ``3.4 s``."""
    if round(seconds, 1) < MINUTE:
        return f"{seconds:.1f}{NBSP}s"
    whole = round(seconds)
    if whole < HOUR:
        return f"{whole // MINUTE}{NBSP}min{NBSP}{whole % MINUTE:02d}{NBSP}s"
    minutes = round(seconds / MINUTE)
    return f"{minutes // MINUTE:,}{NBSP}h{NBSP}{minutes % MINUTE:02d}{NBSP}min"
