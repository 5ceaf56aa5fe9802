"""Rows of small panels on a sheet, and their scales: few ticks, short labels. Sizes in inches."""

import math
from collections.abc import Iterable, Sequence
from itertools import product

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from disobey.figures import style
from disobey.figures.sheet import GAP, LETTER, MARGIN, Sheet

LEFT, RIGHT, BELOW = 0.39, 0.06, 0.26
# The most panels side by side on a page of one column, and on one of two.
NARROW, WIDE = 2, 4
HEIGHT = 0.85
# Heights of a single panel and of a few.
TALL, MIDDLE = 1.6, 1.1
# Room on either side of the numbers, as a share of the scale.
ROOM = 0.08
# Relative width of the scale of a constant.
LEAST_SPREAD = 1e-3
MAX_TICKS = 4
STEPS = [1, 2, 5, 10]
# Where these give a single tick, which shows no scale.
MORE_STEPS = [1, 2, 4, 5, 10]
# On a logarithmic scale, from fine to coarse: what is labelled within each decade.
DECADES = ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))
LONGEST_LABEL = 6
# Least distance between labels of an axis, in inches.
LABEL_SPACE = 0.05


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
    sheet : Sheet
        Grows by the rows.
    heads : sequence of str
        One for each panel, row by row; wrapped to the width of a cell.
    columns : int
        The number of panels side by side.
    height, left, below : float
        Height of the axes; room for the labels of both axes.
    indent : float
        Room at the left of all panels.
    lettered : bool
        Whether panels get letters; a single one gets none.
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
    """Return how many panels, at most ``most``, are side by side in even rows."""
    rows = -(-panels // most)
    return -(-panels // rows)


def page_of(panels: int) -> tuple[int, float, float]:
    """Return the number of columns, the width of the page and the height of axes, in inches."""
    if panels == 1:
        return 1, style.COLUMN_WIDTH, TALL
    if panels <= NARROW:
        return panels, style.COLUMN_WIDTH, MIDDLE
    return min(WIDE, panels), style.TWO_COLUMNS, MIDDLE


def draw_grid(
    title: str, heads: Sequence[str], handles: Sequence[Artist], below: float = BELOW
) -> tuple[Sheet, list[Axes], int]:
    """Start a figure that is one grid of panels, on a page that suits their number.

    Returns
    -------
    sheet : Sheet
    axes : list of matplotlib.axes.Axes
    columns : int
    """
    columns, page, height = page_of(len(heads))
    sheet = Sheet(page)
    sheet.title(title)
    sheet.legend(handles)
    return sheet, grid(sheet, heads, columns, height=height, below=below), columns


def write_head(axes: Axes, head: str, left: float, letter: str = "", up: float = 0.0) -> None:
    """Write a heading above axes, ``left`` inches before them and ``up`` inches higher.

    A letter is written before its first line.
    """
    height = 2 + up / style.POINT
    if letter:
        above = style.line_height(style.SMALL_SIZE, head.count("\n")) / style.POINT
        style.write(axes, letter, aside=(-left / style.POINT, height + above), weight="bold")
        left -= LETTER
    style.write(axes, head, aside=(-left / style.POINT, height))


def say(axes: Axes, text: str = "no estimate") -> None:
    """Write in an empty panel why it is empty."""
    axes.set(xticks=[], yticks=[])
    style.write(axes, text, (0.5, 0.5), (0, 0), color=style.FAINT, ha="center", va="center")


def scale(
    axes: Axes,
    which: str,
    shown: Iterable[float],
    *,
    log: bool = False,
    width: float | None = None,
) -> None:
    """Give the axis ``which`` limits with room around all finite numbers, and ticks.

    Parameters
    ----------
    shown : iterable of float
        The numbers; on a logarithmic scale only positive ones count.
    log : bool
        Whether the scale is logarithmic.
    width : float, optional
        Length of the axis in inches; with it, labels that have no room are left out.
    """
    known = [float(value) for value in shown if math.isfinite(value) and (value > 0 or not log)]
    if not known:
        return
    low, high = limits(min(known), max(known), log=log)
    if log:
        axes.set(**{f"{which}scale": "log"})
    axes.set(**{f"{which}lim": (low, high)})
    ticks = ratio_ticks(low, high) if log else even_ticks(low, high)
    if width is None:
        put_ticks(axes, which, ticks, short_labels(ticks))
    else:
        ticks_at(axes, which, ticks, width, short_labels(ticks))


def put_ticks(axes: Axes, which: str, ticks: Sequence[float], labels: Sequence[str]) -> None:
    """Put ticks with these labels, and no others, on the axis ``which``."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_major_formatter(FixedFormatter(list(labels)))
    axis.set_minor_locator(NullLocator())


def limits(low: float, high: float, *, log: bool = False) -> tuple[float, float]:
    """Return the limits of a scale with room around the numbers from ``low`` to ``high``."""
    if log:
        lower, upper = limits(math.log(low), math.log(high))
        return math.exp(lower), math.exp(upper)
    least = LEAST_SPREAD * (max(abs(low), abs(high)) or 1.0)
    room = max(ROOM * (high - low), least)
    return low - room, high + room


def even_ticks(low: float, high: float, most: int = MAX_TICKS) -> list[float]:
    """Return round numbers between two limits, as many as may be."""
    best: list[float] = []
    for steps, bins in product((STEPS, MORE_STEPS), range(1, 2 * most)):
        if steps is MORE_STEPS and len(best) > 1:
            break
        proposed = MaxNLocator(bins, steps=steps, min_n_ticks=1).tick_values(low, high)
        # Rounding would print a tick at 0 as -0.
        ticks = [float(tick) + 0.0 for tick in proposed if low <= tick <= high]
        if len(best) < len(ticks) <= most:
            best = ticks
    return best


def ratio_ticks(low: float, high: float, most: int = MAX_TICKS) -> list[float]:
    """Return round numbers for a logarithmic scale: even ones where it is short."""
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
    """Return labels of ticks that fit beside a small panel."""
    labels = style.tick_labels(ticks)
    if max(map(len, labels), default=0) <= LONGEST_LABEL:
        return labels
    return [short(tick) for tick in ticks]


def short(value: float) -> str:
    """Return a number by itself in as few characters as may be, such as 0.5, 40 or 2.5e−4."""
    mantissa, exponent, power = f"{value:.3g}".partition("e")
    text = mantissa + (exponent and f"e{int(power)}")
    if len(text) > LONGEST_LABEL:
        mantissa, _, power = f"{value:.3e}".partition("e")
        text = f"{float(mantissa):g}e{int(power)}"
    return text.replace("-", "−")


def ticks_at(
    axes: Axes, which: str, places: Sequence[float], width: float, labels: Sequence[str] = ()
) -> None:
    """Put ticks where there are data, and label as many of them as have room.

    The ends are labelled first, because they show how far the data reach.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Its scale and limits are set already.
    which : str
    places : sequence of float
        In ascending order.
    width : float
        Length of the axis, in inches.
    labels : sequence of str
        One for each place; the numbers themselves if empty.
    """
    texts = list(labels) or [short(place) for place in places]
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_transform().transform(sorted(axis.get_view_interval()))
    inches = [
        float((at - low) / (high - low) * width) for at in axis.get_transform().transform(places)
    ]
    labelled: list[int] = []
    for index in sorted(range(len(places)), key=lambda i: (0 < i < len(places) - 1, i)):
        if all(_apart(inches, texts, index, other) for other in labelled):
            labelled.append(index)
    shown = [text if index in labelled else "" for index, text in enumerate(texts)]
    put_ticks(axes, which, places, shown)


def _apart(inches: Sequence[float], texts: Sequence[str], one: int, other: int) -> bool:
    widths = [style.text_width(texts[index], style.SMALL_SIZE) for index in (one, other)]
    return abs(inches[one] - inches[other]) >= sum(widths) / 2 + LABEL_SPACE
