"""Insert the tables of ``benchmarks/results`` into the pages of docs/.

    python -m benchmarks.page

Each table is between ``<!-- table: NAME -->`` and ``<!-- end -->``.
"""

import json
import re
from pathlib import Path

from benchmarks.common import RESULTS, markdown_table

DOCS = Path(__file__).parents[1] / "docs"
PAGES = (DOCS / "performance.md", DOCS / "science.md")
BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.S)


def markdown(name: str) -> str:
    """Return the record ``benchmarks/results/<name>.json`` as a Markdown table with its origin."""
    record = json.loads((RESULTS / f"{name}.json").read_text())
    commit, machine = (record["git"]["commit"] or "no commit")[:10], record["machine"]
    torch = record["versions"].get("torch", "unknown")
    origin = f"*{record['title']}. {machine}; torch {torch}; commit {commit}, {record['written']}.*"
    return "\n".join(["", *markdown_table(record["rows"]), "", origin, "", ""])


def filled(page: str) -> str:
    """Return the page with the latest record of every table."""
    return BLOCK.sub(lambda block: block[1] + markdown(block[2]) + block[3], page)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text()))
