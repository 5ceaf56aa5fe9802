"""The paper's plot over the steps of training: the final teacher on x, a model at a step on y."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disobey.analysis.names import REFERENCE, STUDENT
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.confidence import BOTTOM_GAP, NO_GAP, draw_plot, plot_limits
from disobey.figures.families import families, unswitched
from disobey.figures.over_training import AT
from disobey.figures.panels import even_ticks, put_ticks, short_labels
from disobey.figures.sheet import GAP, MARGIN, Sheet
from disobey.figures.sizes import size
from disobey.figures.style import ONE_HOT_FIRST
from disobey.numbers import NBSP, interval

SPLIT = "train"
# Rows of models that never switch.
ALONE, PLAIN = "one-hot", "distilled"
# More columns than this need both columns of a page.
NARROW = 3
# Inches: left of the first panel, between panels, below the last row, and the longest side.
LEFT, BETWEEN, BELOW, LONGEST = 0.46, 0.06, 0.28, 1.3
MAX_TICKS = 3
INSET = 0.08


@dataclass(frozen=True)
class Row:
    """One arm: a model at every epoch.

    Attributes
    ----------
    label : str
    model : str
        Reference or student.
    analyses : dict of float to Analysis
        By epoch, in order.
    """

    label: str
    model: str
    analyses: dict[float, Analysis]


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw confidence logits of training examples, a row per arm of switching, a column per epoch.

    Parameters
    ----------
    analyses : dict of str to Analysis
        Settings that differ in their switch, and their snapshots, named ``<setting>@<epoch>``.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        When there is no snapshot.
    """
    rows = _rows(analyses)
    if not rows:
        raise ValueError(
            f"the figure steps needs snapshots, named <setting>{AT}<epoch>, got none among "
            f"{', '.join(analyses) or 'no setting'}"
        )
    epochs = sorted({epoch for row in rows for epoch in row.analyses})
    wide = len(epochs) > NARROW
    sheet = Sheet(style.TWO_COLUMNS if wide else style.COLUMN_WIDTH)
    sheet.title("Confidence on training examples along training")
    last = rows[0].analyses[epochs[-1]]
    (family,) = families([last], ())
    sheet.write(f"{family.name}, n{NBSP}={NBSP}{size(last, SPLIT)}")
    side = min((sheet.width - LEFT + BETWEEN) / len(epochs) - BETWEEN, LONGEST)
    limits = _limits(rows)
    sheet.top += style.line_height(style.SMALL_SIZE)
    for index, row in enumerate(rows):
        for column, epoch in enumerate(epochs):
            left = MARGIN + LEFT + column * (side + BETWEEN)
            axes = sheet.axes(left, side, side)
            _draw_panel(axes, row, epoch, limits)
            axes.tick_params(labelleft=column == 0, labelbottom=index == len(rows) - 1)
            if index == 0:
                words = "end, " if epoch == epochs[-1] else ""
                axes.set_title(f"{words}epoch{NBSP}{epoch:g}", size=style.SMALL_SIZE, pad=2)
            if index == len(rows) - 1:
                axes.set_xlabel("teacher (logit)", size=style.SMALL_SIZE)
            if column == 0:
                axes.set_ylabel(row.label, size=style.SMALL_SIZE)
        sheet.top += side + BETWEEN
    sheet.top += BELOW + GAP
    return sheet.finish()


def _rows(analyses: dict[str, Analysis]) -> list[Row]:
    """Return the reference, the student without a switch, then those with one."""
    by_setting: dict[str, dict[float, Analysis]] = {}
    for name, analysis in analyses.items():
        setting, at, _ = name.rpartition(AT)
        if at:
            by_setting.setdefault(setting, {})[float(analysis.about["epoch"])] = analysis
    for name in by_setting.keys() & analyses:
        by_setting[name][float(analyses[name].about["epochs"])] = analyses[name]
    found = [dict(sorted(dated.items())) for dated in by_setting.values()]
    if not found:
        return []
    rows = {ALONE: Row(ALONE, REFERENCE, found[0])}
    plain = [dated for dated in found if _never_switches(dated) == STUDENT]
    for dated in [*plain, *(dated for dated in found if _never_switches(dated) is None)]:
        rows.setdefault(_label(dated), Row(_label(dated), STUDENT, dated))
    return list(rows.values())


def _never_switches(dated: dict[float, Analysis]) -> str | None:
    return unswitched(next(iter(dated.values())))


def _label(dated: dict[float, Analysis]) -> str:
    """Return what a setting's student is trained on."""
    if _never_switches(dated) == STUDENT:
        return PLAIN
    switch = next(iter(dated.values())).about["switch"]
    words = (ALONE, PLAIN)
    first, then = words if switch["order"] == ONE_HOT_FIRST else words[::-1]
    return f"{first}, then\n{then} from{NBSP}{switch['at']:g}"


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the limits of all panels: those of the widest."""
    found = [plot_limits(a.splits[SPLIT]) for row in rows for a in row.analyses.values()]
    return min(low for low, _ in found), max(high for _, high in found)


def _draw_panel(axes: Axes, row: Row, epoch: float, limits: tuple[float, float]) -> None:
    """Draw one arm at one epoch, with its gap in the teacher's lowest decile in numbers."""
    analysis = row.analyses[epoch]
    axes.set(xlim=limits, ylim=limits)
    if not draw_plot(axes, analysis, SPLIT, row.model):
        return
    inset = INSET * (limits[1] - limits[0])
    ticks = even_ticks(limits[0] + inset, limits[1] - inset, MAX_TICKS)
    for which in "xy":
        put_ticks(axes, which, ticks, short_labels(ticks))
    estimate, low, high = analysis.number(BOTTOM_GAP, row.model, SPLIT)
    if math.isfinite(estimate):
        text = interval(estimate, low, high, NO_GAP).replace(f"{NBSP}[", "\n[")
        axes.text(
            0.97,
            0.04,
            text,
            transform=axes.transAxes,
            size=style.SMALL_SIZE,
            color=style.ROLES[row.model].colour,
            ha="right",
            va="bottom",
            linespacing=style.LINE_SPACING,
        )
