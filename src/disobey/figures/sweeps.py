"""Statistics against rounds of distillation, temperature, share seen, and epochs of training."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from disobey.analysis.bias import Bias
from disobey.analysis.leak import LEAK, MEMORY
from disobey.analysis.names import (
    COMPARED,
    EFFECT,
    EXAGGERATION,
    GAPS,
    HELD_OUT,
    MISLABELLED,
    REFERENCE,
    STUDENT,
    TEACHER,
)
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.bias import THEOREM_STYLE, ratio_handles, units
from disobey.figures.cells import size
from disobey.figures.series import (
    BIAS,
    NO_LINE,
    Across,
    Family,
    Series,
    SeriesPanel,
    draw_panel,
    draw_series,
    families,
    line,
    named,
    panel,
    snapshots_of,
)
from disobey.figures.sheet import LEFT, RIGHT, Sheet, grid, say, scale
from disobey.numbers import NBSP

COLUMNS, HEIGHT = 4, 1.1
# Margin below the lowest and above the highest temperature, as a factor.
ROOM = 1.5


def _draw_row(sheet: Sheet, panels: Sequence[SeriesPanel], places: Iterable[float]) -> None:
    """Add a row of panels to a sheet, with margins at the ends of logarithmic scales."""
    at = list(places)
    for axes in draw_series(sheet, panels, COLUMNS, HEIGHT):
        if axes.get_xscale() == "log":
            axes.set_xlim(min(at) / ROOM, max(at) * ROOM)


# --- rounds of distillation -------------------------------------------------------------------

# Margin beside the first and the last round for markers side by side.
ROUND_ROOM = 0.4


@style.styled
def draw_rounds(analyses: dict[str, Analysis]) -> Figure:
    """Draw accuracy, exaggeration and bias of student and reference in each round.

    The ``about`` of a setting has its ``round``, by default 1.
    """
    sheet = Sheet()
    sheet.title("Rounds of distillation")
    sheet.legend([style.handle(model) for model in COMPARED])
    of_models: dict[str, tuple[str, ...]] = {"accuracy": COMPARED, EXAGGERATION: COMPARED}
    if any(analysis.bias is not None for analysis in analyses.values()):
        of_models[BIAS] = (STUDENT,)
    for chain in _chains(list(analyses.values())):
        sheet.write(chain.head)
        members = [(float(round_of(analysis)), analysis) for analysis in chain.analyses]
        panels = [
            panel(of, "", [line(of, model, chain, members) for model in models], Across("round"))
            for of, models in of_models.items()
        ]
        for axes in draw_series(sheet, panels, columns=len(panels)):
            axes.set_xlim(members[0][0] - ROUND_ROOM, members[-1][0] + ROUND_ROOM)
    return sheet.finish()


def round_of(analysis: Analysis) -> int:
    """Return the number of distillations between the student and a model trained on labels."""
    return int(analysis.about.get("round", 1))


def _chains(analyses: Sequence[Analysis]) -> list[Family]:
    """Group settings into chains, in which a teacher may be the student of the round before.

    If this puts two settings into the same round, chains of different teachers are separated.
    """
    groups: list[tuple[Analysis, ...]] = []
    for family in families(analyses, ("round", "teacher", "teacher_recipe", "trained")):
        chains = [family]
        if len(set(map(round_of, family.analyses))) < len(family.analyses):
            chains = families(family.analyses, ("round", "teacher_recipe", "trained"))
        groups += [tuple(sorted(chain.analyses, key=round_of)) for chain in chains]
    return named(groups, ("round",))


# --- the temperature of distillation ----------------------------------------------------------

VARIED = ("temperature", "lr", "recipe")
TEMPERATURE = Across("temperature T", log=True)
# Markers of learning rates below and above the usual one.
LOWER, HIGHER = ("<", "v", "X"), (">", "p", "P")
# A learning rate is printed as a multiple with at most this denominator.
LARGEST_DENOMINATOR = 10_000


@style.styled
def draw_temperature(analyses: dict[str, Analysis]) -> Figure:
    """Draw A, the gain in accuracy and the bias against T, one row per family of settings.

    Settings whose learning rate (``lr``) differs from the usual one of their family are drawn off
    its line.
    """
    found = families(list(analyses.values()), VARIED)
    sheet = Sheet(style.TWO_COLUMNS)
    sheet.title("Temperature of distillation")
    factors = sorted({rate(analysis, family) for family in found for analysis in family.analyses})
    sheet.legend(_handles(factors))
    with_bias = any(analysis.bias is not None for analysis in analyses.values())
    last = (BIAS, STUDENT) if with_bias else ("accuracy", "")
    shown = ((EXAGGERATION, ""), (EXAGGERATION, EFFECT), ("accuracy", EFFECT), last)
    for family in found:
        sheet.write(family.head)
        panels = [
            panel(of, model, _lines(family, of, (model,) if model else COMPARED), TEMPERATURE)
            for of, model in shown
        ]
        _draw_row(sheet, panels, (analysis.about["temperature"] for analysis in family.analyses))
    return sheet.finish()


def rate(analysis: Analysis, family: Family) -> Fraction:
    """Return the learning rate as a multiple of the family's usual one.

    The usual one is the most frequent; ties go to the first.
    """
    rates = Counter(member.about.get("lr") for member in family.analyses)
    ((usual, _),) = rates.most_common(1)
    own = analysis.about.get("lr")
    if not usual or not own:
        return Fraction(1)
    return Fraction(own / usual).limit_denominator(LARGEST_DENOMINATOR)


def _lines(family: Family, statistic: str, models: Sequence[str]) -> list[Series]:
    """Return one line per model and learning rate, from low to high."""
    by_rate: dict[Fraction, list[tuple[float, Analysis]]] = {}
    for analysis in family.analyses:
        place = float(analysis.about["temperature"])
        by_rate.setdefault(rate(analysis, family), []).append((place, analysis))
    found = []
    for factor in sorted(by_rate):
        for model in models:
            role, look = style.ROLES[model], "-"
            if factor != 1:
                role = replace(role, marker=_marker(factor, by_rate), label=_words(factor))
                look = NO_LINE
            # A reference beside each line would hide it; the differences use all references.
            if factor == 1 or model != REFERENCE:
                found.append(line(statistic, model, family, by_rate[factor], role, look))
    return found


def _marker(factor: Fraction, factors: Iterable[Fraction]) -> str:
    markers = LOWER if factor < 1 else HIGHER
    alike = sorted(other for other in factors if (other < 1) == (factor < 1) and other != 1)
    return markers[alike.index(factor) % len(markers)]


def _words(factor: Fraction) -> str:
    return f"lr{NBSP}×{NBSP}{factor}"


def _handles(factors: Sequence[Fraction]) -> list[Line2D]:
    handles = [style.handle(model) for model in (*COMPARED, EFFECT)]
    for factor in factors:
        if factor != 1:
            look = {"color": style.INK, "marker": _marker(factor, factors), "linestyle": "none"}
            handles.append(style.handle(STUDENT, **look, label=_words(factor)))
    return handles


# --- leak and memory --------------------------------------------------------------------------

SHARE_SEEN = Across("share of the examples seen")
OF_HELD_OUT: dict[str, Any] = {"split": HELD_OUT, "subset": MISLABELLED}


@style.styled
def draw_leak(analyses: dict[str, Analysis]) -> Figure:
    """Draw leak and memory of student and reference, and their differences.

    They are drawn against the temperature, with a row of panels per share, or against the share if
    no two settings differ only in temperature.
    """
    found = list(analyses.values())
    key, across = "temperature", TEMPERATURE
    if all(len(family.analyses) == 1 for family in families(found, (key,))):
        key, across = "student_share", SHARE_SEEN
    sheet = Sheet(style.TWO_COLUMNS)
    sheet.title("Leak of labels that the student did not see, and memory of those it saw")
    hollow = style.handle(REFERENCE, markerfacecolor=style.HOLLOW)
    sheet.legend([style.handle(STUDENT), hollow, style.handle(EFFECT)])
    for family in families(found, (key,)):
        sizes = dict.fromkeys(size(one, HELD_OUT, MISLABELLED) for one in family.analyses)
        sheet.write(f"{family.name}: held out, mislabelled, n{NBSP}={NBSP}{' / '.join(sizes)}")
        members = [(float(one.about.get(key, 1)), one) for one in family.analyses]
        panels = []
        for of, models in itertools.product((LEAK, MEMORY), (COMPARED, (EFFECT,))):
            lines = [line(of, model, family, members, **OF_HELD_OUT) for model in models]
            lines = [replace(one, hollow=one.role == style.ROLES[REFERENCE]) for one in lines]
            panels.append(panel(of, EFFECT if EFFECT in models else "", lines, across))
        _draw_row(sheet, panels, (place for place, _ in members))
    return sheet.finish()


# --- the epochs of training -------------------------------------------------------------------

# If the last epoch is at least this multiple of the first, the scale is logarithmic.
LOG_FROM = 10


@style.styled
def draw_over_training(analyses: dict[str, Analysis]) -> Figure:
    """Draw A, gap and accuracy against the epoch, and the ratio of progress against progress.

    Each setting with snapshots, named ``<setting>@<epoch>``, has a row of panels.
    """
    trainings = snapshots_of("over-training", analyses)
    tracked = units({name: analyses[name] for name in trainings if name in analyses})
    sheet = Sheet(style.TWO_COLUMNS)
    sheet.title("Confidence, accuracy and bias over training")
    handles = [style.handle(model) for model in (TEACHER, *COMPARED)]
    sheet.legend([*handles, *(ratio_handles(tracked)[1:] if tracked else ())])
    for name, dated in trainings.items():
        bias = analyses[name].bias if name in analyses else None
        _training(sheet, Family(name, tuple(dated.values())), list(dated), bias)
    return sheet.finish()


def _training(sheet: Sheet, training: Family, epochs: list[float], bias: Bias | None) -> None:
    """Draw the panels of one setting under its name."""
    sheet.write(f"{training.name}: test, n{NBSP}={NBSP}{size(training.analyses[-1])}")
    across = Across("epoch", log=epochs[0] > 0 and epochs[-1] >= LOG_FROM * epochs[0])
    members = list(zip(epochs, training.analyses, strict=True))
    panels: list[SeriesPanel] = [
        panel(of, "", [line(of, model, training, members) for model in models], across)
        for of, models in (
            (EXAGGERATION, COMPARED), (GAPS[0], COMPARED), ("accuracy", (TEACHER, *COMPARED)),
        )
    ]  # fmt: skip
    heads = [one.head for one in panels]
    if bias is not None:
        heads.append(f"progress ratio, rank {int(bias.layers[bias.first]['rank'][-1])}")
    width = sheet.width / len(heads) - LEFT - RIGHT
    made = grid(sheet, heads, len(heads), height=HEIGHT)
    for axes, one in zip(made, panels, strict=False):
        draw_panel(axes, one, width)
    if bias is not None:
        _curves(made[-1], bias, width)


def _curves(axes: Axes, bias: Bias, width: float) -> None:
    """Draw the ratio of each seed along the last direction against matched progress."""
    data = bias.layers[bias.first].isel(direction=-1)
    shares = data.share.values
    axes.set_xlabel("share of progress along rank 1")
    curves = {
        model: np.exp(data.log_ratio_curve.sel(compared=model).transpose("seed", "share").values)
        for model in (STUDENT, *bias.placebos(bias.first))
    }
    if not any(np.isfinite(curve).any() for curve in curves.values()):
        say(axes)
        return
    low, high = data.attrs["range"]
    axes.axvspan(low, high, color=style.BAND, linewidth=0, zorder=0)
    style.null_line(axes, "y", 1)
    for model, curve in reversed(curves.items()):
        for drawn in axes.plot(shares, curve.T, color=style.role_of(model).colour):
            drawn.set_linewidth(style.MEDIUM if model == STUDENT else style.THIN)
            drawn.set_gid(f"curve/{model}/{bias.setting}")
    scale(axes, "x", [0.0, *shares], width=width)
    # Beyond the range, on the plateau, ratios diverge: they must not compress the others.
    kept = [curve[:, shares <= high].ravel() for curve in curves.values()]
    scale(axes, "y", [*np.concatenate(kept), 1.0], log=True)
    theorem = np.exp(data.theorem_log_ratio.values)
    axes.plot(shares, theorem, gid=f"theorem/{bias.setting}", zorder=2, **THEOREM_STYLE)
