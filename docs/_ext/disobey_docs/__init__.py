"""What Sphinx needs of us: pages made out of the code, links, formulas.

A page says where something is put in, as docs/performance.md says it of its tables::

    <!-- generated: study file -->
    <!-- file: ../README.md -->

The second one replaces the whole page. On a git host neither is seen, so a page must say something
without it.
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
# Files of the repository that are pages of the site.
PAGES = {"README.md": "readme", "CONTRIBUTING.md": "contributing", "CHANGELOG.md": "changelog"}


def setup(app: Any) -> dict[str, bool]:  # noqa: ANN401 - Sphinx is not there when tests import this
    """Register with Sphinx."""
    app.connect("source-read", fill_in)
    app.connect("env-get-outdated", always_anew)
    app.add_html_math_renderer("mathml", (mathml.visit_inline, None), (mathml.visit_block, None))
    return {"parallel_read_safe": True}


def fill_in(app: Any, docname: str, source: list[str]) -> None:  # noqa: ANN401
    """Put in what a page asks for; turn links out of docs/ into what the site can show."""
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


def always_anew(app: Any, env: Any, *_: object) -> list[str]:  # noqa: ANN401
    """Return the pages that are made out of the code, which Sphinx does not watch."""
    return [
        name
        for name in env.found_docs
        if COMMENT.search(Path(env.doc2path(name)).read_text(encoding="utf-8"))
    ]
