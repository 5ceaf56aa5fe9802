"""Pages of figures: stacked text and rows of small panels, which determine the page's height.

Positions are in inches, so the type size is the same in figures of one and of thirty settings.
"""

import itertools
import math
import string
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from disobey.figures import style
from disobey.numbers import number

MARGIN = 0.04
GAP = 0.05
LEGEND_HANDLE = 0.18
LEGEND_GAP = 0.09
# Width of a panel's letter and the space after it.
LETTER = 0.11
# Margins for the labels of a panel's axes, and the height of a panel.
LEFT, RIGHT, BELOW = 0.39, 0.06, 0.26
HEIGHT = 0.85
# Margin on either side of the numbers, as a share of the scale.
ROOM = 0.08
# Relative width of the scale if all numbers are equal.
LEAST_SPREAD = 1e-3
MAX_TICKS = 4
STEPS = [1, 2, 5, 10]
# Used if the others give a single tick, which shows no scale.
MORE_STEPS = [1, 2, 4, 5, 10]
# Labelled multiples within each decade of a logarithmic scale, from fine to coarse.
DECADES = ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))
LONGEST_LABEL = 6
# Least distance between labels of an axis, in inches.
LABEL_SPACE = 0.05


class Sheet:
    """A figure to which text and panels are added from top to bottom.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        Complete after `finish`.
    page : float
        Width of the page, in inches.
    top : float
        The filled height, in inches from the top of the page.
    letters : iterator of str
        The letters of the panels, in order; panels after the 26th have none.
    """

    def __init__(self, page: float = style.COLUMN_WIDTH) -> None:
        self.page = page
        self.figure = Figure(figsize=(page, page))
        self.top = MARGIN
        self.letters = itertools.chain(string.ascii_lowercase, itertools.repeat(""))
        self._texts: list[tuple[Text, float]] = []
        self._axes: list[tuple[Axes, float, float, float, float]] = []

    @property
    def width(self) -> float:
        """The width between the margins, in inches."""
        return self.page - 2 * MARGIN

    def write(
        self,
        text: str,
        *,
        size: float = style.SMALL_SIZE,
        weight: str = "normal",
        letter: bool = False,
    ) -> None:
        """Add a paragraph over the whole width, optionally after the next panel's letter."""
        indent = LETTER if letter else 0.0
        wrapped = style.wrap(text, self.width - indent, size, weight)
        parts = [(indent, wrapped, weight)]
        if letter:
            parts.append((0.0, next(self.letters), "bold"))
        look: dict[str, Any] = {"va": "top", "linespacing": style.LINE_SPACING, "size": size}
        for left, part, heavy in parts:
            drawn = self.figure.text((MARGIN + left) / self.page, 0, part, weight=heavy, **look)
            self._texts.append((drawn, self.top))
        self.top += style.line_height(size, wrapped.count("\n") + 1) + GAP

    def title(self, text: str) -> None:
        """Add the subject of the figure."""
        self.write(text, size=style.TITLE_SIZE, weight="bold")

    def axes(self, left: float, width: float, height: float, *, down: float = 0.0) -> Axes:
        """Add axes ``down`` inches below `top`; `top` stays where it is."""
        made = self.figure.add_axes((0.0, 0.0, 1.0, 1.0), label=str(len(self._axes)))
        self._axes.append((made, left, self.top + down, width, height))
        return made

    def legend(self, handles: Sequence[Artist]) -> None:
        """Add a legend in as many rows as its entries need."""
        rows: list[list[Artist]] = [[]]
        used = 0.0
        for entry in handles:
            text = style.text_width(str(entry.get_label()), style.SMALL_SIZE)
            needed = LEGEND_HANDLE + LEGEND_GAP + text
            if rows[-1] and used + needed > self.width:
                rows.append([])
                used = 0.0
            rows[-1].append(entry)
            used += needed
        height, inch = style.line_height(style.SMALL_SIZE), 1 / (style.SMALL_SIZE * style.POINT)
        look: dict[str, Any] = {
            "loc": "upper left", "borderpad": 0, "borderaxespad": 0,
            "handlelength": LEGEND_HANDLE * 0.75 * inch,
            "handletextpad": LEGEND_HANDLE * 0.25 * inch, "columnspacing": LEGEND_GAP * inch,
        }  # fmt: skip
        for row in rows:
            axes = self.axes(MARGIN, self.width, height)
            axes.set_axis_off()
            axes.legend(handles=row, ncols=len(row), **look)
            self.top += height
        self.top += GAP

    def finish(self) -> Figure:
        """Set the height of the figure and place everything on it."""
        height = self.top + MARGIN
        self.figure.set_size_inches(self.page, height)
        for text, top in self._texts:
            text.set_y(1 - top / height)
        for axes, left, top, width, tall in self._axes:
            down = 1 - (top + tall) / height
            axes.set_position((left / self.page, down, width / self.page, tall / height))
        # Ticks are created when they are first drawn: draw them once in this style.
        self.figure.draw_without_rendering()
        return self.figure


# --- panels -----------------------------------------------------------------------------------


def grid(
    sheet: Sheet,
    heads: Sequence[str],
    columns: int,
    *,
    height: float = HEIGHT,
    left: float = LEFT,
    below: float = BELOW,
    indent: float = 0.0,
    lettered: bool = True,
) -> list[Axes]:
    """Add rows of panels to a sheet, each under its own heading, and return their axes in order.

    Parameters
    ----------
    heads : sequence of str
        One per panel, row by row; wrapped to the width of a cell.
    columns : int
        The number of panels side by side.
    height, left, below : float
        Height of the axes, and the margins for the labels of both axes.
    indent : float
        Margin left of all panels.
    lettered : bool
        True if panels get letters; a single panel gets none.
    """
    cell = (sheet.width - indent) / columns
    lettered = lettered and len(heads) > 1
    room = cell - RIGHT - LETTER * lettered
    wrapped = [style.wrap(head, room, style.SMALL_SIZE) for head in heads]
    made = []
    for start in range(0, len(heads), columns):
        row = wrapped[start : start + columns]
        above = style.line_height(style.SMALL_SIZE, max(head.count("\n") + 1 for head in row))
        for column, head in enumerate(row):
            edge = MARGIN + indent + column * cell + left
            axes = sheet.axes(edge, cell - left - RIGHT, height, down=above)
            write_head(axes, head, left, next(sheet.letters) if lettered else "")
            made.append(axes)
        sheet.top += above + height + below + GAP
    return made


def columns_of(panels: int, most: int) -> int:
    """Return the number of columns, at most ``most``, that makes the rows even."""
    rows = -(-panels // most)
    return -(-panels // rows)


def write_head(axes: Axes, head: str, left: float, letter: str = "", up: float = 0.0) -> None:
    """Write a heading above axes, shifted ``left`` and ``up`` by these numbers of inches.

    A letter is written before the first line of the heading.
    """
    height = 2 + up / style.POINT
    if letter:
        above = style.line_height(style.SMALL_SIZE, head.count("\n")) / style.POINT
        style.write(axes, letter, aside=(-left / style.POINT, height + above), weight="bold")
        left -= LETTER
    style.write(axes, head, aside=(-left / style.POINT, height))


def say(axes: Axes, text: str = "no estimate", at: tuple[float, float] = (0.5, 0.5)) -> None:
    """Write the reason why a panel, or a part of it, is empty."""
    axes.set(xticks=[], yticks=[])
    style.write(axes, text, at, (0, 0), color=style.FAINT, ha="center", va="center")


# --- scales: few ticks, short labels ----------------------------------------------------------


def scale(
    axes: Axes,
    which: str,
    shown: Iterable[float],
    *,
    log: bool = False,
    width: float | None = None,
    inset: float = 0.0,
) -> None:
    """Set limits with margins around all finite numbers, and ticks, on the axis ``which``.

    Parameters
    ----------
    shown : iterable of float
        The numbers; on a logarithmic scale only positive ones count.
    width : float, optional
        Length of the axis in inches; if given, labels that do not fit are left out.
    inset : float
        Share of a linear scale without ticks at either end.
    """
    known = [float(value) for value in shown if math.isfinite(value) and (value > 0 or not log)]
    if not known:
        return
    low, high = limits(min(known), max(known), log=log)
    if log:
        axes.set(**{f"{which}scale": "log"})
    axes.set(**{f"{which}lim": (low, high)})
    aside = inset * (high - low)
    ticks = ratio_ticks(low, high) if log else even_ticks(low + aside, high - aside)
    put_ticks(axes, which, ticks, width=width)


def put_ticks(
    axes: Axes,
    which: str,
    ticks: Sequence[float],
    labels: Sequence[str] | None = None,
    width: float | None = None,
) -> None:
    """Replace the ticks of the axis ``which``.

    Parameters
    ----------
    ticks : sequence of float
        In ascending order.
    labels : sequence of str, optional
        One per tick; by default `short_labels`.
    width : float, optional
        Length of the axis in inches; if given, its scale and limits must be set, and labels that do
        not fit are left out. The ends are labelled first, to show the range of the data.
    """
    texts = short_labels(ticks) if labels is None else list(labels)
    axis = axes.xaxis if which == "x" else axes.yaxis
    if width is not None:
        transform = axis.get_transform().transform
        low, high = transform(sorted(axis.get_view_interval()))
        at = [float((place - low) / (high - low) * width) for place in transform(ticks)]
        half = [style.text_width(text, style.SMALL_SIZE) / 2 for text in texts]
        kept: list[int] = []
        for i in sorted(range(len(ticks)), key=lambda i: (0 < i < len(ticks) - 1, i)):
            if all(abs(at[i] - at[j]) >= half[i] + half[j] + LABEL_SPACE for j in kept):
                kept.append(i)
        texts = [text if i in kept else "" for i, text in enumerate(texts)]
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_major_formatter(FixedFormatter(texts))
    axis.set_minor_locator(NullLocator())


def limits(low: float, high: float, *, log: bool = False) -> tuple[float, float]:
    """Return the limits of a scale with margins around the numbers from ``low`` to ``high``."""
    if log:
        lower, upper = limits(math.log(low), math.log(high))
        return math.exp(lower), math.exp(upper)
    least = LEAST_SPREAD * (max(abs(low), abs(high)) or 1.0)
    room = max(ROOM * (high - low), least)
    return low - room, high + room


def even_ticks(low: float, high: float, most: int = MAX_TICKS) -> list[float]:
    """Return as many round numbers between two limits as possible, at most ``most``."""
    best: list[float] = []
    for steps, bins in itertools.product((STEPS, MORE_STEPS), range(1, 2 * most)):
        if steps is MORE_STEPS and len(best) > 1:
            break
        proposed = MaxNLocator(bins, steps=steps, min_n_ticks=1).tick_values(low, high)
        # Rounding could print a tick at 0 as -0.
        ticks = [float(tick) + 0.0 for tick in proposed if low <= tick <= high]
        if len(best) < len(ticks) <= most:
            best = ticks
    return best


def ratio_ticks(low: float, high: float, most: int = MAX_TICKS) -> list[float]:
    """Return round numbers for a logarithmic scale, evenly spaced if the scale is short."""
    if high / low < DECADES[0][1] ** 2:
        return [tick for tick in even_ticks(low, high, most) if tick > 0]
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits in DECADES:
        proposed = [digit * 10.0**power for power in range(first, last + 1) for digit in digits]
        ticks = [tick for tick in proposed if low <= tick <= high]
        if len(ticks) <= most:
            return ticks
    every = -(-len(ticks) // most)
    return ticks[::-1][::every][::-1]


def short_labels(ticks: Sequence[float]) -> list[str]:
    """Return labels that fit beside a small panel, with equal decimals if they are short."""
    decimals = max((len(f"{tick:.4g}".partition(".")[2]) for tick in ticks), default=0)
    labels = [number(tick, decimals) for tick in ticks]
    fit = max(map(len, labels), default=0) <= LONGEST_LABEL
    return labels if fit else [short(tick) for tick in ticks]


def short(value: float) -> str:
    """Return a number in as few characters as possible, such as 0.5, 40 or 2.5e−4."""
    mantissa, exponent, power = f"{value:.3g}".partition("e")
    text = mantissa + (exponent and f"e{int(power)}")
    if len(text) > LONGEST_LABEL:
        mantissa, _, power = f"{value:.3e}".partition("e")
        text = f"{float(mantissa):g}e{int(power)}"
    return text.replace("-", "−")
