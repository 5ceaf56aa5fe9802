"""Rewrite the links of a page for the site.

In the repository a page may link to any file, and git hosts follow the link. On the site, a link
to a file outside docs/ leads to its page if there is one, else to a copy for download. Links to
folders become plain text.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

FENCED = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
LINK = re.compile(r"\[(?P<words>[^\[\]]*)\]\((?P<link>[^()\s]+)\)")
ELSEWHERE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|#)")  # another site, or this very page


class Links:
    """Rewrites the links of pages and collects the broken ones.

    Parameters
    ----------
    root, docs : Path
        The repository, and its folder with the sources of the site.
    pages : mapping of str to str
        Maps files outside ``docs``, relative to ``root``, to the pages that show them.

    Attributes
    ----------
    broken : list of str
        A message for each link to a missing file.
    """

    def __init__(self, root: Path, docs: Path, pages: Mapping[str, str]) -> None:
        self.root = root.resolve()
        self.docs = docs.resolve()
        self.pages = {self.root / file: self.docs / f"{page}.md" for file, page in pages.items()}
        self.broken: list[str] = []

    def rewritten(self, text: str, source: Path, page: Path) -> str:
        """Return the text of the Markdown file ``source`` with its links relative to ``page``.

        Code blocks are not changed.
        """
        done, start = [], 0
        for block in FENCED.finditer(text):
            done += [self._prose(text[start : block.start()], source, page), block[0]]
            start = block.end()
        return "".join([*done, self._prose(text[start:], source, page)])

    def _prose(self, text: str, source: Path, page: Path) -> str:
        return LINK.sub(lambda match: self._link(match, source, page), text)

    def _link(self, match: re.Match[str], source: Path, page: Path) -> str:
        if ELSEWHERE.match(match["link"]):
            return match[0]
        path, _, anchor = match["link"].partition("#")
        place = (source.resolve().parent / path).resolve()
        if not place.exists():
            self.broken.append(f"{os.path.relpath(source, self.root)}: {path} is not there")
            return match[0]
        if place.is_dir():
            return match["words"]
        place = self.pages.get(place, place)
        target = os.path.relpath(place, page.resolve().parent) + (f"#{anchor}" if anchor else "")
        return f"[{match['words']}]({target})"
