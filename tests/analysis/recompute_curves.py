"""Recompute comparisons at equal train accuracy, sharing no code with the package.

Levels are searched one after another along the recorded points; a crossing is on the straight line
between the last point below a level and the next one.
"""

import math

LEVELS = [k / 100 for k in range(20, 100, 5)]


def crossing(train, values, level):
    """Return ``values`` where ``train`` first reaches ``level``, or None if it never does."""
    if train[0] >= level:
        return None
    for k in range(1, len(train)):
        if train[k] >= level:
            part = (level - train[k - 1]) / (train[k] - train[k - 1])
            return values[k - 1] + part * (values[k] - values[k - 1])
    return None


def at_equal_accuracy(one, other):
    """Return the difference in test accuracy, one minus other, and ln of the ratio of their steps.

    Both are (step, train, test); the mean over levels that both reach, None below three of them.
    """
    tests, steps = [], []
    for level in LEVELS:
        found = [(crossing(train, test, level), crossing(train, step, level))
                 for step, train, test in (one, other)]  # fmt: skip
        if None not in [value for pair in found for value in pair]:
            tests.append(found[0][0] - found[1][0])
            steps.append(math.log(found[0][1] / found[1][1]))
    if len(tests) < 3:
        return None
    return sum(tests) / len(tests), sum(steps) / len(steps)
