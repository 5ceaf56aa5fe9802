"""Accuracy against the point at which training switches between distillation and labels."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from disobey.analysis.claims.switching import (
    FITTED,
    INTERPOLATING,
    NON_INTERPOLATING,
    teacher_misses,
)
from disobey.analysis.names import EFFECT, REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.accuracy import STATISTIC
from disobey.figures.bias_message import Numbers
from disobey.figures.families import Family, families, named
from disobey.figures.message import WITHOUT_VERDICT, Claim, Side
from disobey.figures.series import NOTE, Across, Series, SeriesPanel, draw_series
from disobey.figures.sheet import Sheet
from disobey.figures.style import DISTILLATION_FIRST, ONE_HOT_FIRST
from disobey.numbers import NBSP

# What a study may say of a teacher: article, words, and the share of given labels that it fits.
KINDS = {
    INTERPOLATING: ("an", "interpolating teacher", f"at least {100 * FITTED:g}{NBSP}%"),
    NON_INTERPOLATING: ("a", "non-interpolating teacher", f"below {100 * FITTED:g}{NBSP}%"),
    None: ("a", "teacher", ""),
}
VARIED = ("switch",)
# Which model stands at either end of a line: a switch at once, and one that never comes.
ENDS = {DISTILLATION_FIRST: (REFERENCE, STUDENT), ONE_HOT_FIRST: (STUDENT, REFERENCE)}
LINES = {DISTILLATION_FIRST: "-", ONE_HOT_FIRST: "--"}
# One per length of a ramp.
RAMPED = ("P", "X", "p")
NO_LINE = " "
# Models that never switch, drawn across the panel.
LEVELS = {
    REFERENCE: ("one-hot alone", (0, (1, 1.5))),
    STUDENT: ("distilled throughout", (0, (4, 1.5))),
}
Point = tuple[float, Numbers]
ACROSS = Across("switch point")
TALL = 1.2
# Above this many panels two stand side by side, if they hold nothing but two lines.
ONE_COLUMN = 2
ROOM = 0.1
# Between models at one switch point, in inches, by the number of columns.
DODGE = {1: 0.05, 2: 0.03}
CLAIM = Claim(
    subject="accuracy after a switch",
    above="raised",
    below="lowered",
    symbol="student − reference".replace(" ", NBSP),
    statistic=STATISTIC,
    null=0.0,
    model=EFFECT,
)


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw test accuracy against the switch point, both orders, one panel per teacher.

    A line ends in the setting that is the same but never switches: switching from distillation at
    the end is to distil throughout, switching from it at once is the one-hot reference.

    Parameters
    ----------
    analyses : dict of str to Analysis
        Settings with ``switch`` in what is said about them, and the same without.

    Returns
    -------
    matplotlib.figure.Figure
        One column wide.
    """
    found = families(list(analyses.values()), VARIED)
    # The heading says by itself what the teacher is.
    found = named([family.analyses for family in found], (*VARIED, "teacher_fits"))
    sheet = Sheet()
    sheet.title(_title(found))
    lengths = sorted({_ramp(analysis) for analysis in analyses.values()} - {0})
    sheet.legend(_handles(lengths))
    columns = 1 if len(found) <= ONE_COLUMN or lengths else 2
    panels = [
        SeriesPanel(_head(family), _lines(family, lengths), ACROSS, dodge=DODGE[columns])
        for family in found
    ]
    for axes, family in zip(draw_series(sheet, panels, columns, TALL), found, strict=True):
        _levels(axes, family)
    sheet.write(
        "Up: test accuracy (share); scales differ. Across: share of the cumulative learning rate. "
        "Lines end in models that never switch. n: seeds × test examples. "
        f"{NOTE}"
    )
    return sheet.finish()


def fits(family: Family) -> list[float]:
    """Return the share of given training labels that each seed's teacher predicts."""
    return [
        float(value)
        for analysis in family.analyses
        for value in analysis.seeds(STATISTIC, TEACHER, "train")
    ]


def kind(family: Family) -> str | None:
    """Return what the study says of the teacher: a key of ``KINDS``."""
    said = family.analyses[0].about.get("teacher_fits")
    return said if said in KINDS else None


def as_said(family: Family) -> bool:
    """Return whether the teacher of every seed is what the study says."""
    known = all(math.isfinite(share) for share in fits(family))
    return known and not any(teacher_misses(analysis) for analysis in family.analyses)


def _title(found: Sequence[Family]) -> str:
    said = []
    for which in KINDS:
        alike = [family for family in found if kind(family) == which]
        switched = [
            analysis
            for family in alike
            if as_said(family)
            for analysis in family.analyses
            if unswitched(analysis) is None
        ]
        missing = sum(not as_said(family) for family in alike)
        if switched:
            said.append(f"{_with(which)}{_tally(switched)}")
        if missing:
            said.append(
                f"no verdict {_with(which)}(definition missed by {missing} of {len(alike)})"
            )
        if alike and not switched and not missing:
            said.append(f"no verdict {_with(which)}(nothing is switched)")
    return f"Accuracy after a switch against one-hot training: {'; '.join(said)}"


def _with(which: str | None) -> str:
    article, teacher, _ = KINDS[which]
    return "" if which is None else f"with {article} {teacher} "


def _tally(switched: Sequence[Analysis]) -> str:
    """Count the settings in which a switched student gains or loses, or tell the only number."""
    sides = Counter(CLAIM.side(analysis) for analysis in switched)
    reasons = " or ".join(side.value for side in WITHOUT_VERDICT if side in sides)
    if sum(sides[side] for side in WITHOUT_VERDICT) == len(switched):
        return f"{reasons}: no verdict"
    if len(switched) == 1:
        (side,) = sides
        words = (CLAIM.words | {Side.UNDECIDED: Side.UNDECIDED.value})[side]
        return f"{words}, {CLAIM.printed(switched[0])}"
    parts = [f"{CLAIM.above} in{NBSP}{sides[Side.ABOVE]} of {len(switched)} settings"]
    parts += [f"{CLAIM.below} in{NBSP}{sides[Side.BELOW]}"] if sides[Side.BELOW] else []
    parts += [f"undecided in{NBSP}{sides[Side.UNDECIDED]}"] if sides[Side.UNDECIDED] else []
    parts += [f"{reasons}: no verdict in the others"] if reasons else []
    return ", ".join(parts)


def _head(family: Family) -> str:
    """Name a panel, and say how well its teacher fits and whether it is what the study says."""
    shares = [share for share in fits(family) if math.isfinite(share)]
    measured = "unknown"
    if shares:
        # Rounded down, or a teacher just below the threshold would be printed as one upon it.
        ends = [math.floor(round(1e4 * share, 6)) / 100 for share in (min(shares), max(shares))]
        measured = "–".join(f"{end:.2f}" for end in dict.fromkeys(ends)) + f"{NBSP}%"
    _, teacher, needed = KINDS[kind(family)]
    text = f"{family.head}\n{teacher}, fits {measured} of the given labels"
    return text if as_said(family) else f"{text}: not {needed} in every seed, no verdict"


def _lines(family: Family, lengths: Sequence[float]) -> tuple[Series, ...]:
    """Return hard switches with the ends of their line in the middle, ramped ones on both sides."""
    first, then = (
        [_hard(family, order), *(_ramped(family, order, length, lengths) for length in lengths)]
        for order in ENDS
    )
    return tuple(line for line in (*reversed(first), *then) if line.places)


def _ramp(analysis: Analysis) -> float:
    """Return over which share of the learning rate a switch is stretched; 0 for a hard one."""
    return float(analysis.about.get("switch", {}).get("ramp") or 0)


def unswitched(analysis: Analysis) -> str | None:
    """Return which model a setting's student is if it never switches; None if it does.

    A hard switch at either end leaves nothing of one of the two losses.
    """
    if "switch" not in analysis.about:
        return STUDENT
    at, order = analysis.about["switch"]["at"], analysis.about["switch"]["order"]
    return None if _ramp(analysis) or at not in (0, 1) else ENDS[order][int(at)]


def _switched(family: Family, order: str, length: float = 0.0) -> list[Point]:
    """Return the student's accuracy at each switch point."""
    return [
        (float(analysis.about["switch"]["at"]), analysis.number(STATISTIC, STUDENT))
        for analysis in family.analyses
        if unswitched(analysis) is None
        and analysis.about["switch"]["order"] == order
        and _ramp(analysis) == length
    ]


def ends(family: Family) -> dict[str, Numbers]:
    """Return the accuracy of the models that never switch.

    The reference of every setting of a family is the same run; the student that is distilled
    throughout is that of a setting without a switch.
    """
    known = {REFERENCE: family.analyses[0].number(STATISTIC, REFERENCE)}
    plain = [analysis for analysis in family.analyses if unswitched(analysis) == STUDENT]
    return known | ({STUDENT: plain[0].number(STATISTIC, STUDENT)} if plain else {})


def _hard(family: Family, order: str) -> Series:
    known = ends(family)
    points = [(float(at), known[model]) for at, model in enumerate(ENDS[order]) if model in known]
    switched = _switched(family, order)
    # Two models that never switch have no line between them.
    linestyle = LINES[order] if switched else NO_LINE
    return _series(family, style.ORDER_ROLES[order], points + switched, linestyle)


def _ramped(family: Family, order: str, length: float, lengths: Sequence[float]) -> Series:
    role = style.ORDER_ROLES[order]
    label = f"{role.label}, {_over(length)}"
    role = replace(role, label=label, marker=_marker(length, lengths))
    return _series(family, role, _switched(family, order, length), NO_LINE)


def _over(length: float) -> str:
    return f"ramped over{NBSP}{length:g}"


def _marker(length: float, lengths: Sequence[float]) -> str:
    return RAMPED[lengths.index(length) % len(RAMPED)]


def _series(family: Family, role: style.Role, points: list[Point], linestyle: str) -> Series:
    points = sorted(points, key=lambda point: point[0])
    name = f"{STATISTIC}/{role.label}/{family.name}/{kind(family)}"
    places, numbers = tuple(at for at, _ in points), tuple(number for _, number in points)
    return Series(name, role, places, numbers, linestyle)


def _levels(axes: Axes, family: Family) -> None:
    """Draw the accuracy of the models that never switch all across."""
    if not axes.lines:
        return
    axes.set_xlim(-ROOM, 1 + ROOM)
    for model, (estimate, _, _) in ends(family).items():
        axes.axhline(
            estimate,
            color=style.ROLES[model].colour,
            linewidth=style.MEDIUM,
            linestyle=LEVELS[model][1],
            zorder=1,
            gid=f"level/{model}/{family.name}/{kind(family)}",
        )


def _handles(lengths: Sequence[float]) -> list[Line2D]:
    handles = [_handle(role, LINES[order]) for order, role in style.ORDER_ROLES.items()]
    for length in lengths:
        look = style.Role(_over(length), style.INK, _marker(length, lengths), "")
        handles.append(_handle(look, NO_LINE))
    for model, (words, linestyle) in LEVELS.items():
        level = _handle(replace(style.ROLES[model], label=words, marker=""), linestyle)
        level.set_linewidth(style.MEDIUM)
        handles.append(level)
    return handles


def _handle(role: style.Role, linestyle: Any) -> Line2D:  # noqa: ANN401 - whatever Line2D takes
    return Line2D(
        [], [], color=role.colour, marker=role.marker, label=role.label, linestyle=linestyle
    )
