"""All statistics of the confidence analysis, in the order of its stores.

To add a statistic, add its record to the tuple of its group in the module that computes it.
"""

from disobey.analysis import bias, confidence, leak, payoff, quality, readings
from disobey.analysis.names import Statistic

GROUPS = (
    confidence.PRIMARY,
    confidence.PLOTTED,
    readings.OTHER_READINGS,
    quality.FIDELITY,
    quality.QUALITY,
    payoff.PAYOFF,
    payoff.PAYOFF_PARTS,
    payoff.MUTUAL,
    payoff.MISTAKES,
    leak.LEAK_AND_MEMORY,
)
# The names of each group.
(
    PRIMARY, PLOTTED, OTHER_READINGS, FIDELITY, QUALITY, PAYOFF, PAYOFF_PARTS, MUTUAL, MISTAKES,
    LEAK_AND_MEMORY,
) = (tuple(one.name for one in group) for group in GROUPS)  # fmt: skip
STATISTICS = {one.name: one for group in GROUPS for one in group}
# Statistics of claims that are not about confidence, by name.
OF_TRAINING = {one.name: one for one in bias.STATISTICS}


def statistic_of(name: str) -> Statistic:
    """Return the record of a statistic; if there is none, a record with only its name and label."""
    return (STATISTICS | OF_TRAINING).get(name) or Statistic(name, "", "", label=name)
