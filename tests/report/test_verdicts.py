"""A claim whose rows have different readings."""

from types import SimpleNamespace

from disobey.report.verdicts import Decision, Held, Row
from disobey.tools.results import _row


def held():
    """By the first reading a setting is decided, by the second each of its controls."""
    rows = [Row("a", "", placebo, 3, "-", counted=True) for placebo in ("", "half_lr")]
    rows[0].decisions["paper"] = Decision("1", "", "holds")
    rows[1].decisions["second seed"] = Decision("2", "4", "contrary")
    readings = {name: SimpleNamespace(name=name) for name in ("paper", "second seed")}
    return Held("", "", readings, rows)


def test_a_control_is_shown_where_only_some_rows_have_it():
    assert held().controlled == ["second seed"]


def test_each_decision_stands_below_its_own_reading():
    first, second = (_row(held(), row) for row in held().rows)
    assert first == ["a", "holds 1", "", "", "3"]
    assert second == ["a", "", "contrary 2", "4", "3"]
