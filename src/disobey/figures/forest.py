"""Forest plots: one row per setting, one panel per statistic, one lane per model.

In one column the name of a setting stands above its row, so that names of any length have room; in
two columns it stands left of the panels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from disobey.analysis.names import ALL, COMPARED
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.sheet import GAP, MARGIN, Sheet
from disobey.figures.sizes import size

LANE = 0.078
BODY_PADDING = 0.02
ROW_GAP = 0.03
PANEL_GAP = 0.13
TICKS = 0.13
LABEL_PAD = 3.0
SEED_OFFSET = 0.03
MARGIN_SHARE = 0.12
MAX_TICKS = 4
TICK_STEPS = [1, 2, 2.5, 4, 5, 10]
TICK_SPACE = 0.06
# Width of the names left of the panels.
NAMES = 1.5
# What the paper reports. Any: matplotlib's options are of all types.
PAPER_MARK: dict[str, Any] = {
    "color": style.INK, "marker": "x", "linestyle": "", "markersize": 2.6,
    "markeredgewidth": style.MEDIUM, "zorder": 5,
}  # fmt: skip
# Above this many settings the lower axis is out of sight: ticks stand at both ends.
TALL = 8

NOTE = (
    "Right of a name: seeds × test examples. Bars: 95 % intervals, each setting by itself "
    "(not adjusted for their number). Hollow: no interval."
)


@dataclass(frozen=True)
class Panel:
    """One column of a forest plot.

    Attributes
    ----------
    statistic : str
        Which statistic (`disobey.analysis.names`).
    label : str
        What the axis shows, with its unit.
    models : tuple of str
        One lane each, from top to bottom.
    null : float, optional
        The value that means "no deviation"; marked by a line.
    seeds : bool
        Whether each seed is shown as a dot.
    paper : bool
        Whether a cross shows what the paper reports, of an accuracy.
    share : float
        Width relative to the other panels.
    split, subset : str
        Of which examples.
    """

    statistic: str
    label: str
    models: tuple[str, ...] = COMPARED
    null: float | None = None
    seeds: bool = False
    paper: bool = False
    share: float = 1.0
    split: str = "test"
    subset: str = ALL

    def number(self, analysis: Analysis, model: str) -> tuple[float, float, float]:
        """Return estimate, low and high; NaN of a split that is not there."""
        if self.split not in analysis.splits:
            return (math.nan,) * 3
        return analysis.number(self.statistic, model, self.split, self.subset)

    def each(self, analysis: Analysis, model: str) -> list[float]:
        """Return the statistic of each seed."""
        if not self.seeds or self.split not in analysis.splits:
            return []
        of_seeds = analysis.seeds(self.statistic, model, self.split, self.subset)
        return [float(value) for value in of_seeds]

    def reported(self, analysis: Analysis, model: str) -> float:
        """Return what the paper reports; NaN where it is not shown or not reported."""
        return analysis.paper_accuracy(model, self.split) if self.paper else math.nan

    def name(self, analysis: Analysis, model: str) -> str:
        """Return what drawn elements are called."""
        of = self.subset if self.subset != ALL else self.split
        examples = "" if of == "test" else f" ({of})"
        return f"{self.statistic}{examples}/{model}/{analysis.setting}"


class Row:
    """Where a setting stands: inches below the top of the plot.

    Parameters
    ----------
    analysis : Analysis
    size : str
        How much data the row rests on.

    Attributes
    ----------
    top : float
        Where the setting's name begins.
    body, bottom : float
        Where its lanes begin and end.
    """

    def __init__(self, analysis: Analysis, size: str) -> None:
        self.analysis, self.size = analysis, size
        self.top = self.body = self.bottom = 0.0
        self.name = analysis.setting

    def place(self, top: float, lanes: int, width: float, *, beside: bool) -> float:
        """Put the row below ``top``, its name above or beside its lanes; return where it ends."""
        taken = style.text_width(self.size, style.SMALL_SIZE) + 2 * GAP
        name = style.wrap(
            self.analysis.setting, width - (2 * GAP if beside else taken), style.SMALL_SIZE
        )
        # Its size stands right of a name above the lanes, and below a name beside them.
        text = style.line_height(style.SMALL_SIZE, name.count("\n") + 1 + beside)
        body = lanes * LANE + BODY_PADDING
        self.name, self.top = name, top + ROW_GAP
        self.body = self.top if beside else self.top + text
        self.bottom = self.body + (max(body, text) if beside else body)
        return self.bottom

    def lane(self, index: int, lanes: int) -> float:
        """Return the height of one of several lanes, centred in the body."""
        return (self.body + self.bottom) / 2 + (index - (lanes - 1) / 2) * LANE


def draw_forest(
    sheet: Sheet,
    analyses: dict[str, Analysis],
    panels: Sequence[Panel],
    sized: Callable[[Analysis], str] = size,
) -> None:
    """Add a forest plot to a sheet.

    Parameters
    ----------
    sheet : Sheet
        Grows by the plot.
    analyses : dict of str to Analysis
        One row each, from top to bottom.
    panels : sequence of Panel
        From left to right.
    sized : callable
        Returns what stands right of a setting's name: how much data its row rests on.
    """
    lanes = max(len(panel.models) for panel in panels)
    names = NAMES if sheet.page > style.COLUMN_WIDTH else 0.0
    rows = [Row(analysis, sized(analysis)) for analysis in analyses.values()]
    height = 0.0
    for row in rows:
        height = row.place(height, lanes, names or sheet.width, beside=bool(names))
    free = sheet.width - names - PANEL_GAP * (len(panels) - 1)
    unit = free / sum(panel.share for panel in panels)
    labels = [style.wrap(panel.label, unit * panel.share, style.BASE_SIZE) for panel in panels]
    lines = max(label.count("\n") + 1 for label in labels)
    ticks_above = len(rows) > TALL
    sheet.top += style.line_height(style.BASE_SIZE, lines) + TICKS * ticks_above
    _names(sheet, rows, height, names or sheet.width)
    left = MARGIN + names
    for panel, label in zip(panels, labels, strict=True):
        axes = sheet.axes(left, unit * panel.share, height)
        axes.set_ylim(height, 0)
        axes.set_xlabel(label, labelpad=LABEL_PAD, linespacing=style.LINE_SPACING)
        _panel(axes, panel, rows, unit * panel.share)
        axes.tick_params(top=ticks_above, labeltop=ticks_above)
        left += unit * panel.share + PANEL_GAP
    sheet.top += height + TICKS + GAP


def _names(sheet: Sheet, rows: list[Row], height: float, width: float) -> None:
    axes = sheet.axes(MARGIN, width, height)
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(height, 0))
    for row in rows:
        common: dict[str, Any] = {
            "va": "top",
            "size": style.SMALL_SIZE,
            "linespacing": style.LINE_SPACING,
        }
        axes.text(0, row.top, row.name, **common)
        if row.body > row.top:
            axes.text(1, row.top, row.size, ha="right", color=style.FAINT, **common)
        else:
            below = style.line_height(style.SMALL_SIZE, row.name.count("\n") + 1)
            axes.text(0, row.top + below, row.size, color=style.FAINT, **common)


def _panel(axes: Axes, panel: Panel, rows: list[Row], width: float) -> None:
    axes.patch.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    axes.xaxis.set_label_position("top")
    # Labels of one and of two lines share their last line.
    axes.xaxis.label.set_verticalalignment("baseline")
    for row in rows:
        axes.axhspan(row.body, row.bottom, color=style.BAND, linewidth=0, zorder=0)
        if not any(math.isfinite(panel.number(row.analysis, m)[0]) for m in panel.models):
            _say_missing(axes, row)
            continue
        if panel.null is not None:
            axes.vlines(panel.null, row.body, row.bottom, style.INK, linewidth=style.MEDIUM)
        for index, model in enumerate(panel.models):
            _lane(axes, panel, row, model, row.lane(index, len(panel.models)))
    _scale(axes, _shown(panel, rows), width)


def _say_missing(axes: Axes, row: Row) -> None:
    axes.text(
        0.5,
        row.lane(0, 1),
        "no estimate",
        transform=axes.get_yaxis_transform(),
        size=style.SMALL_SIZE,
        color=style.FAINT,
        ha="center",
        va="center",
    )


def _lane(axes: Axes, panel: Panel, row: Row, model: str, height: float) -> None:
    role = style.ROLES[model]
    name = panel.name(row.analysis, model)
    estimate, low, high = panel.number(row.analysis, model)
    decided = math.isfinite(low) and math.isfinite(high)
    if panel.seeds:
        each = panel.each(row.analysis, model)
        below = np.full(len(each), height + SEED_OFFSET)
        dots: dict[str, Any] = {"markersize": style.SEED_SIZE, "markeredgewidth": 0, "alpha": 0.7}
        axes.plot(each, below, "o", color=role.colour, gid=f"seeds/{name}", **dots)
    axes.plot([low, high], [height, height], color=role.colour, gid=f"interval/{name}")
    axes.plot(
        [estimate],
        [height],
        role.marker,
        color=role.colour,
        markerfacecolor=role.colour if decided else style.HOLLOW,
        markeredgewidth=style.MEDIUM,
        gid=f"estimate/{name}",
    )
    reported = panel.reported(row.analysis, model)
    if math.isfinite(reported):
        axes.plot([reported], [height], **PAPER_MARK, gid=f"paper/{name}")


def _shown(panel: Panel, rows: list[Row]) -> list[float]:
    """Return all numbers that a panel has to make room for."""
    shown = [] if panel.null is None else [panel.null]
    drawn = [(row.analysis, model) for row in rows for model in panel.models]
    for analysis, model in drawn:
        numbers = [*panel.number(analysis, model), panel.reported(analysis, model)]
        numbers += panel.each(analysis, model)
        shown += [number for number in numbers if math.isfinite(number)]
    return shown


def _scale(axes: Axes, shown: list[float], width: float) -> None:
    """Leave room around all numbers, and put as many ticks as have room for their labels."""
    if not shown:
        axes.set_xticks([])
        return
    spread = max(shown) - min(shown) or 1.0
    low = min(shown) - MARGIN_SHARE * spread
    high = max(shown) + MARGIN_SHARE * spread
    axes.set_xlim(low, high)
    axes.set_xticks(*_ticks(low, high, width))


def _ticks(low: float, high: float, width: float) -> tuple[list[float], list[str]]:
    """Choose as many ticks as fit, and their labels; none reaches into the next panel."""
    best: tuple[list[float], list[str]] = ([], [])
    for bins in range(1, 2 * MAX_TICKS):
        proposed = MaxNLocator(bins, steps=TICK_STEPS, min_n_ticks=1).tick_values(low, high)
        ticks = [float(tick) for tick in proposed if low <= tick <= high]
        # Twice, because without its outer ticks a scale may need fewer decimals.
        for _ in range(2):
            needed = max((_label_width(label) for label in style.tick_labels(ticks)), default=0)
            inner = max(0.0, (needed - PANEL_GAP + TICK_SPACE) / 2) * (high - low) / width
            ticks = [tick for tick in ticks if low + inner <= tick <= high - inner]
        apart = (proposed[1] - proposed[0]) / (high - low) * width
        if len(best[0]) < len(ticks) <= MAX_TICKS and needed + TICK_SPACE <= apart:
            best = (ticks, style.tick_labels(ticks))
    return best


def _label_width(label: str) -> float:
    return style.text_width(label, style.SMALL_SIZE)
