"""Exaggeration of confidence, measured against a teacher of another seed."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from disobey.analysis.names import COMPARED, DECILES, EFFECT, EXAGGERATION, GAPS
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.forest import NOTE, Panel, draw_forest
from disobey.figures.panels import write_head
from disobey.figures.sheet import GAP, MARGIN, Sheet

PANELS = (
    Panel(
        EXAGGERATION,
        "exaggeration A\n(ratio; 1: as another teacher)",
        null=1.0,
        share=1.3,
    ),
    Panel(EXAGGERATION, "student − reference\n(difference of A)", (EFFECT,), null=0.0),
)

# Few settings get wider panels; many get a third column, so that they fit on a page.
COLUMNS_FROM = {1: 1, 2: 2, 7: 3}
CELL_HEIGHT = 0.55
CELL_LEFT = 0.28
LABEL_LEFT = 0.1
CELL_RIGHT = 0.06
CELL_BOTTOM = 0.24
ROW_GAP = 0.08
DODGE = 0.12
MAX_TICKS = 3
# Shares of the height: above and below the data, and kept free of ticks.
ROOM, TICK_FREE = 0.12, 0.1
# Logits; smaller gaps are shown as what they are, none.
LEAST_GAP = 0.05


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw A per setting and the gap G in each decile of confidence.

    Parameters
    ----------
    analyses : dict of str to Analysis
        By setting, in the order of the study.

    Returns
    -------
    matplotlib.figure.Figure
        One column wide.
    """
    sheet = Sheet()
    sheet.title("Confidence against a teacher of another seed")
    sheet.legend([style.handle(model) for model in COMPARED])
    draw_forest(sheet, analyses, PANELS)
    sheet.write(
        "Gap G: confidence logit of the model minus its teacher's, by decile of the confidence of "
        "a teacher of another seed (1: least confident). Vertical scales differ.",
        colour=style.INK,
    )
    _grid(sheet, analyses)
    sheet.write(NOTE)
    return sheet.finish()


def _grid(sheet: Sheet, analyses: dict[str, Analysis]) -> None:
    """Draw one small panel per setting, row by row."""
    columns = COLUMNS_FROM[max(least for least in COLUMNS_FROM if least <= len(analyses))]
    width = (sheet.width - LABEL_LEFT) / columns
    names = {name: style.wrap(name, width - CELL_RIGHT, style.SMALL_SIZE) for name in analyses}
    order = list(analyses)
    for start in range(0, len(order), columns):
        row = order[start : start + columns]
        lines = max(names[name].count("\n") + 1 for name in row)
        above = style.line_height(style.SMALL_SIZE, lines)
        for column, name in enumerate(row):
            left = MARGIN + LABEL_LEFT + column * width
            axes = sheet.axes(
                left + CELL_LEFT, width - CELL_LEFT - CELL_RIGHT, CELL_HEIGHT, down=above
            )
            _gaps(axes, analyses[name])
            write_head(axes, names[name], CELL_LEFT + LABEL_LEFT * (column == 0))
            if column == 0:
                axes.set_ylabel("G (logits)", size=style.SMALL_SIZE)
            if start + columns + column >= len(order):
                axes.set_xlabel("decile", size=style.SMALL_SIZE)
                axes.tick_params(labelbottom=True)
        last = start + columns >= len(order)
        sheet.top += above + CELL_HEIGHT + (CELL_BOTTOM if last else ROW_GAP) + GAP


def _gaps(axes: Axes, analysis: Analysis) -> None:
    deciles = np.arange(1, DECILES + 1)
    axes.axhline(0, color=style.INK, linewidth=style.MEDIUM)
    for index, model in enumerate(COMPARED):
        role = style.ROLES[model]
        numbers = np.array([analysis.number(statistic, model) for statistic in GAPS])
        estimate, low, high = numbers.T
        # Side by side, not on top of each other.
        shifted = deciles + DODGE * (2 * index - 1)
        axes.vlines(shifted, low, high, role.colour, linewidth=style.MEDIUM)
        axes.plot(
            shifted,
            estimate,
            color=role.colour,
            marker=role.marker,
            markersize=style.SEED_SIZE,
            markerfacecolor=role.colour if np.isfinite(low).any() else style.HOLLOW,
            linewidth=style.THIN,
            gid=f"gap/{model}/{analysis.setting}",
        )
    axes.xaxis.set_major_locator(FixedLocator([1, DECILES // 2, DECILES]))
    axes.tick_params(labelbottom=False)
    axes.set_xlim(0.5, DECILES + 0.5)
    if _any_gap(analysis):
        _vertical_scale(axes)
    else:
        axes.set_yticks([0])
        axes.text(
            0.5,
            0.75,
            "no estimate",
            transform=axes.transAxes,
            ha="center",
            va="center",
            size=style.SMALL_SIZE,
        )


def _vertical_scale(axes: Axes) -> None:
    """Put ticks away from both ends: a name stands above, the next row below."""
    axes.margins(y=ROOM)
    low, high = axes.get_ylim()
    low, high = min(low, -LEAST_GAP), max(high, LEAST_GAP)
    axes.set_ylim(low, high)
    free = TICK_FREE * (high - low)
    for bins in range(MAX_TICKS - 1, 2 * MAX_TICKS):
        proposed = MaxNLocator(bins).tick_values(low, high)
        ticks = [float(tick) for tick in proposed if low + free <= tick <= high - free]
        if len(ticks) > 1:
            axes.set_yticks(ticks, style.tick_labels(ticks))
            return


def _any_gap(analysis: Analysis) -> bool:
    return any(
        math.isfinite(analysis.number(statistic, model)[0])
        for statistic in GAPS
        for model in COMPARED
    )
