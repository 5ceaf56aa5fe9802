"""Final accuracy against the point at which training switches between distillation and labels."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from disobey.analysis.names import REFERENCE, STUDENT
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.families import ENDS, Family, families, ramp_of, unswitched
from disobey.figures.panels import grid, page_of, scale
from disobey.figures.series import Series, draw_line
from disobey.figures.sheet import Sheet
from disobey.figures.style import DISTILLATION_FIRST, ONE_HOT_FIRST
from disobey.numbers import NBSP, interval

STATISTIC = "accuracy"
LINES = {DISTILLATION_FIRST: "-", ONE_HOT_FIRST: "--"}
LEVELS = {REFERENCE: "one-hot alone", STUDENT: "distilled throughout"}
# By length: a ramped switch stands apart from the line of hard ones.
RAMPED = ("P", "X", "p")
NO_LINE = " "
# Between two orders at one switch point, in inches.
DODGE = 0.03
VARIED = ("switch",)
# What switch points are shares of, by their unit.
RATE = "rate"
UNITS = {RATE: "switch (share of rate)", "steps": "switch (share of steps)"}
BELOW = 0.28
Point = tuple[float, tuple[float, float, float]]


@dataclass(frozen=True)
class Panel:
    """The switched settings of one family whose switch points are in one unit.

    Attributes
    ----------
    family : Family
        With the models that never switch.
    unit : str
        What switch points are shares of.
    switched : tuple of Analysis
    """

    family: Family
    unit: str
    switched: tuple[Analysis, ...]

    @property
    def levels(self) -> dict[str, tuple[float, float, float]]:
        """Final accuracies of the models that never switch.

        All settings of a family have one reference; the student that is distilled throughout is
        that of a setting without a switch.
        """
        plain = [a for a in self.family.analyses if unswitched(a) == STUDENT]
        found = {REFERENCE: percent(self.family.analyses[0], REFERENCE)}
        return found | ({STUDENT: percent(plain[0], STUDENT)} if plain else {})

    @property
    def head(self) -> str:
        """What the settings have in common, and the accuracies of models that never switch."""
        levels = (f"{LEVELS[model]} {interval(*n)}" for model, n in self.levels.items())
        return "\n".join([self.family.head, *levels])


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw test accuracy against the switch point in both orders, a panel per family of settings.

    Parameters
    ----------
    analyses : dict of str to Analysis
        Settings with ``switch`` in what is said about them, and the same without.

    Returns
    -------
    matplotlib.figure.Figure
    """
    panels = [panel for family in families(list(analyses.values()), VARIED)
              for panel in _panels(family)]  # fmt: skip
    lengths = sorted({ramp_of(a) for panel in panels for a in panel.switched} - {0})
    columns, page, height = page_of(len(panels))
    sheet = Sheet(page)
    sheet.title("Final test accuracy against the switch point")
    sheet.legend(list(_handles(lengths)))
    made = grid(sheet, [panel.head for panel in panels], columns, height=height, below=BELOW)
    for index, (axes, panel) in enumerate(zip(made, panels, strict=True)):
        _draw_panel(axes, panel, lengths)
        if index % columns == 0:
            axes.set_ylabel("test accuracy (%)", size=style.SMALL_SIZE)
    return sheet.finish()


def percent(analysis: Analysis, model: str) -> tuple[float, float, float]:
    """Return estimate, low and high of a model's test accuracy, in per cent."""
    estimate, low, high = (100 * share for share in analysis.number(STATISTIC, model))
    return estimate, low, high


def _panels(family: Family) -> list[Panel]:
    """Return a panel per unit of switch points."""
    units: dict[str, list[Analysis]] = {}
    for analysis in family.analyses:
        if unswitched(analysis) is None:
            units.setdefault(analysis.about["switch"].get("unit", RATE), []).append(analysis)
    return [Panel(family, unit, tuple(found)) for unit, found in (units or {RATE: []}).items()]


def _draw_panel(axes: Axes, panel: Panel, lengths: Sequence[float]) -> None:
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
    scale(
        axes,
        "y",
        [v for n in levels.values() for v in n]
        + [v for li in lines for n in li.numbers for v in n],
    )
    axes.set_xlabel(UNITS[panel.unit], size=style.SMALL_SIZE)


def _lines(panel: Panel, order: str, lengths: Sequence[float]) -> Iterator[Series]:
    """Yield the line of hard switches, from end to end, and the points of each length of ramps."""
    role = style.ORDER_ROLES[order]
    for length in (0.0, *lengths):
        points: list[Point] = [
            (float(analysis.about["switch"]["at"]), percent(analysis, STUDENT))
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


def _handles(lengths: Sequence[float]) -> Iterator[Line2D]:
    """Yield the legend: models that never switch, both orders, and lengths of ramps."""
    for model, words in LEVELS.items():
        yield _handle(replace(style.ROLES[model], label=words, marker=""), "-")
    for order, role in style.ORDER_ROLES.items():
        yield _handle(role, LINES[order])
    for length in lengths:
        words = f"ramped over{NBSP}{length:g}"
        yield _handle(style.Role(words, style.INK, _marker(length, lengths), ""), NO_LINE)


def _handle(role: style.Role, linestyle: str) -> Line2D:
    line = Line2D([], [], color=role.colour, marker=role.marker, label=role.label)
    line.set(linestyle=linestyle, linewidth=style.MEDIUM)
    return line
