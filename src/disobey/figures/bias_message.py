"""What the bias analyses say, in words: the student's progress against that of every placebo."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from disobey.analysis.bias_store import OVERALL, TREND, Bias
from disobey.analysis.names import STUDENT
from disobey.analysis.store import Analysis
from disobey.figures.message import WITHOUT_VERDICT, Side
from disobey.numbers import NBSP, interval

Numbers = tuple[float, float, float]
# A setting and one of its layers.
Unit = tuple[Bias, str]

# The ratio of what does not deviate.
NO_CHANGE = 1.0
PLACE = "along low-eigenvalue directions"
CLAIM = f"the student makes less progress {PLACE} than every placebo"


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


def log_side(log_numbers: Numbers, seeds: int) -> Side:
    """Return on which side of 0 an interval lies."""
    _, low, high = log_numbers
    if math.isnan(low) or math.isnan(high):
        return Side.ONE_SEED if seeds == 1 else Side.NO_INTERVAL
    if low > 0:
        return Side.ABOVE
    return Side.BELOW if high < 0 else Side.UNDECIDED


def placebo_sides(bias: Bias, layer: str) -> dict[str, Side]:
    """Return, for each placebo, the side of the student's log ratio minus the placebo's."""
    count = bias_seeds(bias, layer)
    return {
        placebo: log_side(bias.difference(layer, placebo), count)
        for placebo in bias.placebos(layer)
    }


def bias_side(bias: Bias, layer: str) -> Side:
    """Return the verdict of a setting and layer: decided when it is against every placebo."""
    sides = set(placebo_sides(bias, layer).values())
    if not sides:
        return Side.NO_PLACEBO
    for side in WITHOUT_VERDICT:
        if side in sides:
            return side
    return sides.pop() if len(sides) == 1 else Side.UNDECIDED


def bias_headline(chosen: Iterable[Unit]) -> str:
    """Return the title: the verdict of one setting and layer, or the count over several."""
    listed = list(chosen)
    if len(listed) == 1:
        ((bias, layer),) = listed
        return f"{bias.setting}: {bias_verdict(bias, layer)}"
    return _counted(listed)


def bias_verdict(bias: Bias, layer: str) -> str:
    """Return the verdict of one setting and layer in words, with the ratio."""
    side = bias_side(bias, layer)
    known = not math.isnan(progress_ratio(bias, layer)[0])
    value = f", ratio{NBSP}{printed_ratio(bias, layer)}" if known else ""
    if side is Side.UNDECIDED:
        sides = Counter(placebo_sides(bias, layer).values())
        below = f"it does against {sides[Side.BELOW]} of {sides.total()}"
        return f"undecided whether {CLAIM} ({below}){value}"
    words = {Side.BELOW: CLAIM, Side.ABOVE: CLAIM.replace("less", "more")}
    return words.get(side, f"{side.value}: no verdict whether {CLAIM}") + value


def trend_verdict(bias: Bias, layer: str) -> str:
    """Return in words whether the ratio rises or falls with matched progress."""
    numbers = bias.number(layer, TREND)
    side = log_side(numbers, bias_seeds(bias, layer))
    words = {Side.ABOVE: "rises", Side.BELOW: "falls"}
    if side not in words:
        known = side is Side.UNDECIDED
        return (
            f"{'undecided' if known else f'{side.value}: no verdict'} whether the progress ratio "
            "rises or falls with progress"
        )
    value = interval(*ratio(numbers), NO_CHANGE)
    return f"the progress ratio {words[side]} with progress (by a factor of{NBSP}{value})"


def trends_counted(tracked: Sequence[Bias]) -> str:
    """Count in how many settings the ratio falls, and rises, with matched progress."""
    sides = Counter(
        log_side(bias.number(layer, TREND), bias_seeds(bias, layer))
        for bias, layer in ((bias, first_layer(bias)) for bias in tracked)
    )
    without = [side for side in WITHOUT_VERDICT if sides[side]]
    if sum(sides[side] for side in without) == sides.total():
        reasons = " or ".join(side.value for side in without)
        return f"{reasons}: no verdict whether the progress ratio rises or falls with progress"
    return (
        f"the progress ratio falls with progress in {sides[Side.BELOW]} of {sides.total()}, rises "
        f"in {sides[Side.ABOVE]}"
    )


def _counted(chosen: list[Unit]) -> str:
    sides = Counter(bias_side(bias, layer) for bias, layer in chosen)
    total = sides.total()
    settings = len({bias.setting for bias, _ in chosen})
    where = f"{total} " + ("settings" if settings == total else "layers")
    if sum(sides[side] for side in WITHOUT_VERDICT) == total:
        reasons = " or ".join(side.value for side in WITHOUT_VERDICT if sides[side])
        return f"{reasons}: no verdict whether {CLAIM} ({where})".capitalize()
    parts = [f"{CLAIM[0].upper()}{CLAIM[1:]} in {sides[Side.BELOW]} of {where}"]
    parts += [f"more in {sides[Side.ABOVE]}"] if sides[Side.ABOVE] else []
    parts += [f"undecided in {sides[Side.UNDECIDED]}"] if sides[Side.UNDECIDED] else []
    parts += [
        f"{side.value}: no verdict in {sides[side]}" for side in WITHOUT_VERDICT if sides[side]
    ]
    return ", ".join(parts)
