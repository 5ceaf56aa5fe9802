"""What Sphinx needs of us: pages made out of the code, and links that work on a git host too.

A page says where something is put in, as docs/performance.md says it of its tables::

    <!-- generated: study file -->
    <!-- file: ../README.md -->

On a git host such a comment is not seen, so a page must say something without it.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from disobey_docs import commands, figures, statistics, stores, study_file
from disobey_docs.links import Links

ROOT = Path(__file__).parents[3]
GENERATED: dict[str, Callable[[], str]] = {
    "study file": study_file.page,
    "commands": commands.page,
    "stores": stores.page,
    "tables": stores.tables,
    "manifest": stores.manifest,
    "statistics": statistics.page,
    "claims": statistics.claims,
    "figures": figures.page,
}
COMMENT = re.compile(r"^<!-- (generated|file): (.+) -->$", re.M)
# Files of the repository that are pages of the site.
PAGES = {"README.md": "readme", "CONTRIBUTING.md": "contributing", "CHANGELOG.md": "changelog"}


def setup(app: Any) -> dict[str, bool]:  # noqa: ANN401 - Sphinx is not there when tests import this
    """Register with Sphinx."""
    app.connect("source-read", fill_in)
    app.connect("env-get-outdated", always_anew)
    return {"parallel_read_safe": True}


def fill_in(app: Any, docname: str, source: list[str]) -> None:  # noqa: ANN401
    """Put in what a page asks for; turn links out of docs/ into what the site can show."""
    from sphinx.util.logging import getLogger

    path = Path(app.env.doc2path(docname))
    if path.suffix != ".md":
        return
    links = Links(ROOT, Path(app.srcdir), PAGES)

    def replacement(match: re.Match[str]) -> str:
        kind, name = match.groups()
        if kind == "generated":
            return GENERATED[name]()
        included = (path.parent / name).resolve()
        app.env.note_dependency(str(included), docname=docname)
        return links.rewritten(included.read_text(encoding="utf-8"), included, path)

    text = links.rewritten(source[0], path, path)
    source[0] = COMMENT.sub(replacement, text)
    for broken in links.broken:
        getLogger(__name__).warning(broken, location=docname)


def always_anew(app: Any, env: Any, *_: object) -> list[str]:  # noqa: ANN401
    """Return the pages that are made out of the code, which Sphinx does not watch."""
    return [
        name
        for name in env.found_docs
        if COMMENT.search(Path(env.doc2path(name)).read_text(encoding="utf-8"))
    ]
