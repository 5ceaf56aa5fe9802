"""Both deviations in one figure, for a talk: of confidence, and of the implicit bias."""

from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from disobey.analysis.names import COMPARED, STUDENT
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.bias import draw_ratios, matched_range, ratio_handles
from disobey.figures.bias_message import Unit, bias_seeds, bias_verdict, printed_ratio, units
from disobey.figures.exaggeration import DIAGONAL_SLOPE, MAX_TICKS, draw_plot, plot_limits
from disobey.figures.message import EXAGGERATES, headline, size
from disobey.figures.panels import LEFT, RIGHT, grid
from disobey.figures.sheet import Sheet
from disobey.numbers import NBSP, interval

SPLIT = "test"
NOTE = (
    "a: shading counts examples of the student; points: means of quantile bins of the teacher's "
    "confidence; lines: least squares, conditioned on the teacher as in the paper. A: conditioned "
    "on a teacher of another seed. b: progress over that of the one-hot reference at equal "
    "progress along the leading direction, geometric mean over {range}. n: seeds × examples, "
    "seeds. Bars and brackets: 95 % intervals."
)


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw the student-teacher plot of the first setting beside the first ratio of progress.

    Parameters
    ----------
    analyses : dict of str to Analysis
        By setting, in the order of the study.

    Returns
    -------
    matplotlib.figure.Figure
        Wider than one column.

    Raises
    ------
    ValueError
        When no setting has a bias analysis.
    """
    chosen = units(analyses)[:1]
    if not chosen:
        raise ValueError("the figure overview needs a setting with a bias analysis, got none")
    (unit,) = chosen
    first = next(iter(analyses.values()))
    sheet = Sheet(style.WIDE)
    sheet.title(_title(first, unit))
    equal = style.handle(STUDENT, color=style.INK, marker="", linestyle=(0, (3, 2)))
    equal.set(label="no deviation", linewidth=style.MEDIUM)
    student, *others = ratio_handles(chosen)
    reference, *_ = (style.handle(model) for model in COMPARED)
    sheet.legend([student, reference, *others, equal])
    width = sheet.width / 2 - LEFT - RIGHT
    confidence, bias = grid(sheet, [_plot_head(first), _ratio_head(unit)], 2, height=width)
    _confidence(confidence, first)
    draw_ratios(bias, unit, width)
    sheet.write(NOTE.format(range=matched_range(unit)))
    return sheet.finish()


def _title(first: Analysis, unit: Unit) -> str:
    """Return both verdicts; the setting of the second one is named if it is another."""
    bias, _ = unit
    other = "" if bias.setting == first.setting else f"{bias.setting}: "
    return f"{headline({first.setting: first}, EXAGGERATES)}; {other}{bias_verdict(*unit)}"


def _plot_head(analysis: Analysis) -> str:
    slopes = {model: analysis.number("plot_slope", model, SPLIT) for model in COMPARED}
    listed = ", ".join(
        f"{style.ROLES[model].glyph}{NBSP}{interval(*slope, DIAGONAL_SLOPE)}"
        for model, slope in slopes.items()
    )
    return (
        f"a  confidence: {analysis.setting}, {SPLIT}, n{NBSP}={NBSP}{size(analysis, SPLIT)}\n"
        f"slopes {listed}"
    )


def _ratio_head(unit: Unit) -> str:
    bias, layer = unit
    return (
        f"b  implicit bias: {bias.setting}, {layer}, n{NBSP}={NBSP}{bias_seeds(bias, layer)}\n"
        f"ratio of progress, all k{NBSP}>{NBSP}1: {style.ROLES[STUDENT].glyph}{NBSP}"
        f"{printed_ratio(bias, layer)}"
    )


def _confidence(axes: Axes, analysis: Analysis) -> None:
    data = analysis.splits[SPLIT]
    most = float(data.density.sel(compared=STUDENT).max())
    draw_plot(axes, data, LogNorm(1, max(most, 2.0)))
    limits = plot_limits([data])
    axes.set(xlim=limits, ylim=limits)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(MAX_TICKS, integer=True))
    axes.set_xlabel("teacher (confidence logit)", size=style.SMALL_SIZE)
    axes.set_ylabel("model (confidence logit)", size=style.SMALL_SIZE)
