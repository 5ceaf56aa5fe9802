"""Figures with their captions: reStructuredText with Jinja, as in ``snakemake --report``."""

import base64
import os
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from disobey.errors import UserError
from disobey.stores.layout import FIGURE_FORMATS
from disobey.stores.manifest import Manifest

if TYPE_CHECKING:
    from markupsafe import Markup

# Figures are drawn for print; two of their pixels are one pixel of the page.
PIXEL_RATIO = 2
PNG_SIZE = slice(16, 24)
# The severity of a warning in docutils, from which it would put messages on the page.
WARNING = 2


@dataclass(frozen=True)
class Caption:
    """A rendered caption.

    Attributes
    ----------
    title : str
        The heading of the file; empty if it has none.
    shown, folded : Markup
        The first paragraph, on the content and how to read it, and the other paragraphs, on the
        paper's results and our choices. Escaped by docutils.
    summary : str
        The first sentence as plain text.
    """

    title: str
    shown: "Markup"
    folded: "Markup"
    summary: str


@dataclass(frozen=True)
class Picture:
    """One figure: the picture itself, and the address of its PDF relative to the page.

    ``label`` is its setting, or its name if it shows the whole study, ``alt`` is a description for
    readers who cannot see it, and ``uri`` is the PNG as a data URI. Sizes are in CSS pixels.
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


def gallery(figures: Iterable[Manifest], captions: Path, page: Path) -> list[Group]:
    """Return all figures, grouped by kind, with their captions; PDFs are linked from ``page``."""
    groups: dict[tuple[str, str], Group] = {}
    for figure in figures:
        kind = figure.spec["figure"]
        caption = render(captions, kind, figure)
        group = groups.setdefault((kind, caption.shown + caption.folded), Group(kind, caption))
        group.pictures.append(_picture(figure, caption, page))
    return list(groups.values())


def _picture(figure: Manifest, caption: Caption, page: Path) -> Picture:
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
    """Return the address of a file relative to the page."""
    return quote(Path(os.path.relpath(path, page.parent)).as_posix())


# --- captions ----------------------------------------------------------------------------------


def render(folder: Path, kind: str, figure: Manifest) -> Caption:
    """Render ``<kind>.rst``, the caption of a figure.

    The template may use the figure's study and name, under Snakemake's names for them. A missing or
    malformed caption is refused.
    """
    path = folder / f"{kind}.rst"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such caption; write what the figure {kind} shows there, or name the "
            f"folder of captions by --captions"
        ) from None
    return to_html(_fill_in(text, path, figure), path)


def _fill_in(text: str, path: Path, figure: Manifest) -> str:
    from jinja2 import Environment, StrictUndefined, TemplateError

    wildcards = SimpleNamespace(study=figure.spec["study"], figure=figure.id)
    params = SimpleNamespace(spec=figure.spec, code=figure.record["code"])
    snakemake = SimpleNamespace(wildcards=wildcards, params=params)
    try:
        return Environment(undefined=StrictUndefined).from_string(text).render(snakemake=snakemake)
    except TemplateError as error:
        raise UserError(f"{path}: Jinja cannot render this caption: {error}") from None


def to_html(text: str, path: Path) -> Caption:
    """Turn reStructuredText into HTML; ``path`` is only named in errors."""
    from docutils.core import publish_parts
    from docutils.utils import SystemMessage
    from docutils.writers.html5_polyglot import Writer
    from markupsafe import Markup

    # No content from outside the text, and no messages on the page: the first one is an error.
    settings: dict[str, Any] = {
        "_disable_config": True,
        "file_insertion_enabled": False,
        "raw_enabled": False,
        "report_level": WARNING,
        "halt_level": WARNING,
        "warning_stream": False,
        "initial_header_level": 4,
    }
    try:
        parts = publish_parts(text, writer=Writer(), settings_overrides=settings)
    except SystemMessage as error:
        raise UserError(f"{path}: is not well-formed reStructuredText: {error}") from None
    shown, end, folded = map(Markup, parts["body"].partition("</p>\n"))
    sentence = re.split(r"(?<=[.])\s", shown.striptags(), maxsplit=1)[0]
    return Caption(Markup(parts["title"]).unescape(), shown + end, folded, sentence)
