"""Accuracy during training: over steps, against train accuracy, and against the switch point."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from disobey.analysis.curves import EQUAL_ACCURACY, EQUAL_ACCURACY_DIFFERENCE, Curves
from disobey.analysis.intervals import ENDS as NUMBER
from disobey.analysis.names import PERCENT, REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.series import (
    ENDS,
    NO_LINE,
    Family,
    Numbers,
    Series,
    draw_lines,
    families,
    numbers_of,
    ramp_of,
    unswitched,
)
from disobey.figures.sheet import BELOW, Sheet, grid, say, scale
from disobey.figures.style import DISTILLATION_FIRST, ONE_HOT_FIRST, ROLES, Role
from disobey.numbers import NBSP, interval

TEST_ACCURACY = "test accuracy (%)"
# Most panels on a page of one column, most panels side by side on a page of two columns, and the
# heights of a single panel and of several, in inches.
NARROW, WIDE, TALL, MIDDLE = 2, 4, 1.6, 1.1
# Heading, label of the horizontal axis, and the function that draws the panel.
Panel = tuple[str, str, Callable[[Axes], None]]


def _draw_grid(
    title: str, handles: Sequence[Line2D], panels: Sequence[Panel], below: float = BELOW
) -> Figure:
    """Draw a figure with a grid of panels of test accuracy."""
    number = len(panels)
    columns = number if number <= NARROW else min(WIDE, number)
    sheet = Sheet(style.COLUMN_WIDTH if number <= NARROW else style.TWO_COLUMNS)
    sheet.title(title)
    sheet.legend(handles)
    height = TALL if number == 1 else MIDDLE
    made = grid(sheet, [head for head, *_ in panels], columns, height=height, below=below)
    for index, (axes, (_, across, draw)) in enumerate(zip(made, panels, strict=True)):
        draw(axes)
        axes.set(xlabel=across, ylabel="" if index % columns else TEST_ACCURACY)
    return sheet.finish()


def _with_curves(kind: str, analyses: dict[str, Analysis]) -> list[Analysis]:
    """Return the settings that have curves; raise a ValueError if there are none."""
    known = [analysis for analysis in analyses.values() if analysis.curves is not None]
    if not known:
        raise ValueError(
            f"the figure {kind} needs settings with curves, got none among "
            f"{', '.join(analyses) or 'no setting'}"
        )
    return known


def _size(curves: Curves) -> str:
    return f"test, n{NBSP}={NBSP}{curves.data.sizes['seed']}{NBSP}×{NBSP}{curves.test_examples:,}"


def _handle(role: Role, linestyle: str, size: float = style.BINNED_SIZE) -> Line2D:
    line = Line2D([], [], color=role.colour, marker=role.marker, label=role.label)
    line.set(linestyle=linestyle, linewidth=style.MEDIUM, markersize=size)
    return line


# --- over steps -------------------------------------------------------------------------------

# The first steps, as a share of all, may be below the panel.
EARLY = 0.05
LOOKS = {
    REFERENCE: (replace(ROLES[REFERENCE], label="one-hot"), "-"),
    STUDENT: (replace(ROLES[STUDENT], label="distilled"), "-"),
    ONE_HOT_FIRST: (
        replace(style.ORDER_ROLES[ONE_HOT_FIRST], label="one-hot, then distilled"), "--",
    ),
    # Darker than the student, which is drawn beside it.
    DISTILLATION_FIRST: (
        replace(
            style.ORDER_ROLES[DISTILLATION_FIRST], label="distilled, then one-hot",
            colour="#7A3300",
        ),
        "--",
    ),
}  # fmt: skip
# The models of a panel, with their settings, by their key in `LOOKS`.
Arms = dict[str, tuple[Curves, str]]


@style.styled
def draw_training_curves(analyses: dict[str, Analysis]) -> Figure:
    """Draw test accuracy over steps, one panel per family of settings that differ in the switch."""
    panels = list(_step_panels(_with_curves("training-curves", analyses)))
    handles = [_handle(*look) for name, look in LOOKS.items() if any(name in a for _, a in panels)]
    drawn = [(head, "step", partial(_draw_arms, arms)) for head, arms in panels]
    return _draw_grid("Test accuracy along training", handles, drawn)


def _step_panels(analyses: Sequence[Analysis]) -> Iterator[tuple[str, Arms]]:
    """Yield heading and arms for each family; one panel per switch point of an order."""
    for family in families(analyses, ("switch",)):
        members = [(unswitched(a), a.curves) for a in family.analyses if a.curves is not None]
        plain = [curves for never, curves in members if never == STUDENT]
        first = plain[0] if plain else members[0][1]
        always = {REFERENCE: (first, REFERENCE)} | ({STUDENT: (first, STUDENT)} if plain else {})
        for group in _by_point([curves for never, curves in members if never is None]):
            switches = [curves.about["switch"] for curves in group]
            points = dict.fromkeys(_point(switch) for switch in switches)
            at = f", switch at{NBSP}{' and '.join(points)}" if group else ""
            arms = always | {
                switch["order"]: (curves, STUDENT)
                for switch, curves in zip(switches, group, strict=True)
            }
            ordered = {name: arms[name] for name in LOOKS if name in arms}
            shown = dict.fromkeys(curves.setting for curves in (first, *group))
            yield f"{', '.join(shown)}{at}: {_size(first)}", ordered


def _point(switch: Mapping[str, Any]) -> str:
    ramp = f" over{NBSP}{switch['ramp']:g}" if "ramp" in switch else ""
    return f"{switch['at']:g}{ramp}"


def _by_point(switched: Sequence[Curves]) -> list[list[Curves]]:
    """Group settings so that each group has at most one setting per order."""
    orders = {curves.about["switch"]["order"] for curves in switched}
    if len(orders) == len(switched):
        return [list(switched)]
    groups: dict[str, list[Curves]] = {}
    for curves in switched:
        when = {k: v for k, v in curves.about["switch"].items() if k != "order"}
        groups.setdefault(json.dumps(when, sort_keys=True), []).append(curves)
    return list(groups.values())


def _draw_arms(arms: Arms, axes: Axes) -> None:
    """Draw every arm with its band, switch and final accuracy."""
    up = style.line_height(style.SMALL_SIZE) / style.POINT
    box = {"facecolor": style.HOLLOW, "alpha": 0.7, "linewidth": 0, "pad": 0}
    drawn = []
    for line, (name, (curves, model)) in enumerate(reversed(arms.items())):
        data, (role, linestyle) = curves.data.sel(model=model), LOOKS[name]
        known = data.step.notnull().values
        step, ends = data.step.values[known], [data[f"test_accuracy_{e}"].values for e in NUMBER]
        percent = PERCENT * np.array(ends)[:, known]
        drawn.append((step, percent[0]))
        style.curve(axes, step, percent, role, f"curve/{name}", linestyle=linestyle)
        # Only students are switched.
        if model == STUDENT and "switch_steps" in curves.data.attrs:
            begin, end = curves.data.attrs["switch_steps"]
            look: dict[str, Any] = {"linewidth": style.THIN, "linestyle": ":", "gid": "switch"}
            axes.axvline(begin, color=role.colour, **look)
            if end > begin:
                axes.axvspan(begin, end, color=style.BAND, linewidth=0, zorder=0)
        text, aside = f"{role.glyph} {interval(*percent[:, -1])}", (-2, 2 + line * up)
        style.write(axes, text, (1, 0), aside, color=role.colour, ha="right", bbox=box)
    last = max(step[-1] for step, _ in drawn)
    scale(axes, "x", [0, last])
    scale(axes, "y", chain.from_iterable(mean[step >= EARLY * last] for step, mean in drawn))


# --- against train accuracy -------------------------------------------------------------------

# In drawing order, from back to front.
MODELS = (TEACHER, REFERENCE, STUDENT)


@style.styled
def draw_equal_accuracy(analyses: dict[str, Analysis]) -> Figure:
    """Draw test accuracy when training accuracy first reaches each level, a panel per setting."""
    found = [one.curves for one in _with_curves("equal-accuracy", analyses) if one.curves]
    handles = [style.handle(m) for m in MODELS if any(m in one.data.model.values for one in found)]
    panels = [
        (
            "\n".join([f"{curves.setting}: {_size(curves)}", *_differences(curves)]),
            "training accuracy (%)",
            partial(_draw_levels, curves),
        )
        for curves in found
    ]
    return _draw_grid("Test accuracy at equal training accuracy", handles, panels)


def _draw_levels(curves: Curves, axes: Axes) -> None:
    """Draw each model's mean over seeds with its interval."""
    level, shown, reached = PERCENT * curves.data.level.values, [], []
    for model in (known for known in MODELS if known in curves.data.model.values):
        here = curves.data.sel(model=model)
        ends = PERCENT * np.array([here[f"test_at_level_{end}"].values for end in NUMBER])
        style.curve(axes, level, ends, ROLES[model], f"curve/{model}/{curves.setting}")
        shown += ends[0].tolist()
        reached += level[np.isfinite(ends[0])].tolist()
    if not reached:
        say(axes, "no level is reached")
        return
    scale(axes, "x", reached)
    scale(axes, "y", shown)


def _differences(curves: Curves) -> Iterator[str]:
    """Yield the student's differences from the reference and from the placebo closest to it."""
    reference = curves.number(EQUAL_ACCURACY, compared=STUDENT)
    yield f"vs{NBSP}reference {interval(*_percent(reference), 0.0)}"
    numbers = {p: curves.number(EQUAL_ACCURACY_DIFFERENCE, placebo=p) for p in curves.placebos}
    known = {placebo: number for placebo, number in numbers.items() if not math.isnan(number[0])}
    if known:
        closest = min(known, key=lambda placebo: known[placebo][0])
        label = style.role_of(closest).label.replace(" ", NBSP)
        yield f"vs{NBSP}{label} {interval(*_percent(known[closest]), 0.0)}"


def _percent(shares: Numbers) -> Numbers:
    estimate, low, high = (PERCENT * share for share in shares)
    return estimate, low, high


# --- against the switch point -----------------------------------------------------------------

LINES = {DISTILLATION_FIRST: "-", ONE_HOT_FIRST: "--"}
NEVER = {REFERENCE: "one-hot alone", STUDENT: "distilled throughout"}
# Markers by length: ramped switches are not on the line of hard ones.
RAMPED = ("P", "X", "p")
# The units of switch points.
RATE = "rate"
UNITS = {RATE: "switch (share of rate)", "steps": "switch (share of steps)"}
SWITCH_BELOW = 0.28


@style.styled
def draw_switching(analyses: dict[str, Analysis]) -> Figure:
    """Draw test accuracy against the switch point in both orders, a panel per family of settings.

    ``analyses`` are settings with ``switch`` in their ``about``, and the same settings without.
    """
    found = list(analyses.values())
    lengths = sorted({ramp_of(one) for one in found if unswitched(one) is None} - {0})
    panels: list[Panel] = []
    for family in families(found, ("switch",)):
        levels = _levels(family)
        never = (f"{NEVER[model]} {interval(*percent)}" for model, percent in levels.items())
        head = "\n".join([family.head, *never])
        units: dict[str, list[Analysis]] = {}
        for one in (one for one in family.analyses if unswitched(one) is None):
            units.setdefault(one.about["switch"].get("unit", RATE), []).append(one)
        for unit, switched in (units or {RATE: []}).items():
            lines = list(_lines(family.name, switched, levels, lengths))
            panels.append((head, UNITS[unit], partial(_draw_switched, levels, lines)))
    handles = list(_switch_handles(lengths))
    return _draw_grid("Final test accuracy against the switch point", handles, panels, SWITCH_BELOW)


def _levels(family: Family) -> dict[str, Numbers]:
    """Return the final accuracies of the models that never switch, in per cent.

    All settings of a family share one reference; the student that is distilled throughout belongs
    to a setting without a switch.
    """
    plain = [one for one in family.analyses if unswitched(one) == STUDENT]
    found = {REFERENCE: family.analyses[0]} | ({STUDENT: plain[0]} if plain else {})
    return {model: _percent(one.number("accuracy", model)) for model, one in found.items()}


def _draw_switched(levels: dict[str, Numbers], lines: Sequence[Series], axes: Axes) -> None:
    for model, (estimate, low, high) in levels.items():
        colour = ROLES[model].colour
        axes.axhline(estimate, color=colour, linewidth=style.MEDIUM, zorder=1, gid=f"level/{model}")
        if math.isfinite(low + high):
            axes.axhspan(low, high, color=colour, alpha=style.SHADE, linewidth=0, zorder=0)
    draw_lines(axes, lines)
    scale(axes, "x", [0, 1])
    scale(axes, "y", [*chain.from_iterable(levels.values()), *numbers_of(lines)])


def _lines(
    name: str, switched: Sequence[Analysis], levels: dict[str, Numbers], lengths: Sequence[float]
) -> Iterator[Series]:
    """Yield for each order the line of hard switches, from end to end, and the points of ramps."""
    for order, length in ((order, length) for order in ENDS for length in (0.0, *lengths)):
        points = {
            float(one.about["switch"]["at"]): _percent(one.number("accuracy", STUDENT))
            for one in switched
            if one.about["switch"]["order"] == order and ramp_of(one) == length
        }
        if points and not length:
            ends = enumerate(ENDS[order])
            points |= {float(at): levels[model] for at, model in ends if model in levels}
        if points:
            role = style.ORDER_ROLES[order]
            look = replace(role, marker=_marker(length, lengths)) if length else role
            places, numbers = zip(*sorted(points.items()), strict=True)
            linestyle = NO_LINE if length else LINES[order]
            yield Series(f"{order}/{length:g}/{name}", look, places, numbers, linestyle)


def _marker(length: float, lengths: Sequence[float]) -> str:
    return RAMPED[lengths.index(length) % len(RAMPED)]


def _switch_handles(lengths: Sequence[float]) -> Iterator[Line2D]:
    """Yield the legend: models that never switch, both orders, and lengths of ramps."""
    for model, words in NEVER.items():
        yield _handle(replace(ROLES[model], label=words, marker=""), "-")
    for order, role in style.ORDER_ROLES.items():
        yield _handle(role, LINES[order], style.MARKER_SIZE)
    for length in lengths:
        role = Role(f"ramped over{NBSP}{length:g}", style.INK, _marker(length, lengths), "")
        yield _handle(role, NO_LINE, style.MARKER_SIZE)
