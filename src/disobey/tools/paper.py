"""``python -m disobey paper STUDY ...``: the paper's figures beside ours, as docs/paper.md.

What the paper shows comes from ``paper_map.yaml`` beside this module; which study draws the same,
from the study files; what was found, from the studies' tables ``summary``: those in ``results/``,
or with ``--tables`` copies of them. A study without a table has not been run yet.
"""

import csv
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from disobey.analysis.names import PAPER
from disobey.report.lead import counted, markdown
from disobey.report.verdicts import Cells, read_table
from disobey.stores import layout
from disobey.stores.layout import manifest_of
from disobey.stores.manifest import read_manifest
from disobey.study.figures import figures_of
from disobey.study.loader import load_study
from disobey.tools import argument_parser, tool

MAP = Path(__file__).with_name("paper_map.yaml")
SUMMARY = "summary"
# Controls are part of the verdict of a claim with a single reading.
AS_IN_THE_PAPER = (PAPER, "")
NOT_RUN = "not run yet by today's code"
SHOWN = 2  # studies whose counts a row has; docs/results.md has all
COLUMNS = (
    "paper", "shows", "the paper finds", "here", "found, as in the paper", "the controls say",
    "out of reach",
)  # fmt: skip
HEAD = """\
# The paper, figure by figure

Every figure and table of the paper's first version
([arXiv 2301.12923v1](https://arxiv.org/abs/2301.12923v1), January 2023): what it shows and what the
authors conclude, which figure here draws the same, and what came out. *Exact* is the paper's own
experiment, *small* the same experiment on small data and networks; the study `paper` has the
paper's own settings.

A count is in how many settings of a study a claim holds, of all settings that it is about; where
others are contrary or withheld, their number follows. *Second seed* compares the student with the
same network trained on labels, *replicate* conditions on a teacher of another seed
([intervals and verdicts](science.md#intervals-and-verdicts)). Each count is of the first studies in
the list below that have the claim, at most two; the [results](results.md#in-short) have the counts
of all studies side by side, and the tables `claims` each setting with its interval.
"""


@dataclass(frozen=True)
class Row:
    """One figure or table of the paper; see the head of ``paper_map.yaml``."""

    figure: str
    shows: str
    finding: str
    kinds: list[str]
    scale: str
    claims: list[str]
    control: str
    missing: str


@dataclass(frozen=True)
class Drawn:
    """A study, as the page needs it: its name and file, and the kinds of its figures.

    ``summary`` has the rows of its table ``summary``, every cell as text; None where it has not
    been run.
    """

    study: str
    path: str
    kinds: set[str]
    summary: list[Cells] | None


def rows() -> list[Row]:
    """Return the rows of the map, in the paper's order."""
    return [Row(**row) for row in yaml.safe_load(MAP.read_text(encoding="utf-8"))]


def page(studies: Sequence[Drawn], command: str) -> Iterator[str]:
    """Yield the lines of docs/paper.md, which ``command`` prints."""
    yield HEAD
    yield from markdown(COLUMNS, (_cells(row, studies) for row in rows()))
    yield ""
    yield "Figures come with their study, in `results/STUDY/figures`:"
    yield ""
    for drawn in studies:
        yield f"- `{drawn.study}`: `snakemake --cores all --configfile {drawn.path}`"
    yield ""
    yield f"This page is printed by `{command}`."


def _cells(row: Row, studies: Sequence[Drawn]) -> tuple[str, ...]:
    here = [row.scale, *(_drawn_by(kind, studies) for kind in row.kinds)]
    found, controls = [], [row.control] if row.control else []
    drawing = [drawn for drawn in studies if drawn.kinds.intersection(row.kinds)]
    for claim in row.claims:
        having = [
            (drawn, counts)
            for drawn in drawing
            if (counts := [cells for cells in drawn.summary or () if cells["claim"] == claim])
        ]
        for drawn, counts in having[:SHOWN]:
            name = f"`{drawn.study}`, {claim.replace('_', ' ')}"
            found += _counts(name, [c for c in counts if c["reading"] in AS_IN_THE_PAPER])
            controls += _counts(name, [c for c in counts if c["reading"] not in AS_IN_THE_PAPER])
    waiting = [f"`{drawn.study}`" for drawn in drawing if drawn.summary is None]
    found += [f"{NOT_RUN}: {', '.join(waiting)}"] if waiting else []
    cells = (here, found, controls)
    return (row.figure, row.shows, row.finding, *map("<br>".join, cells), row.missing)


def _drawn_by(kind: str, studies: Sequence[Drawn]) -> str:
    names = [f"`{drawn.study}`" for drawn in studies if kind in drawn.kinds]
    return f"`{kind}` of {', '.join(names)}" if names else f"`{kind}`, in none of the studies below"


def _counts(name: str, counts: Sequence[Cells]) -> list[str]:
    """Return ``name: train 14 of 16``, with the readings that are not the paper's."""
    words = []
    for cells in counts:
        reading = "" if cells["reading"] == PAPER else cells["reading"]
        words.append(" ".join(filter(None, (cells["split"], reading, counted(cells)))))
    return [f"{name}: {', '.join(words)}"] if words else []


@tool
def main(arguments: Sequence[str]) -> int:
    """Print the page; 2 where a study file cannot be used."""
    parser = argument_parser("paper", __doc__)
    parser.add_argument("studies", nargs="+", metavar="STUDY", help="study files, as on the page")
    parser.add_argument("--tables", type=Path, help="folder of copies: STUDY/summary.csv")
    options = parser.parse_args(arguments)
    command = f"python -m disobey paper {shlex.join(arguments)}"
    studies = [_read(path, options.tables) for path in options.studies]
    print("\n".join(page(studies, command)))
    return 0


def _read(path: str, copies: Path | None) -> Drawn:
    study = load_study(path)
    kinds = {figure.kind for figure in figures_of(study)}
    return Drawn(study.study, path, kinds, _summary(study.study, copies))


def _summary(study: str, copies: Path | None) -> list[Cells] | None:
    """Return the table of a study; None where there is none."""
    if copies is None:
        manifest = Path(manifest_of(layout.TABLE.format(study=study, table=SUMMARY)))
        return read_table(read_manifest(manifest)) if manifest.exists() else None
    table = copies / study / f"{SUMMARY}.csv"
    if not table.exists():
        return None
    with open(table, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
