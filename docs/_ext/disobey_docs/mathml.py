r"""Render formulas as MathML, which browsers display without scripts.

Sphinx's default loads MathJax from another host, so a site without network access would show LaTeX
source. docutils converts LaTeX to MathML, except for a few commands that git hosts support or
require (they read ``<`` as HTML, so pages write ``\lt``).
"""

import re
from typing import Any

ALIKE = {r"\\lt\b": "<", r"\\gt\b": ">", r"\\[bB]ig(?![a-zA-Z])": ""}


def mathml(tex: str, *, block: bool) -> str:
    """Return a formula as MathML.

    Raises
    ------
    docutils.utils.math.MathError
        For a command that docutils does not support.
    """
    from docutils.utils.math.latex2mathml import tex2mathml

    for command, instead in ALIKE.items():
        tex = re.sub(command, instead, tex)
    return str(tex2mathml(tex.strip(), as_block=block))


def visit_inline(writer: Any, node: Any) -> None:
    """Write an inline formula."""
    _write(writer, node, block=False)


def visit_block(writer: Any, node: Any) -> None:
    """Write a displayed formula; it scrolls if it is wider than the page."""
    _write(writer, node, block=True)


def _write(writer: Any, node: Any, block: bool) -> None:
    from docutils.nodes import SkipNode
    from docutils.utils.math import MathError
    from sphinx.util.logging import getLogger

    try:
        formula = mathml(node.astext(), block=block)
    except MathError as error:
        getLogger(__name__).warning("formula %s: %s", node.astext(), error, location=node)
        formula = ""
    writer.body.append(f'<div class="formula">{formula}</div>' if block else formula)
    raise SkipNode
