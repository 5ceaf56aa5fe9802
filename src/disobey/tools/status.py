"""``python -m disobey status [STUDY]``: what is done, running, stale, stopped, failed, missing.

Looks only, while Snakemake works or not: it takes no lock and writes no file.
"""

import argparse
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from disobey.errors import UserError
from disobey.status.durations import plain_duration
from disobey.status.states import JobStatus, State, StudyStatus, study_status
from disobey.stores.contents import nothing_kept
from disobey.stores.layout import BESIDE
from disobey.study.digests import CodeDigests
from disobey.study.jobs import Plan
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.tools import described

# The columns of the table by stage; trainings are told apart by who they are.
COLUMNS = ("data", "teachers", "students", "logits", "analysis")
COLUMN_OF = (
    dict.fromkeys(("prepare", "labels", "pretrained", "basis"), "data")
    | dict.fromkeys(("dump", "compared", "classify", "views"), "logits")
    | dict.fromkeys(("confidence", *BESIDE), "analysis")
)
OF_STUDY = ("table", "figure", "explorer", "report")
NAMED = 10  # jobs of a state that are named [our choice]: a cluster may run hundreds
CLEAR = "\033[H\033[2J\033[3J"

Name = tuple[str, str]


def main(arguments: Sequence[str]) -> int:
    """Print how far a study is; 2 if the study file cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m disobey status", description=described(__doc__)
    )
    parser.add_argument("study", nargs="?", default="config.yaml")
    parser.add_argument("--json", action="store_true", help="all jobs, for scripts")
    parser.add_argument(
        "--watch", nargs="?", type=int, choices=range(1, 86_401), const=10, metavar="SECONDS",
        help="look again every so often, until Ctrl-C (default: 10)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        while True:
            _show(status_of(options.study), options)
            if options.watch is None:
                return 0
            time.sleep(options.watch)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


def status_of(study: str) -> StudyStatus:
    """Return how far the study of a file is in this folder.

    Raises
    ------
    UserError
        If the file cannot be used.
    """
    with nothing_kept():
        return study_status(make_plan(load_study(study)), CodeDigests())


def _show(status: StudyStatus, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(as_json(status), indent=1), flush=True)
        return
    text = "\n".join(lines(status))
    if options.watch is not None:
        clear = CLEAR if sys.stdout.isatty() else ""
        text = f"{clear}{time.strftime('%Y-%m-%d %H:%M:%S')}\n{text}"
    print(text, flush=True)


def lines(status: StudyStatus) -> Iterable[str]:
    """Yield the whole account: table, running jobs, failed jobs, what is left."""
    counts = Counter(job.state for job in status.jobs.values())
    words = ", ".join(f"{counts[state]:,} {state}" for state in State if counts[state])
    yield f"study {status.plan.study}: {counts.total():,} jobs: {words}"
    if not status.locks:
        yield "this file system has no locks, so running jobs cannot be seen"
    elif status.snakemake.held:
        yield f"snakemake is at work: {status.snakemake.holder or 'its process is unknown'}"
    else:
        yield "no snakemake is at work in this folder"
    yield ""
    yield from _table(status)
    yield from _named(status, State.RUNNING)
    yield from _named(status, State.STOPPED)
    yield from _named(status, State.FAILED)
    if status.of(State.STALE):
        yield ""
        yield "which jobs are stale, and why: python -m disobey why (make why)"
    yield ""
    yield left_in_words(status)


def _table(status: StudyStatus) -> Iterable[str]:
    """Yield settings x stages, then the whole study: jobs done of all."""
    rows = jobs_of_settings(status.plan)
    shown = [column for column in COLUMNS if any(row[column] for row in rows.values())]
    table = [["done of all", *shown]]
    table += [[name, *(_cell(status, row[column]) for column in shown)]
              for name, row in rows.items()]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        yield "  ".join(map(str.ljust, line, widths)).rstrip()
    yield ", ".join(f"{stage} {_cell(status, names)}" for stage, names in _of_study(status).items())


def _of_study(status: StudyStatus) -> dict[str, list[Name]]:
    return {stage: [name for name in status.jobs if name[0] == stage] for stage in OF_STUDY}


def _cell(status: StudyStatus, names: Sequence[Name]) -> str:
    return f"{_count(status, names)[State.DONE]}/{len(names)}" if names else ""


def _count(status: StudyStatus, names: Iterable[Name]) -> Counter[State]:
    return Counter(status.jobs[name].state for name in names)


def jobs_of_settings(plan: Plan) -> dict[str, dict[str, list[Name]]]:
    """Return the jobs of each setting by column; one that several settings share is in each.

    The students' column holds references and placebos too; data is everything before a training.
    """
    by_manifest = {job.manifest: name for name, job in plan.jobs.items()}
    found: dict[str, dict[str, list[Name]]] = {}
    for setting, runs in plan.settings.items():
        # Its analyses, and those of its snapshots, read everything else directly or indirectly.
        key = f"{plan.study}/{setting}"
        waiting = [name for name in plan.jobs if COLUMN_OF.get(name[0]) == "analysis"
                   and name[1].partition("@")[0] == key]  # fmt: skip
        own = set(waiting)
        while waiting:
            job = waiting.pop()
            new = {by_manifest[path] for path in plan.jobs[job].inputs} - own
            # A teacher's own teacher belongs to another setting.
            if job[0] == "train" and job[1] in runs.teachers:
                new = {name for name in new if COLUMN_OF.get(name[0]) == "data"}
            own |= new
            waiting += new
        row: dict[str, list[Name]] = {column: [] for column in COLUMNS}
        for name in plan.jobs:
            if name in own:
                teacher = "teachers" if name[1] in runs.teachers else "students"
                row[COLUMN_OF.get(name[0], teacher)].append(name)
        found[setting] = row
    return found


def _named(status: StudyStatus, state: State) -> Iterable[str]:
    """Yield the jobs of a state with their bars or last words."""
    jobs = status.of(state)
    if jobs:
        yield ""
    for found in jobs[:NAMED]:
        words = f"{state}: {found.job.stage} {found.job.key}"
        if found.bar:
            left = found.bar.left
            ending = "" if left is None else f", {plain_duration(left)} left"
            words += f" ({found.bar.done:,} of {found.bar.total:,} steps{ending})"
        if found.holder is not None and found.holder.host != platform.node():
            words += f" on {found.holder.host}"
        yield words
        if found.error is not None:
            yield f"    {found.error}"
            yield f"    {found.log}"
    if len(jobs) > NAMED:
        yield f"  and {len(jobs) - NAMED:,} more"


def left_in_words(status: StudyStatus) -> str:
    """Return what is left to do and, as far as it was measured, how long that takes."""
    left = status.left
    if not left.jobs:
        return "nothing is left to be done"
    words = f"left: {left.jobs:,} job{'s' if left.jobs > 1 else ''}"
    if left.unknown == left.jobs:
        return f"{words}; time unknown: nothing like them has been measured yet"
    if status.at_once:
        return f"{words}, {left.in_words(left.wall(status.at_once))}; at the rate of this run"
    return f"{words}, {left.in_words(left.seconds)}; one job after another"


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
            setting: {column: _count(status, names) for column, names in row.items()}
            for setting, row in jobs_of_settings(status.plan).items()
        },
        "of_study": {stage: _count(status, names) for stage, names in _of_study(status).items()},
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
