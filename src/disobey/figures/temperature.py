"""Both exaggerations and the gain in accuracy over the temperature of distillation."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from matplotlib.figure import Figure

from disobey.analysis.names import COMPARED, EFFECT, EXAGGERATION, REFERENCE, STUDENT
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.families import (
    BIAS,
    Family,
    bias_panel,
    families,
    line,
)
from disobey.figures.series import Across, Series, SeriesPanel, draw_series
from disobey.figures.sheet import Sheet
from disobey.numbers import NBSP

VARIED = ("temperature", "lr", "recipe")
ACROSS = Across("temperature T", log=True)
COLUMNS, HEIGHT = 4, 1.1
DIFFERENCE = style.ROLES[EFFECT].label.replace(" ", NBSP)
NO_LINE = " "
# Free beside the lowest and the highest temperature, as a factor.
ROOM = 1.5
# Learning rates other than the usual one, the lower and the higher.
LOWER, HIGHER = ("<", "v", "X"), (">", "p", "P")
# A learning rate is said as a multiple with at most this denominator.
LARGEST_DENOMINATOR = 10_000


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw A, the gain in accuracy and the bias against T, one block per family of settings.

    Parameters
    ----------
    analyses : dict of str to Analysis
        Settings that differ in ``temperature``; those of another learning rate (``lr``) than most
        of their family stand beside its line.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns wide; a row of panels per family.
    """
    found = families(list(analyses.values()), VARIED)
    with_bias = any(analysis.bias is not None for analysis in analyses.values())
    sheet = Sheet(style.TWO_COLUMNS)
    sheet.title("Temperature of distillation")
    factors = sorted({rate(analysis, family) for family in found for analysis in family.analyses})
    sheet.legend(_handles(factors))
    for family in found:
        sheet.write(family.head)
        temperatures = [analysis.about["temperature"] for analysis in family.analyses]
        for axes in draw_series(sheet, _panels(family, with_bias=with_bias), COLUMNS, HEIGHT):
            if axes.get_xscale() == "log":
                axes.set_xlim(min(temperatures) / ROOM, max(temperatures) * ROOM)
    return sheet.finish()


def rate(analysis: Analysis, family: Family) -> Fraction:
    """Return the learning rate as a multiple of the family's usual one.

    The usual one is the most frequent, and of equally frequent ones the first.
    """
    rates = Counter(member.about.get("lr") for member in family.analyses)
    ((usual, _),) = rates.most_common(1)
    own = analysis.about.get("lr")
    if not usual or not own:
        return Fraction(1)
    return Fraction(own / usual).limit_denominator(LARGEST_DENOMINATOR)


def _panels(family: Family, *, with_bias: bool) -> list[SeriesPanel]:
    def lines(statistic: str, *models: str) -> tuple[Series, ...]:
        return _lines(family, statistic, models)

    panels = [
        SeriesPanel("exaggeration A (ratio)", lines(EXAGGERATION, *COMPARED), ACROSS, 1.0),
        SeriesPanel(f"A, {DIFFERENCE}", lines(EXAGGERATION, EFFECT), ACROSS, 0.0),
        SeriesPanel(
            f"accuracy (share), {DIFFERENCE}",
            lines("accuracy", EFFECT),
            ACROSS,
            0.0,
        ),
    ]
    if with_bias:
        return [*panels, bias_panel(lines(BIAS, STUDENT), ACROSS)]
    return [
        *panels,
        SeriesPanel("accuracy (share of test examples)", lines("accuracy", *COMPARED), ACROSS),
    ]


def _lines(family: Family, statistic: str, models: Sequence[str]) -> tuple[Series, ...]:
    """Return one line per model and learning rate, from low to high."""
    by_rate: dict[Fraction, list[tuple[float, Analysis]]] = {}
    for analysis in family.analyses:
        place = float(analysis.about["temperature"])
        by_rate.setdefault(rate(analysis, family), []).append((place, analysis))
    factors = sorted(by_rate)
    return tuple(
        line(
            statistic,
            model,
            family,
            by_rate[factor],
            _role(style.ROLES[model], factor, factors),
            "-" if factor == 1 else NO_LINE,
        )
        for factor in factors
        for model in models
        # A reference beside each line would hide it; the differences hold all references.
        if factor == 1 or model != REFERENCE
    )


def _role(role: style.Role, factor: Fraction, factors: Sequence[Fraction]) -> style.Role:
    """Return how a model is drawn at a multiple of the usual learning rate."""
    if factor == 1:
        return role
    return replace(role, marker=_marker(factor, factors), label=_words(factor))


def _marker(factor: Fraction, factors: Sequence[Fraction]) -> str:
    markers = LOWER if factor < 1 else HIGHER
    alike = sorted(other for other in factors if (other < 1) == (factor < 1) and other != 1)
    return markers[alike.index(factor) % len(markers)]


def _words(factor: Fraction) -> str:
    return f"lr{NBSP}×{NBSP}{factor}"


def _handles(factors: Sequence[Fraction]) -> list:
    handles = [style.handle(model) for model in (*COMPARED, EFFECT)]
    for factor in factors:
        if factor != 1:
            look = {"color": style.INK, "marker": _marker(factor, factors), "linestyle": "none"}
            handles.append(style.handle(STUDENT, **look, label=_words(factor)))
    return handles
