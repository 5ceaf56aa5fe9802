"""``status``: every state by its sign, the last words of what failed, and nothing written."""

import errno
import json
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


# --- time left ------------------------------------------------------------------------------


def test_time_left_is_of_like_jobs_and_says_what_is_unlike_all(study):
    plan, digests = study
    for stage in ("prepare", "labels", "train"):
        make(first(plan, stage), digests)
    status = study_status(plan, digests)
    # The teacher of seed 0 is there: like it are the other teacher and the references, which are
    # one-hot too; students are not.
    one_hot = [
        job for (stage, key), job in plan.jobs.items() if stage == "train" and "onehot" in key
    ]
    assert status.left.seconds == SECONDS * (len(one_hot) - 1)
    assert status.left.unknown == status.left.jobs - (len(one_hot) - 1)
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
