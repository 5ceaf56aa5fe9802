"""``python -m disobey status [STUDY]``: what is done, running, stale, stopped, failed, missing.

Looks only, while Snakemake works or not: it takes no lock and writes no file.
"""

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from disobey.errors import UserError
from disobey.status.states import JobStatus, State, StudyStatus, study_status
from disobey.status.words import Style, cells, lines, of_study, write
from disobey.stores.contents import nothing_kept
from disobey.study.digests import CodeDigests
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.tools.described import described
from disobey.tools.why import CAPTIONS

SHORTEST_WATCH, LONGEST_WATCH = 1.0, 86_400.0  # seconds
CLEAR = "\033[H\033[2J\033[3J"


def main(arguments: Sequence[str]) -> int:
    """Print how a study stands; 2 where the study file cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m disobey status", description=described(__doc__)
    )
    parser.add_argument("study", nargs="?", default="config.yaml")
    parser.add_argument("--captions", type=Path, default=CAPTIONS)
    parser.add_argument("--json", action="store_true", help="all jobs, for scripts")
    parser.add_argument(
        "--watch", nargs="?", type=_seconds, const=10.0, metavar="SECONDS",
        help="look again every so often, until Ctrl-C (default: 10)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        while True:
            _show(status_of(options.study, options.captions), options)
            if options.watch is None:
                return 0
            time.sleep(max(SHORTEST_WATCH, options.watch))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


def _seconds(text: str) -> float:
    """Return the seconds between two looks."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= LONGEST_WATCH:
        words = f"must be a number of seconds above 0, {LONGEST_WATCH:,.0f} (a day) at most"
        raise argparse.ArgumentTypeError(f"{words}; got {text}")
    return seconds


def status_of(study: str, captions: Path = CAPTIONS) -> StudyStatus:
    """Return how the study of a file stands in this folder.

    Raises
    ------
    UserError
        Where the file cannot be used.
    """
    with nothing_kept():
        return study_status(make_plan(load_study(study)), CodeDigests(captions))


def _show(status: StudyStatus, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(as_json(status), indent=1), flush=True)
        return
    style = Style.of(sys.stdout)
    text = list(lines(status, style))
    if options.watch is not None:
        if sys.stdout.isatty():
            sys.stdout.write(CLEAR)
        text.insert(0, time.strftime("%Y-%m-%d %H:%M:%S"))
    write(text)
    sys.stdout.flush()


def as_json(status: StudyStatus) -> dict[str, Any]:
    """Return the whole account as plain values; times are seconds."""
    counts = Counter(job.state for job in status.jobs.values())
    holder = status.snakemake.holder if status.snakemake.held else None
    return {
        "study": status.plan.study,
        "snakemake": {"at_work": status.snakemake.held, "holder": str(holder) if holder else None},
        "locks": status.locks,
        "counts": {state: counts[state] for state in State},
        "left": vars(status.left),
        "settings": {
            setting: {column: dict(cell) for column, cell in row.items()}
            for setting, row in cells(status).items()
        },
        "of_study": {word: dict(cell) for word, cell in of_study(status).items()},
        "jobs": [_job(job) for job in status.jobs.values()],
    }


def _job(found: JobStatus) -> dict[str, Any]:
    return {
        "stage": found.job.stage,
        "key": found.job.key,
        "state": found.state,
        "manifest": found.job.manifest,
        "log": str(found.log),
        "reasons": list(found.reasons),
        "error": found.error,
        "bar": None if found.bar is None else vars(found.bar),
        "holder": None if found.holder is None else vars(found.holder),
    }
