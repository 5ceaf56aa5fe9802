"""Figures with their captions; those of one kind share a caption."""

import base64
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from disobey.report.captions import Caption, render
from disobey.stores.layout import FIGURE_FORMATS

if TYPE_CHECKING:
    from disobey.stores.manifest import Manifest

# Figures are drawn for print; two of their pixels make one of the page.
PIXEL_RATIO = 2
PNG_SIZE = slice(16, 24)


@dataclass(frozen=True)
class Picture:
    """One figure: the picture itself, and where its PDF lies as seen from the page.

    Attributes
    ----------
    label : str
        Its setting, or its name where it shows the whole study.
    alt : str
        What it shows, for who cannot see it.
    uri : str
        The PNG as a data URI.
    width, height : int
        In CSS pixels.
    pdf : str
        Relative link.
    """

    label: str
    alt: str
    uri: str
    width: int
    height: int
    pdf: str


@dataclass
class Group:
    """Figures of one kind, with one caption."""

    kind: str
    caption: Caption
    pictures: list[Picture] = field(default_factory=list)


def gallery(figures: Iterable["Manifest"], captions: Path, page: Path) -> list[Group]:
    """Return all figures, grouped by kind.

    Parameters
    ----------
    figures : iterable of Manifest
        In the order of the study.
    captions : Path
        The folder of captions.
    page : Path
        The page, from which PDFs are linked.
    """
    groups: dict[tuple[str, str], Group] = {}
    for figure in figures:
        kind = figure.spec["figure"]
        caption = render(captions, kind, figure)
        group = groups.setdefault((kind, caption.shown + caption.folded), Group(kind, caption))
        group.pictures.append(_picture(figure, caption, page))
    return list(groups.values())


def _picture(figure: "Manifest", caption: Caption, page: Path) -> Picture:
    pdf, png = (figure.file(figure.id + suffix) for suffix in FIGURE_FORMATS)
    data = png.read_bytes()
    width, height = struct.unpack(">II", data[PNG_SIZE])
    per_setting = figure.id != figure.spec["figure"]
    label = ", ".join(figure.spec["settings"]) if per_setting else figure.id
    return Picture(
        label,
        f"{label}: {caption.summary}",
        f"data:image/png;base64,{base64.b64encode(data).decode()}",
        width // PIXEL_RATIO,
        height // PIXEL_RATIO,
        relative(pdf, page),
    )


def relative(path: Path, page: Path) -> str:
    """Return the address of a file as seen from the page."""
    return quote(Path(os.path.relpath(path, page.parent)).as_posix())
