"""``python -m disobey results [STUDY ...]``: the tables of finished studies, as Markdown.

For several studies a table of all claims comes first. Its output is part of docs/results.md:
nothing in there is typed in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from disobey.errors import UserError
from disobey.numbers import NBSP, duration
from disobey.report.history import by_stage, elapsed, stage, walk
from disobey.report.lead import markdown, matrix, sentences
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
from disobey.study.loader import load_study
from disobey.study.models import Study
from disobey.tools import argument_parser, tool

COUNTS = ("settings", "holds", "contrary", "undecided", "withheld", "holds_after_holm",
          "expected_by_chance")  # fmt: skip


@tool
def main(arguments: Sequence[str]) -> int:
    """Print the results of a study; 2 where they are not there."""
    parser = argument_parser("results", __doc__)
    parser.add_argument(
        "studies", nargs="*", metavar="STUDY", default=["config.yaml"], help="study files"
    )
    parser.add_argument(
        "--brief", action="store_true", help="without the numbers of each claim in each setting"
    )
    options = parser.parse_args(arguments)
    found = [Found.read(path) for path in options.studies]
    pages = [in_short(found)] if len(found) > 1 else []
    pages += [results(one, brief=options.brief) for one in found]
    print("\n\n".join("\n".join(page) for page in pages))
    return 0


@dataclass(frozen=True)
class Found:
    """A finished study: its file, report, and the rows of its tables."""

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
    yield from ("## In short", "")
    yield "In how many settings of each study a claim holds / is contrary / stays undecided."
    yield ""
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
    """Yield the lines of one study; with ``brief`` without each claim in each setting."""
    yield f"## Study `{found.study.study}` (`{found.path}`)"
    yield ""
    yield from lead(found.summary)
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


def lead(summary: Sequence[Cells]) -> Iterator[str]:
    """Yield the findings in a few computed lines."""
    for line in sentences(summary):
        yield f"- {line}"
    head, rows = matrix(summary)
    if rows:
        yield ""
        yield from markdown(head, rows)


def _table(study: str, name: str) -> Manifest:
    return read_manifest(manifest_of(layout.TABLE.format(study=study, table=name)))


def _provenance(report: Manifest) -> Iterator[str]:
    """Yield jobs, machines and durations, from the manifests of all stores."""
    inputs = [read_manifest(path) for path in report.record["inputs"]]
    found, missing = walk(inputs, Path())
    if missing:
        raise UserError(f"{missing[0]}: is gone; call snakemake to make it again")
    total = stage("all", [manifest.record for manifest in found])
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
    """Yield one claim with its findings; placebos one by one are only in the tables."""
    yield ""
    yield f"#### {claim.text}"
    yield ""
    yield f"The paper: {claim.paper}."
    for held in claim.held:
        yield from ("", f"{_decided_by(held)}.", "")
        yield from _findings(held)


def _decided_by(held: Held) -> str:
    """Return the criterion of a claim on one split, reading by reading."""
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
