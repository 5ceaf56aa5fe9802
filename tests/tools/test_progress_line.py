"""The progress line of Snakemake shows jobs done of total, elapsed time and time left."""

import io
import logging
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from made_stores import make

from disobey.progress import EVERY, ProgressLine
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.staleness import CodeDigests

STUDY = """
study: small
seeds: [0, 1, 2]
datasets: {d: {source: builtin, name: digits}}
models: {m: {family: mlp, hidden: [4]}}
recipes: {r: {optimizer: sgd, lr: 0.1, epochs: 1}}
settings: {s: {dataset: d, teacher: m, student: m, recipe: r, distill: {temperature: 2}}}
"""


class Run:
    """A simulated run of Snakemake: its log records, and a clock that tests set."""

    def __init__(self, plan, names, local=True):
        self.jobs = [plan.jobs[name] for name in names]
        self.now, self.done, self.printed = 0.0, 0, io.StringIO()
        made = [job.manifest for job in self.jobs]
        self.line = ProgressLine(
            plan, lambda: made, local=local, stream=self.printed, clock=lambda: self.now
        )

    def tell(self, event, **facts):
        record = logging.makeLogRecord({"event": event, "levelno": logging.INFO, **facts})
        self.line.handle(record)

    def start(self, index):
        self.tell("job_info", jobid=index, output=["store", self.jobs[index].manifest])

    def finish(self, index):
        self.done += 1
        self.tell("job_finished", job_id=index)
        self.tell("progress", done=self.done, total=len(self.jobs))

    @property
    def last(self):
        return self.printed.getvalue().splitlines()[-1]


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(STUDY)
    plan = make_plan(load_study("study.yaml"))
    one_hot = [name for name in plan.jobs if name[0] == "train" and "onehot" in name[1]]
    return SimpleNamespace(plan=plan, one_hot=one_hot, digests=CodeDigests())


def test_the_rest_takes_as_long_as_what_was_measured_two_at_a_time(study):
    run = Run(study.plan, study.one_hot)
    assert len(run.jobs) == 6
    for pair in ((0, 1), (2, 3)):
        for index in pair:
            run.start(index)
        run.now += 60
        for index in pair:
            run.finish(index)
    lines = run.printed.getvalue().splitlines()
    # The later line of the second pair comes too soon after the line before.
    assert lines[-1] == (
        "disobey: 3 of 6 jobs (50%), 2 min 00 s so far, time left: about 1 min 00 s"
    )


def test_a_job_under_way_is_counted_by_what_is_left_of_it(study):
    run = Run(study.plan, study.one_hot[:2])
    run.start(0)
    run.now = 100
    run.finish(0)
    run.start(1)
    run.now = 130
    run.tell("progress", done=1, total=2)
    assert run.last.endswith("1 of 2 jobs (50%), 2 min 10 s so far, time left: about 1 min 10 s")


def test_nothing_is_said_of_the_time_before_anything_like_it_was_measured(study):
    students = [name for name in study.plan.jobs if "kd" in name[1] and name[0] == "train"]
    run = Run(study.plan, [*study.one_hot[:2], students[0]])
    run.start(0)
    run.now = 10
    run.finish(0)
    assert re.search(r"time left: at least 10\.0 s, without 1 job like none", run.last)
    run.start(1)
    run.now = 20
    run.finish(1)
    assert run.last.endswith(
        "time left: unknown: nothing like the other jobs has been measured yet"
    )


def test_what_earlier_runs_measured_counts(study):
    for name in (("prepare", "digits-897448d336af"), study.one_hot[0]):
        make(study.plan.jobs[name], study.digests, seconds=50.0)
    run = Run(study.plan, study.one_hot[1:3])
    run.start(0)
    run.now = 50
    run.finish(0)
    assert run.last.endswith("time left: about 50.0 s")


def test_what_a_failed_job_keeps_from_running_is_not_waited_for(study):
    stages = ("train", "dump", "confidence")
    run = Run(study.plan, [name for name in study.plan.jobs if name[0] in stages])
    for index in (0, 1):
        run.start(index)
    run.now = 10
    run.tell("job_error", jobid=0)
    left = run.line._what_is_left(run.now)
    names = [name for name in study.plan.jobs if name[0] in stages]
    failed = names[0][1]  # a teacher, and with it four jobs downstream
    student = next(name[1] for name in names if failed in str(study.plan.jobs[name].inputs)
                   and name[0] == "train")  # fmt: skip
    assert student != failed
    assert left.jobs == len(names) - 5


def test_on_a_cluster_waiting_in_a_queue_is_no_work(study):
    make(study.plan.jobs["prepare", "digits-897448d336af"], study.digests)
    run = Run(study.plan, study.one_hot[:3], local=False)
    for index in range(3):
        run.start(index)
    make(run.jobs[0], study.digests, seconds=20.0)
    run.now = 100
    run.finish(0)
    assert run.last.endswith("time left: about 3 min 20 s")  # 20 s of work in 100 s, and 40 s to do


def test_a_manifest_that_the_cluster_has_not_shown_yet_is_done_without_a_duration(study, capsys):
    """The duration is in the manifest; without it there is no measurement for similar jobs."""
    run = Run(study.plan, study.one_hot[:2], local=False)
    run.start(0)
    run.now = 100
    run.finish(0)
    assert run.last.endswith(
        "1 of 2 jobs (50%), 1 min 40 s so far, time left: unknown: nothing like the other jobs has "
        "been measured yet"
    )
    assert capsys.readouterr().err == ""  # logging would print errors of its handlers here


def test_jobs_of_another_workflow_count_for_nothing(study, capsys):
    """A workflow that uses this one as a module has other jobs, with or without outputs."""
    run = Run(study.plan, study.one_hot[:2])
    run.start(0)
    for number, output in ((7, ["mine.txt"]), (8, [])):
        run.tell("job_info", jobid=number, output=output)
        run.now += 30
        run.tell("job_finished" if number == 7 else "job_error", jobid=number, job_id=number)
    run.finish(0)
    assert run.last.endswith("1 of 2 jobs (50%), 1 min 00 s so far, time left: about 1 min 00 s")
    assert capsys.readouterr().err == ""


def test_lines_are_some_seconds_apart_but_for_the_last_one(study):
    run = Run(study.plan, study.one_hot)
    for index in range(6):
        run.start(index)
        run.now += 1
        run.finish(index)
    lines = run.printed.getvalue().splitlines()
    assert EVERY > 6 and len(lines) == 2
    assert lines[-1] == "disobey: 6 of 6 jobs (100%) in 6.0 s"


def test_a_record_that_is_not_understood_does_not_end_the_work(study, capsys, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    run = Run(study.plan, study.one_hot)
    run.tell("job_info", jobid=1)
    run.tell("resources_info")
    run.start(0)
    run.finish(0)
    assert "1 of 6 jobs" in run.last
