"""``python -m disobey status [STUDY]``: show which jobs are done, running, stale or failed.

The command only reads: it takes no lock and writes no file, so it can run beside Snakemake.
"""

import json
import platform
import re
import sys
import time
from calendar import timegm
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from disobey.lease import LEASE
from disobey.locks import Holder, Seen, look_at
from disobey.progress import Durations, Left, left_of, plain_duration
from disobey.stores.contents import nothing_kept
from disobey.stores.layout import BESIDE, lock_of, log_of
from disobey.stores.manifest import Manifest
from disobey.study.jobs import Name, Plan, PlannedJob
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.staleness import CodeDigests, Manifests, why
from disobey.tools import STUDY, argument_parser, tool, whole_number

TAIL = 64 << 10  # bytes read at the end of a log, for errors and the last state of a bar
# ``43%|####3     | 86/200 [00:12<00:16, 7.03step/s, loss=0.4]``, as tqdm writes it
BAR = re.compile(
    r"\d+%\|.*?\| (?P<done>\d+)/(?P<total>\d+) \[(?P<elapsed>[\d:]+)<(?P<left>[\d:]+|\?)"
    r"(?:, *(?P<rate>[\d.]+)(?P<unit>step/s|s/step))?"
)
TRACEBACK = "Traceback (most recent call last)"
# A stopped training prints its progress and the place of its state; other jobs just end.
STOPPED = re.compile(r"disobey train: stopped by SIG\w+ at step |KeyboardInterrupt$")


State = StrEnum("State", ["DONE", "RUNNING", "STALE", "STOPPED", "FAILED", "MISSING"])


class Bar(NamedTuple):
    """Steps of a training from its log; remaining and total seconds, at its latest rate."""

    done: int
    total: int
    left: float | None = None
    whole: float | None = None


@dataclass(frozen=True)
class JobStatus:
    """The state of one job.

    ``reasons`` are those why a stale job would run again, ``error`` is the log line that best
    explains why a job failed or stopped, and ``bar`` and ``holder`` belong to a running job.
    """

    job: PlannedJob
    state: State
    reasons: tuple[str, ...] = ()
    error: str | None = None
    bar: Bar | None = None
    holder: Holder | None = None

    @property
    def log(self) -> Path:
        """The path of the job's log."""
        return Path(log_of(self.job.stage, self.job.key))


@dataclass(frozen=True)
class StudyStatus:
    """The state of a study.

    ``snakemake`` is the lease of this folder, ``left`` the remaining work, and ``at_once`` the
    seconds of jobs that the running Snakemake finishes per second. Without ``locks`` on the file
    system, running jobs cannot be detected.
    """

    plan: Plan
    jobs: dict[Name, JobStatus]
    snakemake: Seen
    left: Left
    at_once: float | None = None
    locks: bool = True

    def count(self, names: Iterable[Name]) -> Counter[State]:
        """Count jobs by state."""
        return Counter(self.jobs[name].state for name in names)

    @property
    def of_study(self) -> dict[str, list[Name]]:
        """The jobs of the whole study, by stage."""
        return {stage: [name for name in self.jobs if name[0] == stage] for stage in OF_STUDY}


def study_status(plan: Plan, digests: CodeDigests) -> StudyStatus:
    """Return the present state of a study."""
    manifests = Manifests()
    reasons = why(plan, digests, manifests)
    locks = {name: look_at(lock_of(job.manifest)) for name, job in plan.jobs.items()}
    jobs = {
        name: _status_of(job, tuple(reasons.get(name, ())), manifests, locks[name])
        for name, job in plan.jobs.items()
    }
    lease = look_at(LEASE)
    real = lease.real and all(seen.real for seen in locks.values())
    at_once = _at_once(jobs.values(), manifests, lease)
    return StudyStatus(plan, jobs, lease, _what_is_left(plan, jobs.values()), at_once, real)


def _status_of(
    job: PlannedJob, reasons: tuple[str, ...], manifests: Manifests, lock: Seen
) -> JobStatus:
    log = JobStatus(job, State.MISSING).log
    if lock.held:
        bar = last_bar(log) if job.stage == "train" else None
        return JobStatus(job, State.RUNNING, bar=bar, holder=lock.holder)
    if manifests.get(job.manifest) is not None:
        return JobStatus(job, State.STALE if reasons else State.DONE, reasons)
    said, is_error = last_words(log, job.stage)
    if said is not None and STOPPED.match(said):
        return JobStatus(job, State.STOPPED, error=said)
    if is_error:
        return JobStatus(job, State.FAILED, error=said)
    if lock.holder is not None:
        words = f"was killed, perhaps for its memory: {lock.holder}"
        return JobStatus(job, State.FAILED, error=words)
    return JobStatus(job, State.MISSING)


def last_words(log: Path, stage: str) -> tuple[str | None, bool]:
    """Return the line of a log that best explains why its job ended, and True for an error.

    It is a line ``disobey <stage>: ...`` for an error of ours, or the last line of a traceback.
    """
    lines = [line for line in _lines(log) if line.strip() and not BAR.search(line)]
    own = [line for line in lines if line.startswith(f"disobey {stage}: ")]
    if own:
        return own[-1].strip(), True
    starts = [index for index, line in enumerate(lines) if TRACEBACK in line]
    if starts:  # frames are indented; the message may have several lines
        raised = [line for line in lines[starts[-1] + 1 :] if not line[0].isspace()]
        return (raised or lines[-1:])[0].strip(), True
    return (lines[-1].strip() if lines else None), False


def last_bar(log: Path) -> Bar | None:
    """Return the latest state of a job's progress bar, or None if its log has none."""
    found = None
    for line in _lines(log):
        found = BAR.search(line) or found
    if found is None:
        return None
    done, total, rate = int(found["done"]), int(found["total"]), float(found["rate"] or 0)
    if not rate:
        return Bar(done, total)
    per_step = 1 / rate if found["unit"] == "step/s" else rate
    return Bar(done, total, (total - done) * per_step, total * per_step)


def _lines(log: Path) -> list[str]:
    """Return the lines at the end of a log; each state of a progress bar is a line."""
    try:
        with open(log, "rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - TAIL))
            return re.split(r"[\r\n]+", stream.read().decode("utf-8", "replace"))
    except OSError:
        return []


def _what_is_left(plan: Plan, jobs: Collection[JobStatus]) -> Left:
    """Return the remaining work, from durations in manifests and bars of running trainings."""
    durations = Durations(plan)
    for found in jobs:
        if found.bar and found.bar.whole is not None and durations.of(found.job) is None:
            durations.learn(found.job, found.bar.whole)
    todo = [found for found in jobs if found.state != State.DONE]
    seconds = {found.job.manifest: _seconds_left(found, durations) for found in todo}
    return left_of((found.job for found in todo), seconds)


def _seconds_left(found: JobStatus, durations: Durations) -> float | None:
    if found.bar is not None and found.bar.left is not None:
        return found.bar.left
    whole = durations.of(found.job)
    if whole is None or found.holder is None:
        return whole
    return max(0.0, whole - (time.time() - _stamp(found.holder.since)))


def _at_once(jobs: Iterable[JobStatus], manifests: Manifests, lease: Seen) -> float | None:
    """Return the seconds of jobs finished per second since the running Snakemake started."""
    if not lease.held or lease.holder is None:
        return None
    begun, now, work = _stamp(lease.holder.since), time.time(), 0.0
    for found in jobs:
        manifest = manifests.get(found.job.manifest)
        if found.holder is not None:
            work += now - max(begun, _stamp(found.holder.since))
        elif found.state == State.DONE and isinstance(manifest, Manifest):
            written = _stamp(manifest.record["written"], "%Y-%m-%dT%H:%M:%SZ")
            work += manifest.record["seconds"] if written >= begun else 0.0
    return work / (now - begun) if now > begun else None


def _stamp(since: str, form: str = "%Y-%m-%d %H:%M:%S UTC") -> float:
    """Return the Unix time of a lock holder's ``since``, or of a time in another format."""
    return timegm(time.strptime(since, form))


# The columns of the table by stage; trainings have a column per role.
COLUMNS = ("data", "teachers", "students", "logits", "analysis")
COLUMN_OF = (
    dict.fromkeys(("prepare", "labels", "pretrained", "basis"), "data")
    | dict.fromkeys(("dump", "compared", "classify", "views"), "logits")
    | dict.fromkeys(("confidence", *BESIDE), "analysis")
)
OF_STUDY = ("table", "figure", "explorer", "report")
NAMED = 10  # most jobs named per state [our choice]: a cluster may run hundreds
CLEAR = "\033[H\033[2J\033[3J"


@tool
def main(arguments: Sequence[str]) -> int:
    """Print the progress of a study; return 2 if the study file cannot be used."""
    parser = argument_parser("status", __doc__)
    parser.add_argument("study", nargs="?", default="config.yaml", help=STUDY)
    parser.add_argument("--json", action="store_true", help="print all jobs as JSON, for scripts")
    parser.add_argument(
        "--watch", nargs="?", type=whole_number(1, 86_400), const=10, metavar="SECONDS",
        help="refresh every SECONDS until Ctrl-C (default: 10)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    clear = CLEAR if sys.stdout.isatty() else ""
    try:
        while True:
            with nothing_kept():
                status = study_status(make_plan(load_study(options.study)), CodeDigests())
            text = "\n".join(lines(status))
            if options.json:
                text = json.dumps(as_json(status), indent=1)
            elif options.watch is not None:
                text = f"{clear}{time.strftime('%Y-%m-%d %H:%M:%S')}\n{text}"
            print(text, flush=True)
            if options.watch is None:
                return 0
            time.sleep(options.watch)
    except KeyboardInterrupt:
        return 0


def lines(status: StudyStatus) -> Iterable[str]:
    """Yield the lines of the output: table, running jobs, failed jobs and remaining work."""
    counts = status.count(status.jobs)
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
    for state in (State.RUNNING, State.STOPPED, State.FAILED):
        yield from _named([job for job in status.jobs.values() if job.state == state])
    if counts[State.STALE]:
        yield ""
        yield "which jobs are stale, and why: python -m disobey why (make why)"
    yield ""
    yield left_in_words(status)


def _table(status: StudyStatus) -> Iterable[str]:
    """Yield a table of finished jobs out of all jobs: settings x stages, then the whole study."""

    def cell(names: Sequence[Name]) -> str:
        return f"{status.count(names)[State.DONE]}/{len(names)}" if names else ""

    rows = jobs_of_settings(status.plan)
    shown = [column for column in COLUMNS if any(row[column] for row in rows.values())]
    table = [["done of all", *shown]]
    table += [[name, *(cell(row[column]) for column in shown)] for name, row in rows.items()]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        yield "  ".join(map(str.ljust, line, widths)).rstrip()
    yield ", ".join(f"{stage} {cell(names)}" for stage, names in status.of_study.items())


def jobs_of_settings(plan: Plan) -> dict[str, dict[str, list[Name]]]:
    """Return the jobs of each setting by column; a shared job appears in each of its settings.

    The students' column includes references and placebos; "data" is everything before a training.
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


def _named(jobs: Sequence[JobStatus]) -> Iterable[str]:
    """Yield a line for each job of one state, with its progress bar or its error."""
    if jobs:
        yield ""
    for found in jobs[:NAMED]:
        words = f"{found.state}: {found.job.stage} {found.job.key}"
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
    """Describe the remaining work and, as far as it is known, its duration."""
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
    """Return the whole output as plain values; times are in seconds."""
    counts = status.count(status.jobs)
    holder = status.snakemake.holder if status.snakemake.held else None
    return {
        "study": status.plan.study,
        "snakemake": {"at_work": status.snakemake.held, "holder": str(holder) if holder else None},
        "locks": status.locks,
        "counts": {state: counts[state] for state in State},
        "left": vars(status.left),
        "settings": {
            setting: {column: status.count(names) for column, names in row.items()}
            for setting, row in jobs_of_settings(status.plan).items()
        },
        "of_study": {stage: status.count(names) for stage, names in status.of_study.items()},
        "jobs": [_job(job) for job in status.jobs.values()],
    }


def _job(found: JobStatus) -> dict[str, Any]:
    job = found.job
    own = {key: value for key, value in vars(found).items() if key != "job"}
    return {"stage": job.stage, "key": job.key, "manifest": job.manifest} | own | {
        "log": str(found.log),
        "bar": None if found.bar is None else found.bar._asdict(),
        "holder": None if found.holder is None else vars(found.holder),
    }  # fmt: skip
