"""A page that grows downwards: text and panels are stacked, then the page gets its height.

Positions are in inches, so that figures of one and of thirty settings have the same type size.
"""

import itertools
import string
from collections.abc import Sequence
from typing import Any

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
    """A figure to which text and panels are added from top to bottom.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        Complete after `finish`.
    page : float
        Width of the page, in inches.
    top : float
        The height that is filled, in inches from the top.
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
        colour: str = style.INK,
        letter: bool = False,
    ) -> None:
        """Add a paragraph over the whole width, after the next panel's letter if asked for."""
        indent = LETTER if letter else 0.0
        wrapped = style.wrap(text, self.width - indent, size, weight)
        parts = [(indent, wrapped, weight)]
        if letter:
            parts.append((0.0, next(self.letters), "bold"))
        look: dict[str, Any] = {"va": "top", "linespacing": style.LINE_SPACING, "size": size}
        for left, part, heavy in parts:
            x = (MARGIN + left) / self.page
            drawn = self.figure.text(x, 0, part, weight=heavy, color=colour, **look)
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
        for row in rows:
            self._legend_row(row)
        self.top += GAP

    def _legend_row(self, row: list[Artist]) -> None:
        height = style.line_height(style.SMALL_SIZE)
        axes = self.axes(MARGIN, self.width, height)
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
            down = 1 - (top + tall) / height
            axes.set_position((left / self.page, down, width / self.page, tall / height))
        # Ticks are made when they are first drawn: they must be made in this style.
        self.figure.draw_without_rendering()
        return self.figure
