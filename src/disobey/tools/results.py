"""``python -m disobey results [STUDY ...]``: print the tables of finished studies as Markdown.

For several studies a table of all claims comes first. docs/results.md contains the output; no
number there is typed by hand.
"""

import csv
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from disobey.analysis.names import PAPER
from disobey.errors import UserError
from disobey.numbers import NBSP, duration
from disobey.report.history import add_up, by_stage, elapsed, walk
from disobey.report.lead import counted, markdown, matrix, sentences
from disobey.report.verdicts import (
    Accuracies,
    Cells,
    Held,
    Row,
    Verdicts,
    accuracies,
    claims,
    read_table,
)
from disobey.stores import layout
from disobey.stores.layout import manifest_of
from disobey.stores.manifest import Manifest, read_manifest
from disobey.study.figures import figures_of
from disobey.study.loader import load_study
from disobey.study.models import Study
from disobey.tools import argument_parser, tool

COUNTS = ("settings", "holds", "contrary", "undecided", "withheld", "holds_after_holm",
          "expected_by_chance")  # fmt: skip


@tool
def main(arguments: Sequence[str]) -> int:
    """Print the results of studies; return 2 if a study has none."""
    parser = argument_parser("results", __doc__)
    parser.add_argument(
        "studies", nargs="*", metavar="STUDY", default=["config.yaml"], help="study files"
    )
    parser.add_argument(
        "--brief", action="store_true", help="omit the numbers of each claim in each setting"
    )
    options = parser.parse_args(arguments)
    found = [Found.read(path) for path in options.studies]
    pages = [in_short(found)] if len(found) > 1 else []
    pages += [results(one, brief=options.brief) for one in found]
    print("\n\n".join("\n".join(page) for page in pages))
    return 0


@dataclass(frozen=True)
class Found:
    """A finished study: its study file, its report and the rows of its tables."""

    path: str
    study: Study
    report: Manifest
    summary: list[Cells]
    claims: list[Verdicts]
    accuracies: list[Accuracies]

    @classmethod
    def read(cls, path: str) -> "Found":
        """Read the tables of a finished study."""
        study = load_study(path)
        report = read_manifest(manifest_of(layout.REPORT.format(study=study.study)))
        tables = {name: _table(study.study, name) for name in ("summary", "claims", "accuracy")}
        rows = {name: read_table(manifest) for name, manifest in tables.items()}
        names = [*study.settings, *study.comparisons]
        shown = accuracies(rows["accuracy"], names)
        held = claims(rows["claims"], rows["summary"])
        return cls(path, study, report, rows["summary"], held, shown)


def in_short(found: Sequence[Found]) -> Iterator[str]:
    """Yield one line for each claim, split and reading, with its verdicts in each study."""
    verdicts = [{_which(row): row for row in one.summary} for one in found]
    every = {key: row for of_study in verdicts for key, row in of_study.items()}
    counts = "In how many settings of each study a claim holds / is contrary / stays undecided."
    yield from ("## In short", "", counts, "")
    yield from markdown(
        ("claim", "whose", "split", "reading", *(f"`{one.study.study}`" for one in found)),
        (
            (*_of(row), *(_verdicts(of_study.get(key)) for of_study in verdicts))
            for key, row in every.items()
        ),
    )


def _which(row: Cells) -> tuple[str, ...]:
    return tuple(row[name] for name in ("claim", "split", "reading"))


def _of(row: Cells) -> tuple[str, ...]:
    return tuple(row[name] for name in ("text", "source", "split", "reading"))


def _verdicts(counts: Cells | None) -> str:
    if counts is None:
        return ""
    return f"{NBSP}/{NBSP}".join(counts[name] for name in ("holds", "contrary", "undecided"))


def results(found: Found, *, brief: bool = False) -> Iterator[str]:
    """Yield the lines of one study; ``brief`` omits the verdicts on claims setting by setting."""
    yield from (f"## Study `{found.study.study}` (`{found.path}`)", "")
    yield from (f"- {line}" for line in sentences(found.summary))
    head, claims_by_reading = matrix(found.summary)
    if claims_by_reading:
        yield from ("", *markdown(head, claims_by_reading))
    yield ""
    yield from _provenance(found.report)
    if not brief:
        yield from _claims(found)
    yield from ("", "### Test accuracy, per cent", "")
    shown = found.accuracies
    models = list(shown[0].by_model) if shown else []
    yield from markdown(
        ("setting", *models, f"seeds{NBSP}×{NBSP}examples"),
        (
            (row.setting, *row.by_model.values(), f"{row.seeds}{NBSP}×{NBSP}{row.examples:,}")
            for row in shown
        ),
    )


def _claims(found: Found) -> Iterator[str]:
    yield from ("", "### Claims", "")
    yield from markdown(
        ("claim", "whose", "split", "reading", *(name.replace("_", " ") for name in COUNTS)),
        ((*_of(row), *(row[name] for name in COUNTS)) for row in found.summary),
    )
    for claim in found.claims:
        yield from _claim(claim)


def _table(study: str, name: str) -> Manifest:
    return read_manifest(manifest_of(layout.TABLE.format(study=study, table=name)))


def _provenance(report: Manifest) -> Iterator[str]:
    """Yield jobs, machines and durations, from the manifests of all stores."""
    inputs = [read_manifest(path) for path in report.record["inputs"]]
    found, missing = walk(inputs, Path())
    if missing:
        raise UserError(f"{missing[0]}: is gone; call snakemake to make it again")
    total = add_up("all", [manifest.record for manifest in found])
    machines = sorted({m.record["machine"] for m in found})
    working = duration(elapsed(manifest.record for manifest in found))
    yield (
        f"{total.jobs:,} jobs between {total.first} and {total.last}: {working} in which at least "
        f"one was at work; added up {duration(total.seconds)} of jobs, "
        f"{duration(total.cpu_seconds)} of CPU. Machine: {'; '.join(machines)}."
    )
    yield ""
    yield from markdown(
        ("stage", "jobs", "time of jobs", "CPU", "commit"),
        (
            (
                row.name,
                f"{row.jobs:,}",
                duration(row.seconds),
                duration(row.cpu_seconds),
                ", ".join(row.commits),
            )
            for row in by_stage(found)
        ),
    )


def _claim(claim: Verdicts) -> Iterator[str]:
    """Yield the lines of one claim and its verdicts; single placebos are only in the tables."""
    yield from ("", f"#### {claim.text}", "", f"The paper: {claim.paper}.")
    for held in claim.held:
        yield from ("", f"{_decided_by(held)}.", "")
        yield from _findings(held)


def _decided_by(held: Held) -> str:
    """Return the criterion of each reading of a claim on one split."""
    words = []
    for reading in held.readings.values():
        unit = f" ({reading.unit})" if reading.unit else ""
        name = f"{reading.name}: " if reading.name else ""
        words.append(
            f"{name}{reading.statistic}{unit} of {reading.model} {reading.side} {reading.null}"
        )
    where = held.where or f"{held.split} examples"
    return f"On {where}: {'; '.join(words)}" if held.split else f"Decided by {'; '.join(words)}"


def _findings(held: Held) -> Iterator[str]:
    columns = ["setting"]
    for reading in held.readings:
        columns.append(f"{reading or 'estimate'}{NBSP}[95{NBSP}%]")
        columns += ["control"] if reading in held.controlled else []
    columns.append("seeds")
    columns += ["remark"] if held.remarks else []
    yield from markdown(columns, (_row(held, row) for row in held.rows if row.counted))


def _row(held: Held, row: Row) -> list[str]:
    cells = [row.setting + (f", {row.layer}" if row.layer else "")]
    for reading in held.readings:
        decided = row.decisions.get(reading)
        cells.append(f"{decided.verdict} {decided.estimate}" if decided else "")
        control = decided.control if decided else ""
        cells += [control] if reading in held.controlled else []
    return [*cells, str(row.seeds), *([row.remark] if held.remarks else [])]


# --- the paper, figure by figure

PAPER_PAGE = """\
``python -m disobey paper STUDY ...``: compare the paper's figures with ours, as in docs/paper.md.

``paper_map.yaml`` beside this module lists what the paper shows. The study files tell which study
draws the same. The findings come from the studies' tables ``summary`` in ``results/``, or from
copies with ``--tables``. A study without this table counts as not run.
"""

MAP = Path(__file__).with_name("paper_map.yaml")
SUMMARY = "summary"
# Controls are part of the verdict of a claim with a single reading.
AS_IN_THE_PAPER = (PAPER, "")
NOT_RUN = "not run yet by today's code"
SHOWN = 2  # most studies with counts in a row; docs/results.md has all
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
class PaperRow:
    """One figure or table of the paper; see the comment at the top of ``paper_map.yaml``."""

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
    """The part of a study that the page needs: its name, its file and the kinds of its figures.

    ``summary`` has the rows of its table ``summary``, with every cell as text; None if the study
    has not been run.
    """

    study: str
    path: str
    kinds: set[str]
    summary: list[Cells] | None


def rows() -> list[PaperRow]:
    """Return the rows of the map, in the paper's order."""
    return [PaperRow(**row) for row in yaml.safe_load(MAP.read_text(encoding="utf-8"))]


def page(studies: Sequence[Drawn], command: str) -> Iterator[str]:
    """Yield the lines of docs/paper.md, which name ``command`` as their source."""
    yield HEAD
    yield from markdown(COLUMNS, (_cells(row, studies) for row in rows()))
    yield from ("", "Figures come with their study, in `results/STUDY/figures`:", "")
    for drawn in studies:
        yield f"- `{drawn.study}`: `snakemake --cores all --configfile {drawn.path}`"
    yield from ("", f"This page is printed by `{command}`.")


def _cells(row: PaperRow, studies: Sequence[Drawn]) -> tuple[str, ...]:
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
    """Return counts as ``name: train 14 of 16``, followed by those of other readings."""
    words = []
    for cells in counts:
        reading = "" if cells["reading"] == PAPER else cells["reading"]
        words.append(" ".join(filter(None, (cells["split"], reading, counted(cells)))))
    return [f"{name}: {', '.join(words)}"] if words else []


@tool
def paper_main(arguments: Sequence[str]) -> int:
    """Print the page; return 2 if a study file cannot be used."""
    parser = argument_parser("paper", PAPER_PAGE)
    parser.add_argument("studies", nargs="+", metavar="STUDY", help="study files in order")
    parser.add_argument("--tables", type=Path, help="folder of copied tables, STUDY/summary.csv")
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
    """Return the rows of a study's table ``summary``; None if it has none."""
    if copies is None:
        there = Path(manifest_of(layout.TABLE.format(study=study, table=SUMMARY))).exists()
        return read_table(_table(study, SUMMARY)) if there else None
    table = copies / study / f"{SUMMARY}.csv"
    if not table.exists():
        return None
    with open(table, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
