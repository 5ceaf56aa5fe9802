"""The look of all figures: sizes, colours of the roles, wrapped text, reproducible files.

Figures are created with `matplotlib.figure.Figure`, never with pyplot, which needs a window system
and keeps every figure in a global list.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import RendererPdf
from matplotlib.collections import Collection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath

from disobey.analysis.names import (
    DOUBLE_LENGTH,
    EFFECT,
    PLACEBOS,
    REFERENCE,
    STUDENT,
    STUDENT_AT_1,
    TEACHER,
)
from disobey.numbers import NBSP

CM = 1 / 2.54
# Widths of one and of both columns of a two-column page; figures are drawn at printed size.
COLUMN_WIDTH, TWO_COLUMNS = 8.3 * CM, 17 * CM
POINT = 1 / 72
DPI = 300
# An artist with more points than this becomes an image in a PDF: each point costs about ten bytes,
# and drawing time whenever the page is shown.
MOST_VECTOR_POINTS = 500

FONT = "DejaVu Sans"
BASE_SIZE, TITLE_SIZE, SMALL_SIZE = 7.0, 7.5, 6.0
LINE_SPACING = 1.2
THIN, MEDIUM, BOLD = 0.5, 0.8, 1.2
MARKER_SIZE, BINNED_SIZE, SEED_SIZE = 3.4, 2.4, 1.5
# An estimate without an interval is drawn hollow: it must not look like a finding.
HOLLOW = "white"
INK, FAINT, BAND = "#1A1A1A", "#5F5F5F", "#F1F1F1"
# Opacity of the band of an interval.
SHADE = 0.18
# Any: matplotlib's type of a line style.
DASHED: Any = (0, (3, 2))


@dataclass(frozen=True)
class Role:
    """Name, colour and marks of a model in every figure."""

    label: str
    colour: str
    marker: str
    glyph: str


# After Okabe and Ito; the effect is darker, so that everybody can distinguish it from grey. Markers
# differ too, so that a black-and-white print is readable.
ROLES = {
    TEACHER: Role("teacher", "#0072B2", "D", "◆"),
    REFERENCE: Role("one-hot reference", "#6E6E6E", "s", "■"),
    STUDENT: Role("distilled student", "#D55E00", "o", "●"),
    EFFECT: Role("student − reference", "#5B2A6E", "^", "▲"),
}
# One-hot runs like the reference with one change: blues, except for the least rate and for the
# temperature, which is closest to distillation.
PLACEBO_ROLES = dict(
    zip(
        PLACEBOS,
        (
            Role("other batch order", "#4FA3D9", "v", "▼"),
            Role("learning rate × ¼", "#35AB94", "P", "✚"),
            Role("learning rate × ½", "#B4C2CB", "<", "◀"),
            Role("learning rate × 2", "#10243E", ">", "▶"),
            Role("label smoothing", "#6670E0", "d", "◊"),
            Role("one-hot at T", "#C2A83E", "X", "✖"),
        ),
        strict=True,
    )
)

# Other models with which a student is compared.
CONTROL_ROLES = {
    DOUBLE_LENGTH: Role("trained twice as long", "#117733", "h", "⬢"),
    STUDENT_AT_1: Role("student at T = 1", "#AA4499", "p", "⬟"),
}

# Orders of switched training; the one that begins with distillation has the student's colour. The
# other colour, also after Okabe and Ito, is distinct from the student's and the reference's.
DISTILLATION_FIRST, ONE_HOT_FIRST = "distillation_first", "one_hot_first"
ORDER_ROLES = {
    DISTILLATION_FIRST: Role("distillation first", ROLES[STUDENT].colour, ">", "▶"),
    ONE_HOT_FIRST: Role("one-hot first", "#CC79A7", "<", "◀"),
}

# From nearly white towards each model's full colour, on which lines must stay visible.
DENSITY = {
    STUDENT: LinearSegmentedColormap.from_list(STUDENT, ["#FBEADD", "#E08A4A"]),
    REFERENCE: LinearSegmentedColormap.from_list(REFERENCE, ["#EEEEEE", "#8F8F8F"]),
}

# Any: matplotlib's type for the keys changes with its version.
RC: Any = {
    "font.family": FONT,
    "font.size": BASE_SIZE,
    "mathtext.fontset": "dejavusans",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": SMALL_SIZE,
    "axes.labelpad": 2.0,
    "axes.titlesize": SMALL_SIZE,
    "axes.linewidth": THIN,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.labelsize": SMALL_SIZE,
    "ytick.labelsize": SMALL_SIZE,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "xtick.major.pad": 1.5,
    "ytick.major.pad": 1.5,
    "xtick.major.width": THIN,
    "ytick.major.width": THIN,
    "lines.linewidth": BOLD,
    "lines.markersize": MARKER_SIZE,
    "legend.fontsize": SMALL_SIZE,
    "legend.frameon": False,
    # Text stays text in a PDF: it is searchable, and the file stays small.
    "pdf.fonttype": 42,
}

# The user's matplotlibrc must not change figures; these two settings belong to the process.
OF_THE_PROCESS = ("backend", "date.epoch")
DEFAULTS: Any = {
    key: value for key, value in matplotlib.rcParamsDefault.items() if key not in OF_THE_PROCESS
}
styled = matplotlib.rc_context(DEFAULTS | RC)


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the printed width of one line of text, in inches."""
    if not text.strip():
        return 0.0
    font = FontProperties(family=FONT, weight=weight)
    return float(TextPath((0, 0), text, size=size, prop=font).get_extents().x1) * POINT


def line_height(size: float, lines: int = 1) -> float:
    """Return the height of ``lines`` lines of text, in inches."""
    return lines * size * LINE_SPACING * POINT


def wrap(text: str, width: float, size: float, weight: str = "normal") -> str:
    """Break text so that no line is wider than ``width`` inches.

    Lines break at spaces and at line breaks. A word that is wider than a line breaks at its
    no-break spaces (U+00A0), else after ``-``, ``_`` or ``.``, and as a last resort anywhere.
    """
    return "\n".join(_wrapped(line, width, size, weight) for line in text.split("\n"))


def _wrapped(text: str, width: float, size: float, weight: str) -> str:
    lines = [""]
    for word in text.split(" "):
        blank = " " if lines[-1] else ""
        if text_width(lines[-1] + blank + word, size, weight) <= width:
            lines[-1] += blank + word
        elif text_width(word, size, weight) <= width:
            lines.append(word)
        elif NBSP in word:
            lines += _wrapped(word.replace(NBSP, " "), width, size, weight).split("\n")
        else:
            lines += _broken(word, width, size, weight)
    return "\n".join(line for line in lines if line)


def _broken(word: str, width: float, size: float, weight: str) -> list[str]:
    """Break a word that is wider than a line."""
    lines = [""]
    for piece in re.findall(r"[^-_.]*[-_.]|[^-_.]+", word):
        fits = text_width(piece, size, weight) <= width
        for part in [piece] if fits else piece:
            if text_width(lines[-1] + part, size, weight) <= width:
                lines[-1] += part
            else:
                lines.append(part)
    return lines


def role_of(model: str) -> Role:
    """Return the look and the name of a model, including placebos and controls."""
    return (ROLES | PLACEBO_ROLES | CONTROL_ROLES)[model]


def handle(model: str, **options: Any) -> Line2D:
    """Return the legend entry of a model."""
    role = role_of(model)
    drawn = {"color": role.colour, "marker": role.marker, "label": role.label} | options
    return Line2D([], [], **drawn)


def null_line(axes: Axes, which: str, value: float, linewidth: float = MEDIUM) -> None:
    """Mark the value of the axis ``which`` that means no deviation by a dashed line."""
    draw = axes.axvline if which == "x" else axes.axhline
    draw(value, color=INK, linewidth=linewidth, linestyle=DASHED, zorder=1)


def band(axes: Axes, x: Any, low: Any, high: Any, colour: str, **options: Any) -> None:
    """Draw an interval along ``x`` as a shaded band."""
    look: dict[str, Any] = {"color": colour, "alpha": SHADE, "linewidth": 0} | options
    axes.fill_between(x, low, high, **look)


def curve(
    axes: Axes, x: np.ndarray, ends: np.ndarray, role: Role, gid: str, **options: Any
) -> None:
    """Draw a mean along ``x`` with its interval; ``ends`` are estimate, low and high (3, point)."""
    band(axes, x, ends[1], ends[2], role.colour)
    look: dict[str, Any] = {"linewidth": MEDIUM, "marker": role.marker, "markersize": SEED_SIZE}
    axes.plot(x, ends[0], color=role.colour, gid=gid, **look | options)


def estimate(
    axes: Axes, x: float, y: float, role: Role, gid: str, *, filled: bool, **options: Any
) -> None:
    """Draw the marker of a model, hollow if it has no interval."""
    look: dict[str, Any] = {"color": role.colour, "markersize": MARKER_SIZE, "gid": gid}
    look |= {"markerfacecolor": role.colour if filled else HOLLOW, "markeredgewidth": MEDIUM}
    axes.plot([x], [y], role.marker, **look | options)


def write(
    axes: Axes,
    text: str,
    at: tuple[float, float] = (0, 1),
    aside: tuple[float, float] = (0, 2),
    **options: Any,
) -> None:
    """Write small text ``aside`` points from a place, which is in shares of the axes' size."""
    look: dict[str, Any] = {"size": SMALL_SIZE, "va": "bottom", "linespacing": LINE_SPACING}
    where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(text, xy=at, xytext=aside, **where, **look | options)


@styled
def save(figure: Figure, pdf: Path, png: Path) -> None:
    """Write a figure as PDF and as PNG, without dates: the same figure gives the same bytes.

    Clouds of points are images in the PDF, see `rasterise_crowds`; text and axes stay vectors. File
    names may have any suffix, such as a temporary one.
    """
    rasterise_crowds(figure)
    with _small_images():
        undated = {"CreationDate": None, "Creator": None, "Producer": None}
        figure.savefig(pdf, format="pdf", dpi=DPI, metadata=undated)
        figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})


@contextlib.contextmanager
def _small_images() -> Iterator[None]:
    """Make an open PDF keep copies of the images of crowds instead of views of whole pages.

    matplotlib draws each crowd on an image of the whole page, crops it, and keeps the crop until
    the file is closed. The crop is a view and keeps the page: 40 crowds on a high page took 1 GB.
    """
    draw_image = RendererPdf.draw_image

    def draw_copy(self: RendererPdf, gc: Any, x: float, y: float, image: Any, *more: Any) -> None:
        draw_image(self, gc, x, y, image.copy(), *more)

    RendererPdf.draw_image = draw_copy  # type: ignore[method-assign]
    try:
        yield
    finally:
        RendererPdf.draw_image = draw_image  # type: ignore[method-assign]


def rasterise_crowds(figure: Figure) -> None:
    """Rasterise artists with more points than `MOST_VECTOR_POINTS` in vector formats."""
    for artist in figure.findobj(Artist):
        if _points(artist) > MOST_VECTOR_POINTS:
            artist.set_rasterized(True)


def _points(artist: Artist) -> int:
    """Count the points of a line, or the marks (or vertices, if more) of a collection."""
    if isinstance(artist, Line2D):
        return np.size(artist.get_xdata())
    if isinstance(artist, Collection):
        vertices = sum(np.shape(path.vertices)[0] for path in artist.get_paths())
        return max(vertices, len(np.atleast_2d(artist.get_offsets())))
    return 0
