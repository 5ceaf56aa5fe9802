"""The findings of a study in a few lines, computed from its summary table.

There is a sentence for each claim of the paper, and a matrix of all claims with several readings,
by split and reading. The report, ``python -m disobey results`` and the pages print the same lines.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from disobey.analysis.names import PAPER, REPLICATE, SECOND_SEED
from disobey.numbers import NBSP

Cells = dict[str, str]
# Readings as worded in a sentence.
IN_WORDS = {
    PAPER: "as in the paper",
    SECOND_SEED: "against a second seed",
    REPLICATE: "conditioned on a replicate",
}


def sentences(summary: Iterable[Cells]) -> list[str]:
    """Return one sentence for each claim of the paper, with the number of settings it holds in.

    ``summary`` has the rows of summary.csv, in which the rows of a claim are consecutive.
    """
    return [_sentence(rows) for rows in _by_claim(summary).values() if rows[0]["source"] == "paper"]


def matrix(summary: Iterable[Cells]) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a matrix of claims x splits and readings.

    A cell has the number of settings in which a claim holds, out of all, and the numbers in which
    it is contrary or withheld; it is empty if the claim does not have that reading.
    """
    read = [row for row in summary if row["reading"] and row["split"]]
    # By split: train is the paper's main split, and first in the table.
    splits, readings = ({row[name]: None for row in read} for name in ("split", "reading"))
    known = {(row["split"], row["reading"]) for row in read}
    ways = [way for way in itertools.product(splits, readings) if way in known]
    rows = []
    for of_claim in _by_claim(read).values():
        cells = {(row["split"], row["reading"]): counted(row) for row in of_claim}
        rows.append([of_claim[0]["text"], *(cells.get(way, "") for way in ways)])
    return ["claim", *(f"{split}: {reading}" for split, reading in ways)], rows


def _by_claim(summary: Iterable[Cells]) -> dict[str, list[Cells]]:
    found: dict[str, list[Cells]] = {}
    for row in summary:
        found.setdefault(row["claim"], []).append(row)
    return found


def _sentence(rows: Sequence[Cells]) -> str:
    """Return "...: on train in 14 of 16 settings as in the paper; on test in 13."."""
    # The rest of the text explains the claim.
    text = re.split(r"[:;] ", rows[0]["text"])[0]
    splits = dict.fromkeys(row["split"] for row in rows)
    first, *others = ([row for row in rows if row["split"] == split] for split in splits)
    parts = [_in_full(first)]
    for of_split in others:
        same = [(row["reading"], row["settings"]) for row in of_split] == [
            (row["reading"], row["settings"]) for row in first
        ]
        parts.append(_in_short(of_split) if same else _in_full(of_split))
    return f"{text}: {'; '.join(parts)}."


def _in_full(rows: Sequence[Cells]) -> str:
    """Return the counts on one split, each with its reading."""
    parts, settings = [], ""
    for row in rows:
        said = f"in {row['holds']}"
        if row["settings"] != settings:
            settings = row["settings"]
            said += f" of {settings} setting{'s' if settings != '1' else ''}"
        reading = IN_WORDS.get(row["reading"], row["reading"])
        parts.append(f"{said} {reading}".rstrip() + _but(row))
    return _on(rows) + ", ".join(parts)


def _in_short(rows: Sequence[Cells]) -> str:
    """Return the counts on one split without readings, which are in the order of `_in_full`."""
    counts = [row["holds"] + _but(row) for row in rows]
    return _on(rows) + "in " + " and ".join(filter(None, (", ".join(counts[:-1]), counts[-1])))


def _on(rows: Sequence[Cells]) -> str:
    return f"on {rows[0]['split']} " if rows[0]["split"] else ""


def counted(row: Cells) -> str:
    """Return the number of settings in which a claim holds, such as ``14 of 16 (contrary 1)``."""
    return f"{row['holds']} of {row['settings']}{_but(row)}".replace(" of ", f"{NBSP}of{NBSP}")


def _but(row: Cells) -> str:
    """Return a remark such as " (contrary 1, withheld 2)"; empty if both numbers are 0."""
    words = [f"{name}{NBSP}{row[name]}" for name in ("contrary", "withheld") if row[name] != "0"]
    return f" ({', '.join(words)})" if words else ""


def markdown(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a table in Markdown."""
    for cells in (columns, ["---"] * len(columns), *rows):
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
