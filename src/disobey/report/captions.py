"""Captions: reStructuredText with Jinja in it, as ``snakemake --report`` renders them."""

import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from disobey.errors import UserError

if TYPE_CHECKING:
    from markupsafe import Markup

    from disobey.stores.manifest import Manifest

# Severity from which docutils complains to the reader of the page: 2 is a warning.
WARNING = 2


@dataclass(frozen=True)
class Caption:
    """A rendered caption.

    Attributes
    ----------
    title : str
        The heading of the file; empty where it has none.
    shown : Markup
        The first paragraph, escaped by docutils: what is drawn and how to read it.
    folded : Markup
        The other ones: what the paper reports, and our choices.
    summary : str
        The first sentence as plain text: what is drawn.
    """

    title: str
    shown: "Markup"
    folded: "Markup"
    summary: str


def render(folder: Path, kind: str, figure: "Manifest") -> Caption:
    """Render the caption of one figure.

    Parameters
    ----------
    folder : Path
        Where captions lie.
    kind : str
        The figure's kind; the caption is ``<kind>.rst``.
    figure : Manifest
        Whose study and name the caption may use, by Snakemake's names for them.

    Raises
    ------
    UserError
        When there is no such caption, or it is not well-formed; names the file.
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


def _fill_in(text: str, path: Path, figure: "Manifest") -> str:
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
    from docutils.core import publish_doctree, publish_parts
    from docutils.nodes import paragraph
    from docutils.utils import SystemMessage
    from docutils.writers.html5_polyglot import Writer
    from markupsafe import Markup

    # Nothing from outside the text, and no message on the page: the first one ends the job.
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
        tree = publish_doctree(text, settings_overrides=settings)
    except SystemMessage as error:
        raise UserError(f"{path}: is not well-formed reStructuredText: {error}") from None
    first = next((node.astext() for node in tree.findall(paragraph)), "")
    sentence = re.split(r"(?<=[.])\s", " ".join(first.split()), maxsplit=1)[0]
    shown, end, folded = parts["body"].partition("</p>\n")
    return Caption(Markup(parts["title"]).unescape(), Markup(shown + end), Markup(folded), sentence)
