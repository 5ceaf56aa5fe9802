"""A Sphinx extension for pages generated from the code, links between pages, and formulas.

Two comments insert content into a page::

    <!-- generated: study file -->
    <!-- file: ../README.md -->

The second replaces the whole page. Git hosts do not show the comments, so each page also needs text
of its own.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from disobey_docs import commands, figures, mathml, rule_graph, statistics, stores, study_file
from disobey_docs.links import Links

ROOT = Path(__file__).parents[3]
GENERATED: dict[str, Callable[[], str]] = {
    "study file": study_file.page,
    "commands": commands.page,
    "rule graph": rule_graph.page,
    "stores": stores.page,
    "tables": stores.tables,
    "manifest": stores.manifest,
    "statistics": statistics.page,
    "claims": statistics.claims,
    "figures": figures.page,
}
COMMENT = re.compile(r"^<!-- (?P<kind>generated|file): (?P<name>.+) -->$", re.M)
# Files outside docs/ that the site shows as pages.
PAGES = {"README.md": "readme", "CONTRIBUTING.md": "contributing", "CHANGELOG.md": "changelog"}


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", fill_in)
    app.connect("env-get-outdated", always_anew)
    app.add_html_math_renderer("mathml", (mathml.visit_inline, None), (mathml.visit_block, None))
    return {"parallel_read_safe": True}


def fill_in(app: Any, docname: str, source: list[str]) -> None:
    """Insert generated content into a page, and rewrite its links out of docs/."""
    from sphinx.util.logging import getLogger

    path = Path(app.env.doc2path(docname))
    if path.suffix != ".md":
        return
    links = Links(ROOT, Path(app.srcdir), PAGES)
    comment = COMMENT.search(source[0])
    if comment is not None and comment["kind"] == "file":
        file = (path.parent / comment["name"]).resolve()
        app.env.note_dependency(str(file), docname=docname)
        source[0] = links.rewritten(file.read_text(encoding="utf-8"), file, path)
    else:
        text = links.rewritten(source[0], path, path)
        source[0] = COMMENT.sub(lambda match: GENERATED[match["name"]](), text)
    for broken in links.broken:
        getLogger(__name__).warning(broken, location=docname)


def always_anew(app: Any, env: Any, *_: object) -> list[str]:
    """Return the pages that are generated from the code, whose changes Sphinx does not see."""
    return [
        name
        for name in env.found_docs
        if COMMENT.search(Path(env.doc2path(name)).read_text(encoding="utf-8"))
    ]
