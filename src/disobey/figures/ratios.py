"""Ratios of progress along eigendirections, from the logarithms that a bias analysis holds."""

import math

from disobey.analysis.bias import OVERALL, Bias
from disobey.analysis.names import STUDENT
from disobey.analysis.store import Analysis
from disobey.numbers import interval

Numbers = tuple[float, float, float]
# A setting and one of its layers.
Unit = tuple[Bias, str]

# The ratio of what does not deviate.
NO_CHANGE = 1.0


def ratio(log_numbers: Numbers) -> Numbers:
    """Return estimate, low and high of a ratio, given those of its logarithm."""
    estimate, low, high = (math.exp(value) for value in log_numbers)
    return estimate, low, high


def progress_ratio(bias: Bias, layer: str, what: str = OVERALL, model: str = STUDENT) -> Numbers:
    """Return the ratio of a model's progress to the reference's, or of its end to its beginning."""
    return ratio(bias.number(layer, what, model))


def printed_ratio(bias: Bias, layer: str) -> str:
    """Return the student's `progress_ratio` and its interval as printed."""
    return interval(*progress_ratio(bias, layer), NO_CHANGE)


def bias_seeds(bias: Bias, layer: str) -> int:
    """Return the number of seeds."""
    return int(bias.layers[layer].sizes["seed"])


def units(analyses: dict[str, Analysis]) -> list[Unit]:
    """Return settings and layers that have a bias analysis, in the order of the study."""
    found = [analysis.bias for analysis in analyses.values() if analysis.bias is not None]
    return [(bias, layer) for bias in found for layer in bias.layers]


def first_layer(bias: Bias) -> str:
    """Return the layer that decides claims."""
    return next(iter(bias.layers))
