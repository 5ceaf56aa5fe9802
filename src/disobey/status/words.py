"""A study's state as lines of text for a terminal."""

import os
import platform
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from disobey.numbers import NBSP, duration
from disobey.status.durations import Left
from disobey.status.grouping import COLUMNS, OF_STUDY, Name, jobs_of_settings
from disobey.status.logs import Bar
from disobey.status.states import JobStatus, State, StudyStatus

SYMBOLS = {State.DONE: "✓", State.RUNNING: "▶", State.STALE: "~", State.STOPPED: "‖",
           State.FAILED: "✗", State.MISSING: "·"}  # fmt: skip
PLAIN_SYMBOLS = {State.DONE: "+", State.RUNNING: ">", State.STALE: "~", State.STOPPED: "=",
                 State.FAILED: "x", State.MISSING: "."}  # fmt: skip
COLOURS = {State.DONE: 32, State.RUNNING: 36, State.STALE: 33, State.STOPPED: 35,
           State.FAILED: 31, State.MISSING: 2}  # fmt: skip
# Of a list of jobs, so many are named [our choice]: a cluster may run hundreds.
NAMED = 10

Cell = Mapping[State, int]


@dataclass(frozen=True)
class Style:
    """How to write for whoever reads.

    Attributes
    ----------
    width : int
        Columns of the terminal.
    colour : bool
    symbols : dict
        By state.
    """

    width: int = 100
    colour: bool = False
    symbols: Mapping[State, str] = field(default_factory=lambda: SYMBOLS)

    @classmethod
    def of(cls, stream: TextIO) -> "Style":
        """Return what suits a stream: colour on a terminal only, unless NO_COLOR is set."""
        terminal = stream.isatty()
        width = shutil.get_terminal_size((100, 24)).columns if terminal else 100
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return cls(width, terminal and not plain, _symbols(stream.encoding))

    def cell(self, counts: Cell) -> str:
        """Return the counts of a cell, each with its symbol; none for what there is none of."""
        return " ".join(
            self.painted(f"{self.symbols[state]}{counts[state]}", state)
            for state in State
            if counts.get(state)
        )

    def painted(self, text: str, state: State) -> str:
        """Return a text in the colour of a state."""
        return f"\033[{COLOURS[state]}m{text}\033[0m" if self.colour else text


def _symbols(encoding: str | None) -> Mapping[State, str]:
    try:
        "".join(SYMBOLS.values()).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN_SYMBOLS
    return SYMBOLS


def lines(status: StudyStatus, style: Style) -> Iterable[str]:
    """Yield the whole account: table, what runs, what failed, what is left."""
    yield f"study {status.plan.study}: {counted(status.jobs.values())}"
    yield _of_snakemake(status)
    yield ""
    yield from _table(status, style)
    yield from _of_study(status, style)
    yield ""
    yield "  ".join(style.painted(f"{style.symbols[state]} {state}", state) for state in State)
    yield from _running(status, style)
    yield from _ended(status, style, State.STOPPED, "were stopped")
    yield from _ended(status, style, State.FAILED, "failed")
    yield from _stale(status)
    yield ""
    yield left_in_words(status)


def counted(jobs: Iterable[JobStatus]) -> str:
    """Return the counts of all states in words."""
    counts = Counter(job.state for job in jobs)
    words = [f"{counts[state]:,} {state}" for state in State if counts[state]]
    return f"{counts.total():,} jobs: {', '.join(words)}"


def cells(status: StudyStatus) -> dict[str, dict[str, Cell]]:
    """Return the counts of each setting, by column."""
    return {
        setting: {column: count(status, names) for column, names in columns.items()}
        for setting, columns in jobs_of_settings(status.plan).items()
    }


def count(status: StudyStatus, names: Iterable[Name]) -> Cell:
    """Return how many of some jobs are in each state."""
    return Counter(status.jobs[name].state for name in names)


def of_study(status: StudyStatus) -> dict[str, Cell]:
    """Return the counts of what is made for the whole study."""
    return {
        word: count(status, [name for name in status.jobs if name[0] == stage])
        for stage, word in OF_STUDY.items()
    }


def _table(status: StudyStatus, style: Style) -> Iterable[str]:
    """Yield settings x stages; a block for each setting where the terminal is too narrow."""
    rows = cells(status)
    plain = Style(style.width, False, style.symbols)
    shown = [column for column in COLUMNS if any(row[column] for row in rows.values())]
    wide = {
        column: max(len(column), *(len(plain.cell(row[column])) for row in rows.values()))
        for column in shown
    }
    first = max(len("setting"), *map(len, rows))
    if first + sum(2 + width for width in wide.values()) > style.width:
        yield from _blocks(rows, shown, style)
        return
    yield "  ".join(["setting".ljust(first), *(name.ljust(wide[name]) for name in shown)]).rstrip()
    for setting, row in rows.items():
        words = [setting.ljust(first)]
        for column in shown:
            pad = wide[column] - len(plain.cell(row[column]))
            words.append(style.cell(row[column]) + " " * pad)
        yield "  ".join(words).rstrip()


def _blocks(
    rows: Mapping[str, Mapping[str, Cell]], shown: Sequence[str], style: Style
) -> Iterable[str]:
    width = max(map(len, shown))
    for setting, row in rows.items():
        yield setting
        for column in shown:
            if row[column]:
                yield f"  {column.ljust(width)}  {style.cell(row[column])}"


def _of_study(status: StudyStatus, style: Style) -> Iterable[str]:
    yield ""
    yield "of the whole study"
    for word, cell in of_study(status).items():
        yield f"  {word:<8}  {style.cell(cell)}"


def _of_snakemake(status: StudyStatus) -> str:
    if not status.locks:
        return "this file system has no locks, so which jobs run cannot be seen"
    if not status.snakemake.held:
        return "no snakemake is at work in this folder"
    return f"snakemake is at work: {status.snakemake.holder or 'it does not say who it is'}"


def _running(status: StudyStatus, style: Style) -> Iterable[str]:
    jobs = status.of(State.RUNNING)
    if jobs:
        yield ""
    for found in jobs[:NAMED]:
        words = [style.symbols[State.RUNNING], found.job.stage, found.job.key]
        words += [bar_in_words(found.bar)] if found.bar else []
        if found.holder is not None and found.holder.host != platform.node():
            words.append(f"on {found.holder.host}")
        yield style.painted(" ".join(words), State.RUNNING)
    yield from _more(jobs, "run")


def bar_in_words(bar: Bar) -> str:
    """Return how far a training is: ``86 of 200 steps, 16 s left``."""
    left = "" if bar.left is None else f", {plain_duration(bar.left)} left"
    return f"({bar.done:,} of {bar.total:,} steps{left})"


def _ended(status: StudyStatus, style: Style, state: State, what: str) -> Iterable[str]:
    """Yield the jobs that ended in a state short of their end, and the last words of each."""
    jobs = status.of(state)
    if jobs:
        yield ""
    for found in jobs[:NAMED]:
        words = f"{style.symbols[state]} {found.job.stage} {found.job.key}: {found.log}"
        yield style.painted(words, state)
        yield f"    {found.error}"
    yield from _more(jobs, what)


def _stale(status: StudyStatus) -> Iterable[str]:
    if status.of(State.STALE):
        yield ""
        yield "what is stale, and why: python -m disobey why (make why)"


def _more(jobs: Sequence[JobStatus], what: str) -> Iterable[str]:
    if len(jobs) > NAMED:
        yield f"  and {len(jobs) - NAMED:,} more that {what}"


def left_in_words(status: StudyStatus) -> str:
    """Return what is left to do and, as far as it was measured, how long that takes."""
    left = status.left
    if not left.jobs:
        return "nothing is left to be done"
    words = f"left: {left.jobs:,} job{'s' if left.jobs > 1 else ''}"
    if left.unknown == left.jobs:
        return f"{words}; how long they take is unknown, nothing like them has been measured yet"
    if status.at_once:
        words += f", {about(left, left.wall(status.at_once))} at the rate of this run so far"
    else:
        words += f", {about(left, left.seconds)} of jobs, one after another"
    if left.unknown:
        words += unlike(left)
    return words


def about(left: Left, seconds: float) -> str:
    """Return a duration that is measured in part or as a whole."""
    return f"{'at least' if left.unknown else 'about'} {plain_duration(seconds)}"


def unlike(left: Left) -> str:
    """Return how many jobs no time is known of, as a remark behind the time of the others."""
    jobs = "1 job is" if left.unknown == 1 else f"{left.unknown:,} jobs are"
    return f" ({jobs} like nothing that has been measured yet)"


def plain_duration(seconds: float) -> str:
    """Return ``1 h 02 min`` with spaces that every terminal knows."""
    return duration(seconds).replace(NBSP, " ")


def write(text: Iterable[str]) -> None:
    """Print lines; what the encoding of the terminal lacks becomes a question mark."""
    encoding = sys.stdout.encoding or "ascii"
    for line in text:
        print(line.encode(encoding, "replace").decode(encoding))
