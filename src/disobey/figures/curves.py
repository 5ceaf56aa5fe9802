"""Accuracy along training: over steps, against train accuracy, and against the switch point."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from disobey.analysis.curves import EQUAL_ACCURACY, EQUAL_ACCURACY_DIFFERENCE, Curves
from disobey.analysis.intervals import ENDS as NUMBER
from disobey.analysis.names import PERCENT, REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.families import ENDS, Family, families, ramp_of, unswitched
from disobey.figures.panels import draw_grid, say, scale
from disobey.figures.series import Series, draw_line
from disobey.figures.style import DISTILLATION_FIRST, ONE_HOT_FIRST, Role
from disobey.numbers import NBSP, interval

TEST_ACCURACY = "test accuracy (%)"
# The first steps, as a share of all, may leave the panel below.
EARLY = 0.05
# From the back to the front.
MODELS = (TEACHER, REFERENCE, STUDENT)


class Look(NamedTuple):
    """Role and line style of an arm."""

    role: Role
    linestyle: str


LOOKS = {
    REFERENCE: Look(replace(style.ROLES[REFERENCE], label="one-hot"), "-"),
    STUDENT: Look(replace(style.ROLES[STUDENT], label="distilled"), "-"),
    ONE_HOT_FIRST: Look(
        replace(style.ORDER_ROLES[ONE_HOT_FIRST], label="one-hot, then distilled"), "--"
    ),
    # Darker than the student, beside whom it is drawn.
    DISTILLATION_FIRST: Look(
        replace(
            style.ORDER_ROLES[DISTILLATION_FIRST], label="distilled, then one-hot",
            colour="#7A3300",
        ),
        "--",
    ),
}  # fmt: skip


def _known(kind: str, analyses: dict[str, Analysis]) -> list[Analysis]:
    """Return the settings that have curves; a figure needs one."""
    known = [analysis for analysis in analyses.values() if analysis.curves is not None]
    if not known:
        raise ValueError(
            f"the figure {kind} needs settings with curves, got none among "
            f"{', '.join(analyses) or 'no setting'}"
        )
    return known


def _size(curves: Curves) -> str:
    return f"n{NBSP}={NBSP}{curves.data.sizes['seed']}{NBSP}×{NBSP}{curves.test_examples:,}"


# --- over steps -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arm:
    """One line: mean over seeds, with its interval.

    Attributes
    ----------
    step : ndarray, shape (point,)
    percent : ndarray, shape (3, point)
        Estimate, low and high of the test accuracy.
    switch : tuple of int or None
        The steps between which the loss changes.
    """

    step: np.ndarray
    percent: np.ndarray
    switch: tuple[int, int] | None

    @classmethod
    def of(cls, curves: Curves, model: str) -> Self:
        """Return the line of one model of a setting; only its student is ever switched."""
        data = curves.data.sel(model=model)
        known = data.step.notnull().values
        ends = [data[f"test_accuracy_{end}"].values[known] for end in NUMBER]
        switch = curves.data.attrs.get("switch_steps") if model == STUDENT else None
        return cls(data.step.values[known], PERCENT * np.array(ends), switch)


@style.styled
def draw_training_curves(analyses: dict[str, Analysis]) -> Figure:
    """Draw test accuracy over steps, one panel per family of settings that differ in the switch."""
    panels = _step_panels(_known("training-curves", analyses))
    shown = [LOOKS[arm] for arm in LOOKS if any(arm in arms for _, arms in panels)]
    handles = [_handle(*look) for look in shown]
    sheet, made, columns = draw_grid(
        "Test accuracy along training", [h for h, _ in panels], handles
    )
    for index, (axes, (_, arms)) in enumerate(zip(made, panels, strict=True)):
        _draw_arms(axes, arms)
        axes.set(xlabel="step", ylabel="" if index % columns else TEST_ACCURACY)
    return sheet.finish()


def _step_panels(analyses: Sequence[Analysis]) -> list[tuple[str, dict[str, Arm]]]:
    """Return heading and arms for each family; one panel per switch point of an order."""
    panels = []
    for family in families(analyses, ("switch",)):
        members = [a.curves for a in family.analyses if a.curves is not None]
        plain = [a.curves for a in family.analyses if a.curves and unswitched(a) == STUDENT]
        first = plain[0] if plain else members[0]
        always = {REFERENCE: Arm.of(first, REFERENCE)}
        always |= {STUDENT: Arm.of(first, STUDENT)} if plain else {}
        switched = [a.curves for a in family.analyses if a.curves and unswitched(a) is None]
        for group in _by_point(switched) or [[]]:
            own = {curves.about["switch"]["order"]: Arm.of(curves, STUDENT) for curves in group}
            points = dict.fromkeys(_point(curves.about["switch"]) for curves in group)
            at = f", switch at{NBSP}{' and '.join(points)}" if group else ""
            arms = always | own
            ordered = {name: arms[name] for name in LOOKS if name in arms}
            panels.append((f"{family.name}{at}, {_size(first)}", ordered))
    return panels


def _point(switch: Mapping[str, Any]) -> str:
    ramp = f" over{NBSP}{switch['ramp']:g}" if "ramp" in switch else ""
    return f"{switch['at']:g}{ramp}"


def _by_point(switched: Sequence[Curves]) -> list[list[Curves]]:
    """Group settings so that each order has one: all of them, or those of one switch."""
    orders = [curves.about["switch"]["order"] for curves in switched]
    if len(set(orders)) == len(orders):
        return [list(switched)] if switched else []
    groups: dict[str, list[Curves]] = {}
    for curves in switched:
        when = {k: v for k, v in curves.about["switch"].items() if k != "order"}
        groups.setdefault(json.dumps(when, sort_keys=True), []).append(curves)
    return list(groups.values())


def _draw_arms(axes: Axes, arms: dict[str, Arm]) -> None:
    """Draw every arm with its band, switch and final accuracy."""
    up = style.line_height(style.SMALL_SIZE) / style.POINT
    box = {"facecolor": style.HOLLOW, "alpha": 0.7, "linewidth": 0, "pad": 0}
    for line, (name, arm) in enumerate(reversed(arms.items())):
        role, linestyle = LOOKS[name]
        style.curve(axes, arm.step, arm.percent, role, f"curve/{name}", linestyle=linestyle)
        if arm.switch is not None:
            begin, end = arm.switch
            look: dict[str, Any] = {"linewidth": style.THIN, "linestyle": ":", "gid": "switch"}
            axes.axvline(begin, color=role.colour, **look)
            if end > begin:
                axes.axvspan(begin, end, color=style.BAND, linewidth=0, zorder=0)
        text = f"{role.glyph} {interval(*(end[-1] for end in arm.percent))}"
        aside = (-2, 2 + line * up)
        style.write(axes, text, (1, 0), aside, color=role.colour, ha="right", bbox=box)
    last = max(arm.step[-1] for arm in arms.values())
    late = (arm.percent[0][arm.step >= EARLY * last] for arm in arms.values())
    scale(axes, "x", [0, last])
    scale(axes, "y", chain.from_iterable(late))


def _handle(role: Role, linestyle: str, size: float = style.BINNED_SIZE) -> Line2D:
    line = Line2D([], [], color=role.colour, marker=role.marker, label=role.label)
    line.set(linestyle=linestyle, linewidth=style.MEDIUM, markersize=size)
    return line


# --- against train accuracy -------------------------------------------------------------------


@style.styled
def draw_equal_accuracy(analyses: dict[str, Analysis]) -> Figure:
    """Draw test accuracy when training accuracy first reaches each level, a panel per setting."""
    found = [one.curves for one in _known("equal-accuracy", analyses) if one.curves]
    shown = [model for model in MODELS if any(model in one.data.model.values for one in found)]
    heads = [
        "\n".join([f"{curves.setting}, {_size(curves)}", *_differences(curves)])
        for curves in found
    ]  # fmt: skip
    handles = [style.handle(model) for model in shown]
    sheet, made, columns = draw_grid("Test accuracy at equal training accuracy", heads, handles)
    for index, (axes, curves) in enumerate(zip(made, found, strict=True)):
        _draw_levels(axes, curves)
        axes.set(xlabel="training accuracy (%)", ylabel="" if index % columns else TEST_ACCURACY)
    return sheet.finish()


def _draw_levels(axes: Axes, curves: Curves) -> None:
    """Draw each model's mean over seeds with its interval."""
    level, shown, reached = PERCENT * curves.data.level.values, [], []
    for model in (known for known in MODELS if known in curves.data.model.values):
        here = curves.data.sel(model=model)
        ends = PERCENT * np.array([here[f"test_at_level_{end}"].values for end in NUMBER])
        style.curve(axes, level, ends, style.ROLES[model], f"curve/{model}/{curves.setting}")
        shown += ends[0].tolist()
        reached += level[np.isfinite(ends[0])].tolist()
    if not reached:
        say(axes, "no level is reached")
        return
    scale(axes, "x", reached)
    scale(axes, "y", shown)


def _differences(curves: Curves) -> Iterator[str]:
    """Yield the student's difference to the reference and to the placebo that is closest to it."""
    yield f"vs{NBSP}reference {_points(curves.number(EQUAL_ACCURACY, compared=STUDENT))}"
    numbers = {p: curves.number(EQUAL_ACCURACY_DIFFERENCE, placebo=p) for p in curves.placebos}
    known = {placebo: number for placebo, number in numbers.items() if not math.isnan(number[0])}
    if known:
        closest = min(known, key=lambda placebo: known[placebo][0])
        label = style.role_of(closest).label.replace(" ", NBSP)
        yield f"vs{NBSP}{label} {_points(known[closest])}"


def _points(shares: tuple[float, float, float]) -> str:
    estimate, low, high = (PERCENT * share for share in shares)
    return interval(estimate, low, high, 0.0)


# --- against the switch point -----------------------------------------------------------------

LINES = {DISTILLATION_FIRST: "-", ONE_HOT_FIRST: "--"}
NEVER = {REFERENCE: "one-hot alone", STUDENT: "distilled throughout"}
# By length: ramped switches are not on the line of hard ones.
RAMPED = ("P", "X", "p")
NO_LINE = " "
# Between two orders at one switch point, in inches.
DODGE = 0.03
# Units of switch points.
RATE = "rate"
UNITS = {RATE: "switch (share of rate)", "steps": "switch (share of steps)"}
BELOW = 0.28
Numbers = tuple[float, float, float]


@dataclass(frozen=True)
class Switched:
    """The switched settings of one family whose switch points are in one unit.

    The family has the models that never switch, too.
    """

    family: Family
    unit: str
    switched: tuple[Analysis, ...]

    @property
    def levels(self) -> dict[str, Numbers]:
        """Final accuracies of the models that never switch.

        All settings of a family have one reference; the student that is distilled throughout is
        that of a setting without a switch.
        """
        plain = [a for a in self.family.analyses if unswitched(a) == STUDENT]
        found = {REFERENCE: _percent(self.family.analyses[0], REFERENCE)}
        return found | ({STUDENT: _percent(plain[0], STUDENT)} if plain else {})

    @property
    def head(self) -> str:
        """The family, and the accuracies of models that never switch."""
        levels = (f"{NEVER[model]} {interval(*n)}" for model, n in self.levels.items())
        return "\n".join([self.family.head, *levels])


@style.styled
def draw_switching(analyses: dict[str, Analysis]) -> Figure:
    """Draw test accuracy against the switch point in both orders, a panel per family of settings.

    ``analyses`` are settings with ``switch`` in their ``about``, and the same without.
    """
    found = families(list(analyses.values()), ("switch",))
    panels = [panel for family in found for panel in _switched(family)]
    lengths = sorted({ramp_of(a) for panel in panels for a in panel.switched} - {0})
    title, heads = "Final test accuracy against the switch point", [p.head for p in panels]
    sheet, made, columns = draw_grid(title, heads, list(_switch_handles(lengths)), BELOW)
    for index, (axes, panel) in enumerate(zip(made, panels, strict=True)):
        _draw_switched(axes, panel, lengths)
        axes.set(xlabel=UNITS[panel.unit], ylabel="" if index % columns else TEST_ACCURACY)
    return sheet.finish()


def _percent(analysis: Analysis, model: str) -> Numbers:
    """Return estimate, low and high of a model's test accuracy, in per cent."""
    estimate, low, high = (PERCENT * share for share in analysis.number("accuracy", model))
    return estimate, low, high


def _switched(family: Family) -> list[Switched]:
    """Return a panel for each unit of switch points."""
    units: dict[str, list[Analysis]] = {}
    for analysis in family.analyses:
        if unswitched(analysis) is None:
            units.setdefault(analysis.about["switch"].get("unit", RATE), []).append(analysis)
    return [Switched(family, unit, tuple(found)) for unit, found in (units or {RATE: []}).items()]


def _draw_switched(axes: Axes, panel: Switched, lengths: Sequence[float]) -> None:
    levels = panel.levels
    for model, (estimate, low, high) in levels.items():
        colour = style.ROLES[model].colour
        axes.axhline(estimate, color=colour, linewidth=style.MEDIUM, zorder=1, gid=f"level/{model}")
        if math.isfinite(low + high):
            axes.axhspan(low, high, color=colour, alpha=style.SHADE, linewidth=0, zorder=0)
    lines = [line for order in ENDS for line in _lines(panel, order, lengths)]
    for index, line in enumerate(lines):
        draw_line(axes, line, (index - (len(lines) - 1) / 2) * DODGE)
    scale(axes, "x", [0, 1])
    every = [*levels.values(), *chain.from_iterable(line.numbers for line in lines)]
    scale(axes, "y", chain.from_iterable(every))


def _lines(panel: Switched, order: str, lengths: Sequence[float]) -> Iterator[Series]:
    """Yield the line of hard switches, from end to end, and the points of each length of ramps."""
    role = style.ORDER_ROLES[order]
    for length in (0.0, *lengths):
        points = [
            (float(analysis.about["switch"]["at"]), _percent(analysis, STUDENT))
            for analysis in panel.switched
            if analysis.about["switch"]["order"] == order and ramp_of(analysis) == length
        ]
        if points and not length:
            ends = enumerate(ENDS[order])
            points += [(float(at), panel.levels[m]) for at, m in ends if m in panel.levels]
        if points:
            places, numbers = zip(*sorted(points, key=lambda point: point[0]), strict=True)
            look = replace(role, marker=_marker(length, lengths)) if length else role
            name = f"{order}/{length:g}/{panel.family.name}"
            yield Series(name, look, places, numbers, NO_LINE if length else LINES[order])


def _marker(length: float, lengths: Sequence[float]) -> str:
    return RAMPED[lengths.index(length) % len(RAMPED)]


def _switch_handles(lengths: Sequence[float]) -> Iterator[Line2D]:
    """Yield the legend: models that never switch, both orders, and lengths of ramps."""
    size = style.MARKER_SIZE
    for model, words in NEVER.items():
        yield _handle(replace(style.ROLES[model], label=words, marker=""), "-")
    for order, role in style.ORDER_ROLES.items():
        yield _handle(role, LINES[order], size)
    for length in lengths:
        words = f"ramped over{NBSP}{length:g}"
        yield _handle(Role(words, style.INK, _marker(length, lengths), ""), NO_LINE, size)
