"""Common parts of all benchmarks: interleaved rounds, a printed table, a record on disk."""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from disobey import provenance

RESULTS = Path(__file__).with_name("results")


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turn(contestants: Mapping[str, Callable[[], float]], rounds: int) -> list[dict[str, float]]:
    """Return the measurements of all contestants by round, taken one after the other in each round.

    The machine may be noisy: only ratios within a round are meaningful, and their median over the
    rounds.
    """
    return [{name: measure() for name, measure in contestants.items()} for _ in range(rounds)]


def median_of(rounds: Sequence[Mapping[str, float]], name: str) -> float:
    """Return the median of one contestant's measurements over the rounds."""
    return statistics.median(found[name] for found in rounds)


def median_ratio(rounds: Sequence[Mapping[str, float]], above: str, below: str) -> float:
    """Return the median over the rounds of the ratio within a round."""
    return statistics.median(found[above] / found[below] for found in rounds)


def report(name: str, title: str, rows: Sequence[Mapping[str, Any]], **record: Any) -> None:
    """Print one table and write ``benchmarks/results/<name>.json``.

    Parameters
    ----------
    name : str
        The name of the file.
    title : str
        One line: the measured quantity and its unit.
    rows : sequence of mapping
        The table; all rows have the same columns, numbers are printed to three digits.
    **record
        Further values to record, such as the numbers of every round.
    """
    print(f"\n{title}")
    texts = [[shown(value) for value in row.values()] for row in rows]
    lines = [list(rows[0]), *texts]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )
    RESULTS.mkdir(exist_ok=True)
    kept = {"title": title, "rows": list(rows), **record, "machine": provenance.machine()}
    kept |= {"versions": provenance.versions(), "git": provenance.git_state()}
    kept["written"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table; all rows have the same columns."""
    lines = [f"| {' | '.join(rows[0])} |", f"|{' --- |' * len(rows[0])}"]
    return lines + [f"| {' | '.join(map(shown, row.values()))} |" for row in rows]


def shown(value: object) -> str:
    """Return a cell of a table as text: numbers to three digits."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
