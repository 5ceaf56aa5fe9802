"""Test accuracy over the steps of training: one-hot, distilled, and switched both ways."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from disobey.analysis.curves import Curves
from disobey.analysis.names import REFERENCE, STUDENT
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.families import families, unswitched
from disobey.figures.panels import grid, page_of, scale
from disobey.figures.sheet import Sheet
from disobey.figures.style import DISTILLATION_FIRST, ONE_HOT_FIRST, Role
from disobey.numbers import NBSP, interval

# The first steps, as a share of all, may leave the panel below.
EARLY = 0.05


class Look(NamedTuple):
    """How an arm is drawn."""

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
            style.ORDER_ROLES[DISTILLATION_FIRST],
            label="distilled, then one-hot",
            colour="#7A3300",
        ),
        "--",
    ),
}


@dataclass(frozen=True)
class Arm:
    """One line: mean over seeds, with its interval.

    Attributes
    ----------
    step : ndarray, shape (point,)
    percent : ndarray, shape (3, point)
        Estimate, low and high of the test accuracy.
    switch : tuple of int or None
        Between which steps the loss changes.
    """

    step: np.ndarray
    percent: np.ndarray
    switch: tuple[int, int] | None

    @classmethod
    def of(cls, curves: Curves, model: str) -> Self:
        """Return the line of one model of a setting; only its student is ever switched."""
        data = curves.data.sel(model=model)
        known = data.step.notnull().values
        ends = [data[f"test_accuracy_{end}"].values[known] for end in ("estimate", "low", "high")]
        switch = curves.data.attrs.get("switch_steps") if model == STUDENT else None
        return cls(data.step.values[known], 100 * np.array(ends), switch)


@dataclass(frozen=True)
class Panel:
    """One panel: its heading, and its arms by name."""

    head: str
    arms: dict[str, Arm]


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw test accuracy over steps, one panel per family of settings that differ in the switch.

    Parameters
    ----------
    analyses : dict of str to Analysis
        Settings with curves; others are left out.

    Returns
    -------
    matplotlib.figure.Figure
        See `page_of`.

    Raises
    ------
    ValueError
        When no setting has curves.
    """
    panels = _panels([analysis for analysis in analyses.values() if analysis.curves is not None])
    if not panels:
        raise ValueError(
            f"the figure training-curves needs settings with curves, got none among "
            f"{', '.join(analyses) or 'no setting'}"
        )
    columns, page, height = page_of(len(panels))
    sheet = Sheet(page)
    sheet.title("Test accuracy along training")
    shown = [arm for arm in LOOKS if any(arm in panel.arms for panel in panels)]
    sheet.legend([_handle(LOOKS[arm]) for arm in shown])
    made = grid(sheet, [panel.head for panel in panels], columns, height=height)
    for index, (axes, panel) in enumerate(zip(made, panels, strict=True)):
        _draw_panel(axes, panel)
        axes.set_xlabel("step", size=style.SMALL_SIZE)
        if index % columns == 0:
            axes.set_ylabel("test accuracy (%)", size=style.SMALL_SIZE)
    return sheet.finish()


def _panels(analyses: Sequence[Analysis]) -> list[Panel]:
    """Return a panel per family; one per switch point where an order has several."""
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
            n = f"{first.data.sizes['seed']}{NBSP}×{NBSP}{first.test_examples:,}"
            panels.append(Panel(f"{family.name}{at}, n{NBSP}={NBSP}{n}", always | own))
    return panels


def _point(switch: Mapping[str, Any]) -> str:
    ramp = f" over{NBSP}{switch['ramp']:g}" if "ramp" in switch else ""
    return f"{switch['at']:g}{ramp}"


def _by_point(switched: Sequence[Curves]) -> list[list[Curves]]:
    """Put settings together of which each order has one: all of them, or those of one switch."""
    orders = [curves.about["switch"]["order"] for curves in switched]
    if len(set(orders)) == len(orders):
        return [list(switched)] if switched else []
    groups: dict[str, list[Curves]] = {}
    for curves in switched:
        when = {k: v for k, v in curves.about["switch"].items() if k != "order"}
        groups.setdefault(json.dumps(when, sort_keys=True), []).append(curves)
    return list(groups.values())


def _draw_panel(axes: Axes, panel: Panel) -> None:
    """Draw every arm with its band, switch and final accuracy."""
    arms = {name: panel.arms[name] for name in LOOKS if name in panel.arms}
    for line, (name, arm) in enumerate(reversed(arms.items())):
        role, linestyle = LOOKS[name]
        estimate, low, high = arm.percent
        axes.fill_between(arm.step, low, high, color=role.colour, alpha=style.SHADE, linewidth=0)
        axes.plot(
            arm.step,
            estimate,
            color=role.colour,
            linestyle=linestyle,
            linewidth=style.MEDIUM,
            marker=role.marker,
            markersize=style.SEED_SIZE,
            gid=f"curve/{name}",
        )
        _mark_switch(axes, arm, role)
        text = f"{role.glyph} {interval(*(end[-1] for end in arm.percent))}"
        write_number(axes, text, line, role.colour)
    last = max(arm.step[-1] for arm in arms.values())
    scale(axes, "x", [0, last])
    scale(
        axes,
        "y",
        chain.from_iterable(arm.percent[0][arm.step >= EARLY * last] for arm in arms.values()),
    )


def _mark_switch(axes: Axes, arm: Arm, role: Role) -> None:
    """Mark the steps between which the loss of an arm changes."""
    if arm.switch is None:
        return
    begin, end = arm.switch
    axes.axvline(begin, color=role.colour, linewidth=style.THIN, linestyle=":", gid="switch")
    if end > begin:
        axes.axvspan(begin, end, color=style.BAND, linewidth=0, zorder=0)


def write_number(axes: Axes, text: str, line: int, colour: str) -> None:
    """Write a number into the lower right corner, so many lines above it."""
    height = style.line_height(style.SMALL_SIZE) / style.POINT
    axes.annotate(
        text,
        xy=(1, 0),
        xycoords="axes fraction",
        xytext=(-2, 2 + line * height),
        textcoords="offset points",
        size=style.SMALL_SIZE,
        color=colour,
        ha="right",
        va="bottom",
        bbox={"facecolor": style.HOLLOW, "alpha": 0.7, "linewidth": 0, "pad": 0},
    )


def _handle(look: Look) -> Line2D:
    role = look.role
    line = Line2D([], [], color=role.colour, marker=role.marker, label=role.label)
    line.set(linestyle=look.linestyle, linewidth=style.MEDIUM, markersize=style.BINNED_SIZE)
    return line
