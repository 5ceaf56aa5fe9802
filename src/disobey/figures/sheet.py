"""A page that grows downwards: text and panels are stacked, then it gets its height.

Positions are in inches, so that a figure of thirty settings has the type size of one of a single
setting, and nothing is squeezed to fit.
"""

import itertools
import string
from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from disobey.figures import style

MARGIN = 0.04
GAP = 0.05
LEGEND_HANDLE = 0.18
LEGEND_GAP = 0.09
# Width of a panel's letter and the blank after it.
LETTER = 0.11


class Sheet:
    """A figure in the making.

    Parameters
    ----------
    page : float
        Width of the page in inches; one column without it.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        The figure; complete after `finish`.
    page : float
        Width of the page, in inches.
    top : float
        How far down, in inches, the sheet is filled.
    letters : iterator of str
        The letters of its panels, in order.
    """

    def __init__(self, page: float = style.COLUMN_WIDTH) -> None:
        self.page = page
        self.figure = Figure(figsize=(page, page))
        self.top = MARGIN
        # Panels after the 26th have none.
        self.letters = itertools.chain(string.ascii_lowercase, itertools.repeat(""))
        self._texts: list[tuple[Text, float]] = []
        self._axes: list[tuple[Axes, float, float, float, float]] = []

    @property
    def width(self) -> float:
        """What lies between the margins, in inches."""
        return self.page - 2 * MARGIN

    def write(
        self,
        text: str,
        *,
        size: float = style.SMALL_SIZE,
        weight: str = "normal",
        colour: str = style.INK,
        letter: bool = False,
    ) -> None:
        """Add a paragraph over the whole width, after the next panel's letter if asked for."""
        indent = LETTER if letter else 0.0
        wrapped = style.wrap(text, self.width - indent, size, weight)
        parts = [(indent, wrapped, weight)]
        if letter:
            parts.append((0.0, next(self.letters), "bold"))
        for left, part, heavy in parts:
            drawn = self.figure.text(
                (MARGIN + left) / self.page,
                0,
                part,
                size=size,
                weight=heavy,
                color=colour,
                va="top",
                linespacing=style.LINE_SPACING,
            )
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

    def legend(self, handles: Sequence[Artist], left: float = MARGIN) -> None:
        """Add a legend ``left`` inches from the edge, in as many rows as its entries need."""
        rows: list[list[Artist]] = [[]]
        used = 0.0
        for entry in handles:
            text = style.text_width(str(entry.get_label()), style.SMALL_SIZE)
            needed = LEGEND_HANDLE + LEGEND_GAP + text
            if rows[-1] and used + needed > self.page - MARGIN - left:
                rows.append([])
                used = 0.0
            rows[-1].append(entry)
            used += needed
        for row in rows:
            self._legend_row(row, left)
        self.top += GAP

    def _legend_row(self, row: list[Artist], left: float) -> None:
        height = style.line_height(style.SMALL_SIZE)
        axes = self.axes(left, self.page - MARGIN - left, height)
        axes.set_axis_off()
        points = 1 / (style.SMALL_SIZE * style.POINT)
        axes.legend(
            handles=row,
            loc="upper left",
            ncols=len(row),
            borderpad=0,
            borderaxespad=0,
            handlelength=LEGEND_HANDLE * 0.75 * points,
            handletextpad=LEGEND_HANDLE * 0.25 * points,
            columnspacing=LEGEND_GAP * points,
        )
        self.top += height

    def finish(self) -> Figure:
        """Give the figure its height and put everything in its place."""
        height = self.top + MARGIN
        self.figure.set_size_inches(self.page, height)
        for text, top in self._texts:
            text.set_y(1 - top / height)
        for axes, left, top, width, tall in self._axes:
            axes.set_position(
                (
                    left / self.page,
                    1 - (top + tall) / height,
                    width / self.page,
                    tall / height,
                )
            )
        # Ticks are made when they are first drawn: they must be made in this style.
        self.figure.draw_without_rendering()
        return self.figure
