"""``status`` marks every state, quotes the last words of failed jobs, and writes nothing."""

import errno
import json
import platform
import re
import time
from pathlib import Path

import pytest
from made_stores import SECONDS, everything, make

from disobey.locks import Holder, Lock, Seen, look_at
from disobey.progress import Left, left_of
from disobey.stores.layout import lock_of, log_of
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.staleness import CodeDigests
from disobey.tools.status import (
    BAR,
    OF_STUDY,
    State,
    jobs_of_settings,
    last_bar,
    last_words,
    left_in_words,
    lines,
    main,
    study_status,
)

STUDY = """
study: small
seeds: [0, 1]
datasets: {d: {source: builtin, name: digits, label_noise: {rate: 0.1}}}
models: {m: {family: mlp, hidden: [4]}}
recipes: {r: {optimizer: sgd, lr: 0.1, epochs: 1}}
settings:
  s: {dataset: d, teacher: m, student: m, recipe: r, distill: {temperature: 2}}
  again: {dataset: d, teacher: {setting: s}, student: m, recipe: r, distill: {temperature: 2}}
"""
TRACEBACK = """Traceback (most recent call last):
  File "a.py", line 1, in <module>
    f()
ValueError: the first of two lines
and the second
"""
BARS = (
    "\r  0%|          | 0/90 [00:00<?, ?step/s]\r 33%|###3      | 30/90 [00:10<00:20, 3.00step/s]"
)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(STUDY)
    plan = make_plan(load_study("study.yaml"))
    return plan, CodeDigests()


def first(plan, stage):
    return next(job for (kind, _), job in plan.jobs.items() if kind == stage)


def write_log(job, text):
    log = Path(log_of(job.stage, job.key))
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(text)


def state_of(study, job):
    found = study_status(*study).jobs[job.stage, job.key]
    return found.state, found.error


def test_what_was_made_and_agrees_with_the_plan_is_done(study):
    plan, digests = study
    for job in plan.jobs.values():
        make(job, digests)
    status = study_status(plan, digests)
    assert {found.state for found in status.jobs.values()} == {State.DONE}
    assert left_in_words(status) == "nothing is left to be done"


def test_what_stands_on_other_code_is_stale_and_so_is_all_that_stands_on_it(study):
    plan, digests = study
    for job in plan.jobs.values():
        make(job, digests)
    labels = first(plan, "labels")
    record = json.loads(Path(labels.manifest).read_text())
    Path(labels.manifest).write_text(json.dumps(record | {"code": "other"}))
    states = {name: found.state for name, found in study_status(plan, digests).jobs.items()}
    assert states["prepare", first(plan, "prepare").key] == State.DONE
    assert {states[name] for name in states if name[0] != "prepare"} == {State.STALE}


def test_nothing_begun_is_missing_whatever_log_an_earlier_run_left(study):
    job = first(study[0], "prepare")
    assert state_of(study, job) == (State.MISSING, None)
    write_log(job, f"read 5,000 rows\n{BARS}")
    assert state_of(study, job) == (State.MISSING, None)


def test_a_held_lock_is_a_running_job_and_its_bar_is_read(study):
    job = first(study[0], "train")
    write_log(job, BARS)
    lock = Lock(lock_of(job.manifest))
    assert lock.try_take()
    found = study_status(*study).jobs["train", job.key]
    lock.release(remove=True)
    assert found.state == State.RUNNING
    assert (found.bar.done, found.bar.total, found.bar.left, found.bar.whole) == (30, 90, 20, 30)
    assert found.holder is not None
    assert state_of(study, job)[0] != State.RUNNING


def test_a_lock_that_a_killed_process_left_is_a_failure_that_names_it(study):
    job = first(study[0], "train")
    write_log(job, BARS)
    path = lock_of(job.manifest)
    path.parent.mkdir(parents=True)
    holder = Holder(123, "node7", "2026-01-01 00:00:00 UTC")
    path.write_text(json.dumps(vars(holder)))
    assert state_of(study, job) == (State.FAILED, f"was killed, perhaps for its memory: {holder}")
    assert json.loads(path.read_text()) == vars(holder), "looking must not empty the lock"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("disobey train: the loss became nan\n", "disobey train: the loss became nan"),
        (f"{BARS}\n{TRACEBACK}", "ValueError: the first of two lines"),
    ],
)
def test_a_log_that_ends_with_an_error_is_a_failure_with_its_last_words(study, log, said):
    job = first(study[0], "train")
    write_log(job, log)
    assert state_of(study, job) == (State.FAILED, said)


STOPPED = "disobey train: stopped by SIGINT at step 30 of 90; the same command resumes there"


def test_what_a_signal_asked_to_stop_has_not_failed(study, capsys):
    train, prepare = first(study[0], "train"), first(study[0], "prepare")
    write_log(train, f"{BARS}\n{STOPPED}\n")
    write_log(prepare, TRACEBACK.replace("ValueError: the first of two lines", "KeyboardInterrupt"))
    assert state_of(study, train) == (State.STOPPED, STOPPED)
    assert state_of(study, prepare) == (State.STOPPED, "KeyboardInterrupt")
    assert main(["study.yaml"]) == 0
    shown = capsys.readouterr().out
    assert "2 stopped" in shown and "failed" not in shown and STOPPED in shown


def test_looking_writes_nothing(study, tmp_path, capsys):
    plan, digests = study
    make(first(plan, "prepare"), digests)
    write_log(first(plan, "labels"), TRACEBACK)
    path = lock_of(first(plan, "train").manifest)
    path.parent.mkdir(parents=True)
    path.write_text("who was here")
    before = everything(tmp_path)
    assert main(["study.yaml"]) == 0
    assert "1 done, 1 failed" in capsys.readouterr().out
    assert main(["study.yaml", "--json"]) == 0
    assert everything(tmp_path) == before


def test_a_study_of_own_files_is_looked_at_without_keeping_their_hashes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("sentence,label\n" + "a word,yes\nwords,no\n" * 20)
    mine = (
        "{source: files, name: mine, train: a.csv, test: a.csv, columns: {text: sentence}, "
        "tokenizer: {vocabulary: 300, max_tokens: 8}}"
    )
    text = STUDY.replace("{source: builtin, name: digits, label_noise: {rate: 0.1}}", mine)
    text = text.replace(
        "{family: mlp, hidden: [4]}", "{family: roberta, hidden: 16, layers: 1, heads: 2}"
    )
    Path("study.yaml").write_text(text)
    assert main(["study.yaml"]) == 0
    assert not Path("results").exists()


def test_a_study_that_cannot_be_used_is_refused_in_words(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text("studdy: x\n")
    assert main(["study.yaml"]) == 2
    assert "study.yaml:1" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "86401", "often"])
def test_a_time_between_looks_that_nobody_can_wait_is_refused(study, seconds, capsys):
    with pytest.raises(SystemExit) as left:
        main(["study.yaml", "--watch", seconds])
    assert left.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith(f"argument --watch: '{seconds}' is not a whole number from 1 to 86,400")


def test_json_counts_every_job_once_and_a_shared_one_in_each_setting(study, capsys):
    plan, digests = study
    for stage in ("prepare", "labels"):
        make(first(plan, stage), digests)
    assert main(["study.yaml", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["jobs"]) == sum(told["counts"].values()) == len(plan.jobs)
    assert told["counts"]["done"] == 2
    assert told["settings"]["s"]["data"] == told["settings"]["again"]["data"] == {"done": 2}
    assert told["settings"]["again"]["teachers"] == {"missing": 2}
    assert told["of_study"]["report"] == {"missing": 1}


def test_every_job_stands_in_the_table(study):
    plan, _ = study
    of_settings = jobs_of_settings(plan).values()
    shown = {name for columns in of_settings for names in columns.values() for name in names}
    assert shown | {name for name in plan.jobs if name[0] in OF_STUDY} == set(plan.jobs)


def test_the_table_counts_done_jobs_by_setting_and_stage(study):
    plan, digests = study
    for stage in ("prepare", "labels", "train"):
        make(first(plan, stage), digests)
    table = [line.split() for line in lines(study_status(plan, digests))]
    assert ["done", "of", "all", "data", "teachers", "students", "logits", "analysis"] in table
    assert ["s", "2/2", "1/2", "0/4", "0/6", "0/1"] in table
    assert ["again", "2/2", "0/2", "0/4", "0/6", "0/1"] in table


def test_where_a_file_system_has_no_locks_it_says_that_running_jobs_are_not_seen(
    study, monkeypatch
):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    path = lock_of(first(study[0], "train").manifest)
    path.parent.mkdir(parents=True)
    path.touch()
    assert study_status(*study).locks
    monkeypatch.setattr("disobey.locks.fcntl.flock", no_locks)
    assert "no locks" in list(lines(study_status(*study)))[1]


def test_a_lock_can_be_taken_while_it_is_looked_at_again_and_again(tmp_path):
    lock = Lock(tmp_path / "lock")
    assert look_at(lock.path) == Seen()
    assert lock.try_take()
    assert look_at(lock.path).held and look_at(lock.path).holder == lock.holder()
    lock.release()
    assert look_at(lock.path) == Seen()
    assert lock.try_take()
    lock.release(remove=True)
    assert not lock.path.exists()


@pytest.mark.parametrize("json_too", [False, True])
def test_watch_looks_again_until_ctrl_c(study, monkeypatch, capsys, json_too):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        make(first(study[0], "prepare"), study[1])
        if len(slept) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    assert main(["study.yaml", "--watch", "3", *(["--json"] if json_too else [])]) == 0
    assert slept == [3, 3]
    shown = capsys.readouterr().out
    if json_too:
        looks = [json.loads(text + "}") for text in shown.split("\n}\n")[:-1]]
        assert [look["counts"]["done"] for look in looks] == [0, 1]
    else:
        jobs = len(study[0].jobs)
        head = rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\nstudy small: {jobs} jobs: "
        assert re.match(f"{head}{jobs} missing\n", shown)
        assert re.search(f"\n{head}1 done, {jobs - 1} missing\n", shown)
        assert "\033" not in shown  # into a file


def test_on_a_terminal_each_look_takes_the_place_of_the_one_before(study, monkeypatch, capsys):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["study.yaml", "--watch"]) == 0
    assert slept == [10]
    home, whole_screen, what_was_scrolled = "\033[H", "\033[2J", "\033[3J"
    assert capsys.readouterr().out.startswith(home + whole_screen + what_was_scrolled)


# --- running jobs ---------------------------------------------------------------------------

NOW = 1_767_225_600.0  # 2026-01-01 00:00:00 UTC


def ago(seconds, form="%Y-%m-%d %H:%M:%S UTC"):
    """Return the time that was some seconds before `NOW`, in the format of locks."""
    return time.strftime(form, time.gmtime(NOW - seconds))


@pytest.fixture
def held(monkeypatch):
    """Return a function that makes a process hold a lock since some seconds ago."""
    monkeypatch.setattr("time.time", lambda: NOW)
    locks = []

    def hold(path, seconds, host="node7"):
        lock = Lock(Path(path))
        assert lock.try_take()
        locks.append(lock)
        lock.path.write_text(json.dumps(vars(Holder(123, host, ago(seconds)))))

    yield hold
    for lock in locks:
        lock.release(remove=True)


@pytest.mark.parametrize(
    ("log", "host", "said"),
    [
        ("", "node7", " on node7"),
        ("  0%|          | 0/9000 [00:00<?, ?step/s]", "node7", " (0 of 9,000 steps) on node7"),
        (BARS, "node7", " (30 of 90 steps, 20.0 s left) on node7"),
        (BARS, platform.node(), " (30 of 90 steps, 20.0 s left)"),
    ],
)
def test_a_running_job_is_named_with_its_steps_and_another_machine(study, held, log, host, said):
    job = first(study[0], "train")
    write_log(job, log)
    held(lock_of(job.manifest), 5, host)
    shown = list(lines(study_status(*study)))
    place = shown.index(f"running: train {job.key}{said}")
    assert shown[place - 1] == shown[place + 1] == ""


def test_of_many_failed_jobs_ten_are_named(study):
    failed = list(study[0].jobs.values())[:12]
    for job in failed:
        write_log(job, f"disobey {job.stage}: no")
    shown = [line for line in lines(study_status(*study)) if line.startswith(("failed", "  and"))]
    assert shown == [*(f"failed: {job.stage} {job.key}" for job in failed[:10]), "  and 2 more"]


def test_the_snakemake_at_work_is_named(study, held):
    held(".snakemake/lease", 60)
    said = f"snakemake is at work: process 123 on node7 since {ago(60)}"
    assert list(lines(study_status(*study)))[1] == said
    Path(".snakemake/lease").write_text("")
    unknown = "snakemake is at work: its process is unknown"
    assert list(lines(study_status(*study)))[1] == unknown


# --- time left ------------------------------------------------------------------------------


def one_hot(plan):
    return [job for (stage, key), job in plan.jobs.items() if stage == "train" and "onehot" in key]


@pytest.mark.parametrize(("since", "left"), [(3, SECONDS - 3), (20, 0.0)])
def test_of_a_running_job_without_a_bar_the_rest_of_its_usual_time_is_left(
    study, held, since, left
):
    plan, digests = study
    for stage in ("prepare", "labels", "train"):
        make(first(plan, stage), digests)
    _, running, *others = one_hot(plan)
    held(lock_of(running.manifest), since)
    assert study_status(plan, digests).left.seconds == SECONDS * len(others) + left


def test_time_left_is_at_the_rate_of_the_run_that_is_at_work(study, held):
    plan, digests = study
    make(first(plan, "prepare"), digests, written=ago(101, "%Y-%m-%dT%H:%M:%SZ"))  # by another run
    for stage in ("labels", "train"):
        make(first(plan, stage), digests, written=ago(40, "%Y-%m-%dT%H:%M:%SZ"))
    held(".snakemake/lease", 100)
    _, new, old, *others = one_hot(plan)
    held(lock_of(new.manifest), 30)
    held(lock_of(old.manifest), 150)  # a job of the previous run, which now works for this one
    status = study_status(plan, digests)
    assert status.at_once == (2 * SECONDS + 30 + 100) / 100
    assert status.left.seconds == SECONDS * len(others) == 24
    words = r"left: \d+ jobs, at least 16\.4 s, without .*; at the rate of this run"  # 24 / 1.46
    assert re.fullmatch(words, left_in_words(status))


def test_a_run_that_has_just_begun_has_no_rate(study, held):
    make(first(study[0], "prepare"), study[1])
    held(".snakemake/lease", 0)
    assert study_status(*study).at_once is None


def test_a_run_that_was_killed_has_no_rate(study):
    for stage in ("prepare", "labels", "train"):
        make(first(study[0], stage), study[1])
    lease = Path(".snakemake/lease")
    lease.parent.mkdir()
    lease.write_text(json.dumps(vars(Holder(123, "node7", "2025-12-31 00:00:00 UTC"))))
    status = study_status(*study)
    assert status.at_once is None and not status.snakemake.held
    assert left_in_words(status).endswith("; one job after another")


def test_time_left_is_of_like_jobs_and_says_what_is_unlike_all(study):
    plan, digests = study
    for stage in ("prepare", "labels", "train"):
        make(first(plan, stage), digests)
    status = study_status(plan, digests)
    # The teacher of seed 0 is finished. The other teacher and the references are similar, being
    # one-hot too; the students are not.
    like = len(one_hot(plan)) - 1
    assert status.left.seconds == SECONDS * like
    assert status.left.unknown == status.left.jobs - like
    words = r"left: \d+ jobs, at least 40\.0 s, without \d+ jobs like none measured"
    assert re.match(words, left_in_words(status))


def test_without_any_measured_job_the_time_is_unknown(study):
    assert "unknown" in left_in_words(study_status(*study))


def test_no_number_of_machines_beats_the_longest_chain(study):
    plan, _ = study
    jobs = list(plan.jobs.values())
    left = left_of(jobs, {job.manifest: 1.0 for job in jobs})
    # data, labels, teacher, logits, student, logits, student of student, logits, analysis,
    # explorer or table or figure, report
    assert left.longest_chain == 11
    assert left.wall(1) == left.seconds == len(jobs)
    assert left.wall(1000) == 11
    assert Left(1, 0, 5.0, 5.0).wall(0.5) == 10.0


# --- logs -----------------------------------------------------------------------------------


def test_the_bar_of_a_slow_training_is_read_too(tmp_path):
    log = tmp_path / "log"
    log.write_text("  5%|5    | 10/200 [01:40<31:40, 10.00s/step, loss=1.2]\n")
    bar = last_bar(log)
    assert (bar.left, bar.whole) == (1900, 2000)
    log.write_text("nothing\n")
    assert last_bar(log) is None and last_bar(tmp_path / "none") is None


def test_bars_are_those_that_tqdm_writes(capsys):
    import sys

    from tqdm import tqdm

    with tqdm(total=3, unit="step", file=sys.stderr, mininterval=0, miniters=1) as bar:
        for _ in range(3):
            time.sleep(0.01)
            bar.update()
        bar.set_postfix(loss="0.1")
    states = [line for line in capsys.readouterr().err.split("\r") if line.strip()]
    assert all(BAR.search(state) for state in states)
    assert BAR.search(states[-1])["rate"]


def test_last_words_of_a_log_that_is_not_there(tmp_path):
    assert last_words(tmp_path / "none", "train") == (None, False)


def test_each_stage_has_a_store():
    from disobey.stores.layout import STAGES, STORES

    assert set(STORES) == set(STAGES)
