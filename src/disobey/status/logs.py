"""What logs say: of a job its bar and its last words, of Snakemake which jobs failed.

Only read here. A job's log is written anew with every attempt; Snakemake keeps one log for each of
its calls, below ``.snakemake/log``.
"""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

SNAKEMAKES_LOGS = Path(".snakemake/log")
HEAD = 8 << 10  # characters: what Snakemake was called with
TAIL = 64 << 10  # bytes: errors and the last state of a bar stand at the end
# Of all of Snakemake's logs together, newest first [our choice]: what is older tells nothing more.
MOST_READ = 64 << 20

# ``43%|####3     | 86/200 [00:12<00:16, 7.03step/s, loss=0.4]``, as tqdm writes it
BAR = re.compile(
    r"\d+%\|.*?\| (?P<done>\d+)/(?P<total>\d+) \[(?P<elapsed>[\d:]+)<(?P<left>[\d:]+|\?)"
    r"(?:, *(?P<rate>[\d.]+)(?P<unit>step/s|s/step))?"
)
TRACEBACK = "Traceback (most recent call last)"
# A training says how far it came and where its state is; other jobs just end.
STOPPED = re.compile(r"disobey train: stopped by SIG\w+ at step |KeyboardInterrupt$")

STARTED = re.compile(r"\s*(?:local)?rule (\w+):$")
FAILED = re.compile(r"\s*Error in rule (\w+):$")
FIELD = re.compile(r"\s+(message|jobid|output): (.+)$")
FINISHED = re.compile(r"Finished jobid: (\d+) ")
AGAIN = re.compile(r"Trying to restart job (\d+)\.")
CONFIG = re.compile(r"  Config file\(s\): \[(.+)\]$")


@dataclass(frozen=True)
class Bar:
    """How far a training is, as its log says.

    Attributes
    ----------
    done, total : int
        Steps.
    left : float or None
        Seconds until its end, by the rate of its last steps.
    whole : float or None
        Seconds that all steps take at that rate.
    """

    done: int
    total: int
    left: float | None
    whole: float | None


def last_bar(log: Path) -> Bar | None:
    """Return the newest state of a job's bar, or None where its log has none."""
    bars = [match for line in _lines(log) if (match := BAR.search(line))]
    if not bars:
        return None
    found = bars[-1]
    done, total = int(found["done"]), int(found["total"])
    if not found["rate"] or float(found["rate"]) == 0:
        return Bar(done, total, None, None)
    rate = float(found["rate"])
    per_step = 1 / rate if found["unit"] == "step/s" else rate
    return Bar(done, total, (total - done) * per_step, total * per_step)


def last_words(log: Path, stage: str) -> str | None:
    """Return the line of a log that says most of why its job ended.

    An error of ours is one line, ``disobey <stage>: ...``; of a traceback it is the last one; else
    the last line that is neither empty nor a bar.
    """
    lines = [line for line in _lines(log) if line.strip() and not BAR.search(line)]
    own = [line for line in lines if line.startswith(f"disobey {stage}: ")]
    if own:
        return own[-1].strip()
    starts = [index for index, line in enumerate(lines) if TRACEBACK in line]
    if starts:  # indented are its frames; what was raised may have further lines of its own
        raised = [line for line in lines[starts[-1] + 1 :] if not line[0].isspace()]
        return raised[0].strip() if raised else lines[-1].strip()
    return lines[-1].strip() if lines else None


def was_stopped(log: Path, stage: str) -> bool:
    """Return whether a job ended because a signal asked it to, by its last words."""
    return STOPPED.match(last_words(log, stage) or "") is not None


def ended_badly(log: Path, stage: str) -> bool:
    """Return whether a log ends with an error of ours or holds a traceback."""
    return any(
        line.startswith(f"disobey {stage}: ") or TRACEBACK in line for line in _lines(log)[-200:]
    )


def _lines(log: Path) -> list[str]:
    """Return the lines at the end of a log; a bar that was rewritten in place has many."""
    try:
        with open(log, "rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - TAIL))
            return re.split(r"[\r\n]+", stream.read().decode("utf-8", "replace"))
    except OSError:
        return []


# --- Snakemake's own logs -------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """The last thing that Snakemake's logs say of a job.

    Attributes
    ----------
    kind : str
        ``started``, ``finished``, ``failed``, or ``again``: failed, and it will be tried again.
    log : Path
        Which of Snakemake's logs says so.
    message : str or None
        What Snakemake, or SLURM through it, adds to a failure.
    """

    kind: str
    log: Path
    message: str | None = None


def snakemakes_logs() -> list[Path]:
    """Return Snakemake's logs, newest first: their names begin with when they were begun."""
    return sorted(SNAKEMAKES_LOGS.glob("*.snakemake.log"), reverse=True)


def begun(log: Path) -> float:
    """Return when a log of Snakemake's was begun, a time stamp; 0 where its name is odd."""
    try:
        moment = datetime.strptime(log.name.removesuffix(".snakemake.log"), "%Y-%m-%dT%H%M%S.%f")
    except ValueError:
        return 0.0
    return time.mktime(moment.timetuple())  # local time, as Snakemake names it


def last_events(manifests: Iterable[str]) -> dict[str, Event]:
    """Return the last event of each job that Snakemake's logs know, by its manifest."""
    wanted, read = set(manifests), 0
    found: dict[str, Event] = {}
    for log in snakemakes_logs():
        missing = wanted - found.keys()
        if not missing or read > MOST_READ:
            break
        text = _text(log)
        read += len(text)
        events = events_in(text, log)
        found |= {name: events[name] for name in missing & events.keys()}
    return found


def events_in(text: str, log: Path) -> dict[str, Event]:
    """Return the last event of each job in the text of one of Snakemake's logs, by manifest."""
    found: dict[str, Event] = {}
    by_number: dict[str, str] = {}
    block: dict[str, str] = {}

    def close_block() -> None:
        if "output" in block:
            manifest = block["output"].split(", ")[-1]  # every rule names its manifest last
            message = block.get("message")
            found[manifest] = Event(block["kind"], log, None if message == "None" else message)
            by_number[block.get("jobid", "")] = manifest
        block.clear()

    for line in text.splitlines():
        if STARTED.match(line) or FAILED.match(line):  # indented in a group of a cluster
            close_block()
            block["kind"] = "started" if STARTED.match(line) else "failed"
        elif block and (field := FIELD.match(line)):
            block.setdefault(*field.groups())
        elif block and line.startswith(" "):
            continue
        else:
            close_block()
            for pattern, kind in ((AGAIN, "again"), (FINISHED, "finished")):
                if (told := pattern.match(line)) and told[1] in by_number:
                    found[by_number[told[1]]] = Event(kind, log)
    close_block()
    return found


def configfiles() -> list[Path]:
    """Return the study files that Snakemake was called with here, whether they are there or not."""
    found: dict[Path, None] = {}
    for log in snakemakes_logs():
        for line in _text(log, HEAD).splitlines():
            if told := CONFIG.match(line):
                found |= dict.fromkeys(map(Path, re.findall(r"Path\('([^']+)'\)", told[1])))
    return list(found)


def _text(log: Path, most: int = MOST_READ) -> str:
    try:
        with open(log, encoding="utf-8", errors="replace") as stream:
            return stream.read(most)
    except OSError:
        return ""
