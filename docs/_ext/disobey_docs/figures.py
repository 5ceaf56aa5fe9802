"""The figures with their captions from the report."""

import re
from collections.abc import Iterator
from pathlib import Path

from disobey.study.figures import FIGURES, FIGURES_BESIDE

CAPTIONS = Path(__file__).parents[3] / "workflow" / "report"
# A heading of reStructuredText at the head of the file: its words, and a line below them.
HEADING = re.compile(r"\A(?P<words>.+)\n=+\n+")


def page() -> str:
    """Return one section for each kind of figure, in the order of the report."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    for kind in FIGURES:
        words, caption = caption_of(kind)
        reads = " and ".join(f"{stage}/" for stage in ("analysis", *FIGURES_BESIDE.get(kind, ())))
        yield from (f"## {kind}", "", f"**{words}.** Drawn from the stores in `{reads}`.", "")
        yield from ("````{eval-rst}", caption, "````", "")


def caption_of(kind: str) -> tuple[str, str]:
    """Return the heading of a caption, and the text below it."""
    text = (CAPTIONS / f"{kind}.rst").read_text(encoding="utf-8")
    heading = HEADING.match(text)
    if heading is None:
        raise ValueError(f"{CAPTIONS / kind}.rst: begins with no heading")
    return heading["words"], text[heading.end() :].rstrip()
