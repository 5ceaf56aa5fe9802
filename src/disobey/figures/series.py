"""Statistics of settings that differ in one quantity, such as epoch, temperature or round.

Settings that differ in nothing else form a family. A panel shows one statistic, with a line per
model; every interval is drawn.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from disobey.analysis.bias import OVERALL, Bias
from disobey.analysis.names import ALL, REFERENCE, STUDENT
from disobey.analysis.statistics import statistic_of
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.cells import size
from disobey.figures.sheet import HEIGHT, LEFT, RIGHT, Sheet, grid, put_ticks, say, scale, short
from disobey.figures.style import DISTILLATION_FIRST, ONE_HOT_FIRST, ROLES, Role
from disobey.numbers import NBSP

# Estimate, low and high.
Numbers = tuple[float, float, float]

# --- families of settings ---------------------------------------------------------------------

# Separates a setting's name from the epoch of a snapshot.
AT = "@"
# The model that a student becomes if its hard switch is at 0 and at 1.
ENDS = {DISTILLATION_FIRST: (REFERENCE, STUDENT), ONE_HOT_FIRST: (STUDENT, REFERENCE)}
# Keys in the name of every family; other keys are named only if families differ in them.
ALWAYS = ("dataset", "label_noise", "teacher", "student")
WORDS: dict[str, Callable[[Any], str]] = {
    "loss": lambda value: f"loss {value}",
    "control": str,
    "temperature": lambda value: f"T{NBSP}={NBSP}{value:g}",
    "weight": lambda value: f"weight{NBSP}{value:g}",
    "lr": lambda value: f"lr{NBSP}{value:g}",
    "recipe": lambda value: f"recipe{NBSP}{value}",
    "teacher_recipe": lambda value: f"teacher's recipe {value}",
    "trained": lambda value: f"teacher trained elsewhere ({value})",
    "features": lambda value: f"{value['number']:,} random features",
    "draw": lambda value: ", ".join(f"{name} {how}" for name, how in value.items()),
    "centre": lambda value: f"centred by {value}",
    "epochs": lambda value: f"{value}{NBSP}epochs",
    "steps": lambda value: f"{value}{NBSP}steps",
    "student_share": lambda value: f"share{NBSP}seen{NBSP}{value:g}",
    "initialisation": lambda value: f"start of the {value}",
    "teacher_fits": lambda value: f"{value} teacher".replace("_", "-"),
    "switch": lambda value: (
        f"{value['order']} until {value['at']:g}{' of the steps' if 'unit' in value else ''}"
    ).replace("_", " "),
}


@dataclass(frozen=True)
class Family:
    """Settings that differ only in what a figure varies, in the order of the study.

    ``name`` describes what they have in common; it is unique among the families of a figure.
    """

    name: str
    analyses: tuple[Analysis, ...]

    @property
    def head(self) -> str:
        """The heading: name and size."""
        sizes = dict.fromkeys(size(analysis) for analysis in self.analyses)
        return f"{self.name}: test, n{NBSP}={NBSP}{' / '.join(sizes)}"


def families(analyses: Sequence[Analysis], varied: Sequence[str]) -> list[Family]:
    """Group settings by all keys of `Analysis.about` except ``varied``.

    Families are in the order of their first members.
    """
    groups: dict[str, list[Analysis]] = {}
    for analysis in analyses:
        common = {key: value for key, value in analysis.about.items() if key not in varied}
        groups.setdefault(json.dumps(common, sort_keys=True), []).append(analysis)
    return named([tuple(group) for group in groups.values()], varied)


def named(groups: Sequence[tuple[Analysis, ...]], varied: Sequence[str]) -> list[Family]:
    """Name groups of settings after their first members, by `ALWAYS` and the keys that differ."""
    abouts = [group[0].about for group in groups]
    told = [
        key
        for key in dict.fromkeys(key for about in abouts for key in about)
        if key not in (*ALWAYS, *varied)
        and len({json.dumps(about.get(key)) for about in abouts}) > 1
    ]
    return [Family(_name(about, told), group) for about, group in zip(abouts, groups, strict=True)]


def _name(about: dict[str, Any], told: Sequence[str]) -> str:
    words = [str(about.get("dataset", "?"))]
    if about.get("label_noise"):
        words.append(f"{100 * about['label_noise']:g}{NBSP}% label noise")
    words.append(f"{about.get('teacher', '?')} → {about.get('student', '?')}")
    for key in (key for key in told if key in about):
        words.append(WORDS.get(key, f"{key}{NBSP}{{}}".format)(about[key]))
    return ", ".join(words)


def snapshots_of(kind: str, analyses: dict[str, Analysis]) -> dict[str, dict[float, Analysis]]:
    """Return the snapshots of each setting by epoch, in order, with the setting itself last.

    Raises
    ------
    ValueError
        If there are no snapshots; the message names the ``kind`` of figure.
    """
    found: dict[str, dict[float, Analysis]] = {}
    for name, analysis in analyses.items():
        setting, at, _ = name.rpartition(AT)
        if at:
            found.setdefault(setting, {})[float(analysis.about["epoch"])] = analysis
    if not found:
        raise ValueError(
            f"the figure {kind} needs snapshots, named <setting>{AT}<epoch>, got none among "
            f"{', '.join(analyses) or 'no setting'}"
        )
    for name in found.keys() & analyses:
        found[name][float(analyses[name].about["epochs"])] = analyses[name]
    return {name: dict(sorted(dated.items())) for name, dated in found.items()}


def ramp_of(analysis: Analysis) -> float:
    """Return the share of training over which a switch is ramped; 0 if it is hard or missing."""
    return float(analysis.about.get("switch", {}).get("ramp") or 0)


def unswitched(analysis: Analysis) -> str | None:
    """Return the model that a setting's student is equivalent to, or None if it switches.

    With a hard switch at either end, only one of the two losses is used.
    """
    if "switch" not in analysis.about:
        return STUDENT
    at, order = analysis.about["switch"]["at"], analysis.about["switch"]["order"]
    return None if ramp_of(analysis) or at not in (0, 1) else ENDS[order][int(at)]


# --- panels of lines --------------------------------------------------------------------------

# Used instead of a statistic: the progress ratio of the student in the first layer.
BIAS = "bias"
# The ratio without a deviation.
NO_CHANGE = 1.0
# Distance between the intervals of two models at the same place, in inches.
DODGE = 0.03
# A line with more places has a band instead of bars and markers, which would overlap.
MOST_BARS = 25
NO_LINE = " "


@dataclass(frozen=True)
class Series:
    """One line of a panel.

    Attributes
    ----------
    name : str
        For example ``accuracy/student/mnist``; the gids of the artists end with it.
    role : disobey.figures.style.Role
    places : tuple of float
        Horizontal positions, in ascending order.
    numbers : tuple of (float, float, float)
        Estimate, low and high at each place; NaN if missing.
    linestyle : str
        The style of the line through the estimates; `NO_LINE` draws none.
    hollow : bool
        True if its markers are hollow, as for a control.
    """

    name: str
    role: Role
    places: tuple[float, ...]
    numbers: tuple[Numbers, ...]
    linestyle: str = "-"
    hollow: bool = False


@dataclass(frozen=True)
class Across:
    """The horizontal axis: its label with the unit, and the type of its scale."""

    label: str
    log: bool = False


@dataclass(frozen=True)
class SeriesPanel:
    """One panel with lines.

    Attributes
    ----------
    head : str
        The label of the vertical axis, with its unit; written above the panel.
    series : tuple of Series
        The lines, in the order of the legend.
    across : Across
    null : float, optional
        The value without a deviation, marked by a line.
    ratio : bool
        True if the vertical scale is logarithmic.
    """

    head: str
    series: tuple[Series, ...]
    across: Across
    null: float | None = None
    ratio: bool = False


def progress_ratio(bias: Bias, layer: str, model: str = STUDENT) -> Numbers:
    """Return estimate, low and high of the ratio of a model's progress to the reference's."""
    estimate, low, high = np.exp(bias.number(layer, OVERALL, compared=model))
    return float(estimate), float(low), float(high)


def number_of(
    analysis: Analysis, statistic: str, model: str, split: str = "test", subset: str = ALL
) -> Numbers:
    """Return estimate, low and high of a statistic, or of `BIAS`; NaN without a bias analysis."""
    if statistic != BIAS:
        return analysis.number(statistic, model, split, subset)
    return progress_ratio(analysis.bias, analysis.bias.first) if analysis.bias else (math.nan,) * 3


def line(
    statistic: str,
    model: str,
    family: Family,
    members: Sequence[tuple[float, Analysis]],
    role: Role | None = None,
    linestyle: str = "-",
    split: str = "test",
    subset: str = ALL,
) -> Series:
    """Return the line of one statistic over settings of a family, each at its place.

    Parameters
    ----------
    members : sequence of (float, Analysis)
        Place and setting, in any order.
    role : disobey.figures.style.Role, optional
        The look of the line; by default that of ``model``.
    """
    role = role or ROLES[model]
    ordered = sorted(members, key=lambda member: member[0])
    numbers = tuple(number_of(one, statistic, model, split, subset) for _, one in ordered)
    name = f"{statistic}/{model}/{family.name}/{role.label}"
    return Series(name, role, tuple(place for place, _ in ordered), numbers, linestyle)


def panel(statistic: str, model: str, lines: Sequence[Series], across: Across) -> SeriesPanel:
    """Return a panel of lines with the label and the null value of a statistic of ``model``."""
    if statistic == BIAS:
        head = f"bias: progress ratio, student{NBSP}÷{NBSP}reference"
        return SeriesPanel(head, tuple(lines), across, NO_CHANGE, ratio=True)
    how, of = statistic_of(statistic), ROLES[model].label.replace(" ", NBSP) if model else ""
    null = how.null_of(model)
    known = None if math.isnan(null) else null
    return SeriesPanel(how.axis(of), tuple(lines), across, known)


def numbers_of(lines: Sequence[Series]) -> list[float]:
    """Return all estimates and ends of intervals of the lines."""
    return [value for line in lines for numbers in line.numbers for value in numbers]


def draw_series(
    sheet: Sheet, panels: Sequence[SeriesPanel], columns: int = 2, height: float = HEIGHT
) -> list[Axes]:
    """Add panels to a sheet, row by row, and return their axes."""
    made = grid(sheet, [panel.head for panel in panels], columns, height=height)
    width = sheet.width / columns - LEFT - RIGHT
    for axes, one in zip(made, panels, strict=True):
        draw_panel(axes, one, width)
    return made


def draw_panel(axes: Axes, panel: SeriesPanel, width: float) -> None:
    """Draw one panel; ``width`` is the width of the axes in inches."""
    axes.set_xlabel(panel.across.label)
    shown = numbers_of(panel.series)
    if not any(map(math.isfinite, shown)):
        say(axes)
        return
    if panel.null is not None:
        shown.append(panel.null)
        style.null_line(axes, "y", panel.null)
    draw_lines(axes, panel.series)
    places = sorted({place for line in panel.series for place in line.places})
    scale(axes, "x", places, log=panel.across.log)
    scale(axes, "y", shown, log=panel.ratio)
    put_ticks(axes, "x", places, [short(place) for place in places], width)


def draw_lines(axes: Axes, lines: Sequence[Series], apart: float = DODGE) -> None:
    """Draw lines side by side, ``apart`` inches from each other; from right to left if negative."""
    for index, line in enumerate(lines):
        draw_line(axes, line, (index - (len(lines) - 1) / 2) * apart)


def draw_line(axes: Axes, line: Series, aside: float = 0.0) -> None:
    """Draw estimates, intervals and the line through the estimates, ``aside`` inches to the right.

    The artists keep the numbers of the store; only their drawn position is shifted.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    moved = axes.transData + ScaledTranslation(aside, 0, figure.dpi_scale_trans)
    estimate, low, high = np.array(line.numbers, dtype=float).reshape(-1, 3).T
    places, colour = np.array(line.places, dtype=float), line.role.colour
    gid = f"estimate/{line.name}"
    if len(places) > MOST_BARS:
        style.band(axes, places, low, high, colour)
        look: dict[str, Any] = {"linewidth": style.MEDIUM, "gid": gid}
        axes.plot(places, estimate, line.linestyle, color=colour, **look)
        return
    bars = axes.vlines(places, low, high, colour, linewidth=style.MEDIUM, transform=moved)
    bars.set_gid(f"interval/{line.name}")
    look = {"linewidth": style.THIN, "transform": moved, "gid": gid}
    axes.plot(places, estimate, line.linestyle, color=colour, **look)
    decided = np.isfinite(low) & np.isfinite(high)
    fill_decided = style.HOLLOW if line.hollow else colour
    for chosen, fill in ((decided, fill_decided), (~decided, style.HOLLOW)):
        (marks,) = axes.plot(places[chosen], estimate[chosen], line.role.marker, transform=moved)
        marks.set(color=colour, markerfacecolor=fill, markersize=style.BINNED_SIZE, zorder=3)
        marks.set(markeredgewidth=style.THIN)
