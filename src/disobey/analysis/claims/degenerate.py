"""Settings whose models or data are too poor for a verdict."""

from disobey.analysis.names import ALL, TEACHER
from disobey.analysis.store import Analysis
from disobey.numbers import NBSP

# Fewer test examples give deciles of fewer than 20 [C].
FEWEST_TEST_EXAMPLES = 200


def why_degenerate(analysis: Analysis) -> str:
    """Return why a setting gets no verdict, and what to change; empty where it gets one.

    A teacher that is right no more often than a constant answer has learnt nothing that a student
    could copy or exaggerate. One such teacher among the seeds is enough.
    """
    test = analysis.splits.get("test")
    if test is None:
        return ""
    number = int(test.examples.sel(subset=ALL).min())
    if number < FEWEST_TEST_EXAMPLES:
        return (
            f"test has {number} examples, fewer than {FEWEST_TEST_EXAMPLES}: give it more for a "
            f"verdict"
        )
    accuracy = analysis.seeds("clean_accuracy", TEACHER)
    worst, constant = int(accuracy.argmin()), float(test.most_frequent_class)
    if not accuracy[worst] <= constant:
        return ""
    return (
        f"the teacher of seed {int(test.seed[worst])} is right on {_percent(accuracy[worst])} of "
        f"the test examples, the most frequent class alone on {_percent(constant)}: train the "
        f"teacher longer or by another recipe"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.4g}{NBSP}%"
