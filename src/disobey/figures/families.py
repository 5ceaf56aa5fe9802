"""Settings that differ in one thing, such as switch, round, temperature or epoch, as families."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from disobey.analysis.names import ALL, REFERENCE, STUDENT
from disobey.analysis.statistics import statistic_of
from disobey.analysis.store import Analysis
from disobey.figures.bias import NO_CHANGE, progress_ratio
from disobey.figures.cells import size
from disobey.figures.series import Across, Series, SeriesPanel
from disobey.figures.style import DISTILLATION_FIRST, ONE_HOT_FIRST, ROLES, Role
from disobey.numbers import NBSP

UNKNOWN = (math.nan, math.nan, math.nan)
BIAS = "bias"
# Between a setting's name and the epoch of a snapshot.
AT = "@"
# The model that a student is whose hard switch is at 0, and at 1.
ENDS = {DISTILLATION_FIRST: (REFERENCE, STUDENT), ONE_HOT_FIRST: (STUDENT, REFERENCE)}
# In the name of every family; other keys only where two families differ in them.
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
    """Settings that differ in what a figure varies, in the order of the study.

    ``name`` is what they have in common, in words; it differs between the families of a figure.
    """

    name: str
    analyses: tuple[Analysis, ...]

    @property
    def head(self) -> str:
        """Name and size."""
        sizes = dict.fromkeys(size(analysis) for analysis in self.analyses)
        return f"{self.name}, n{NBSP}={NBSP}{' / '.join(sizes)}"


def families(analyses: Sequence[Analysis], varied: Sequence[str]) -> list[Family]:
    """Group settings by all keys of `Analysis.about` that are not ``varied``.

    Families are in the order of their first members.
    """
    groups: dict[str, list[Analysis]] = {}
    for analysis in analyses:
        common = {key: value for key, value in analysis.about.items() if key not in varied}
        groups.setdefault(json.dumps(common, sort_keys=True), []).append(analysis)
    return named([tuple(group) for group in groups.values()], varied)


def named(groups: Sequence[tuple[Analysis, ...]], varied: Sequence[str]) -> list[Family]:
    """Name groups of settings after their first members."""
    abouts = [group[0].about for group in groups]
    told = [key for key in _differing(abouts) if key not in (*ALWAYS, *varied)]
    return [
        Family(", ".join([*_always(about), *_told(about, told)]), group)
        for about, group in zip(abouts, groups, strict=True)
    ]


def _differing(abouts: Sequence[dict[str, Any]]) -> list[str]:
    """Return the keys whose values are not the same everywhere."""
    keys = dict.fromkeys(key for about in abouts for key in about)
    return [key for key in keys if len({json.dumps(about.get(key)) for about in abouts}) > 1]


def _always(about: dict[str, Any]) -> list[str]:
    words = [str(about.get("dataset", "?"))]
    if about.get("label_noise"):
        words.append(f"{100 * about['label_noise']:g}{NBSP}% label noise")
    return [*words, f"{about.get('teacher', '?')} → {about.get('student', '?')}"]


def _told(about: dict[str, Any], keys: Sequence[str]) -> list[str]:
    return [
        WORDS.get(key, lambda value, key=key: f"{key}{NBSP}{value}")(about[key])
        for key in keys
        if key in about
    ]


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
    """Return a line through one statistic of some settings, each at its place.

    Parameters
    ----------
    statistic, model : str
        See `disobey.analysis.names`; or `BIAS` of the student.
    family : Family
        Part of the line's name.
    members : sequence of (float, Analysis)
        Place and setting, in any order.
    role : disobey.figures.style.Role, optional
        The look, where it is not that of ``model``.
    linestyle : str
        A blank draws no line.
    split, subset : str
        The examples.
    """
    ordered = sorted(members, key=lambda member: member[0])
    numbers = [
        _ratio(analysis) if statistic == BIAS else analysis.number(statistic, model, split, subset)
        for _, analysis in ordered
    ]
    role = role or ROLES[model]
    name = f"{statistic}/{model}/{family.name}/{role.label}"
    return Series(name, role, tuple(place for place, _ in ordered), tuple(numbers), linestyle)


def panel(statistic: str, model: str, lines: Sequence[Series], across: Across) -> SeriesPanel:
    """Return a panel of lines with label and null of the statistic, ``model`` of a single one."""
    if statistic == BIAS:
        head = f"bias: progress ratio, student{NBSP}÷{NBSP}reference"
        return SeriesPanel(head, tuple(lines), across, NO_CHANGE, ratio=True)
    how, of = statistic_of(statistic), ROLES[model].label.replace(" ", NBSP) if model else ""
    null = how.null_of(model)
    known = None if math.isnan(null) else null
    return SeriesPanel(how.axis(of), tuple(lines), across, known)


def _ratio(analysis: Analysis) -> tuple[float, float, float]:
    """Return the progress ratio of the first layer, unknown without a bias analysis."""
    return progress_ratio(analysis.bias, analysis.bias.first) if analysis.bias else UNKNOWN


def snapshots_of(kind: str, analyses: dict[str, Analysis]) -> dict[str, dict[float, Analysis]]:
    """Return the snapshots of each setting by epoch, in order; the setting itself is the last.

    Raises
    ------
    ValueError
        Where there is none, naming the ``kind`` of figure.
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
    """Return the share over which a setting's switch is stretched; 0 for a hard one, or none."""
    return float(analysis.about.get("switch", {}).get("ramp") or 0)


def unswitched(analysis: Analysis) -> str | None:
    """Return the model that a setting's student is if it never switches; None if it does.

    A hard switch at either end leaves only one of the two losses.
    """
    if "switch" not in analysis.about:
        return STUDENT
    at, order = analysis.about["switch"]["at"], analysis.about["switch"]["order"]
    return None if ramp_of(analysis) or at not in (0, 1) else ENDS[order][int(at)]
