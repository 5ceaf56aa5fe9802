"""GPUs are given out between real processes; only their names are made up."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from disobey.cards import jobs_per_card
from disobey.errors import UserError

CARD = """
    import sys
    from disobey.cards import take_card
    print(take_card(sys.argv[1:]), flush=True)
    assert take_card(sys.argv[1:]) == take_card(sys.argv[1:])
    sys.stdin.readline()
"""
CARDS = ("GPU-8f3a", "GPU-4e28")


@pytest.fixture
def job(tmp_path):
    """Start a process that takes a GPU."""
    started = []

    def start(*cards, **environment):
        environment = {"TMPDIR": str(tmp_path)} | environment
        words = [sys.executable, "-c", textwrap.dedent(CARD), *cards]
        with open(tmp_path / f"said-{len(started)}", "w") as said:
            started.append(subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True,
                env=os.environ | environment,
            ))  # fmt: skip
        return started[-1]

    start.said = lambda number: (tmp_path / f"said-{number}").read_text()
    yield start
    for other in started:
        other.kill()
        other.communicate()


def position(other):
    return int(other.stdout.readline())


def test_each_job_has_a_gpu_of_its_own(job):
    first, second = job(*CARDS), job(*CARDS)
    assert {position(first), position(second)} == {0, 1}


def test_a_job_that_sees_other_gpus_knows_them_by_name(job):
    assert position(job(*CARDS)) == 0
    assert position(job(*reversed(CARDS))) == 0  # the one that is second for the other job


def test_a_job_without_a_gpu_waits_and_says_so_and_for_whom(job):
    first, second = job(*CARDS), job(*CARDS)
    position(first), position(second)
    third = job(*CARDS)
    deadline = time.monotonic() + 900  # only to end a test that hangs
    while "all 2 GPUs are taken" not in job.said(2):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert f"process {first.pid} on " in job.said(2) and f"process {second.pid} on " in job.said(2)
    assert "DISOBEY_JOBS_PER_GPU=2" in job.said(2)
    assert third.poll() is None
    second.send_signal(signal.SIGKILL)
    assert position(third) in (0, 1)


def test_jobs_share_a_gpu_where_the_user_says_so_and_only_after_all_have_one(job):
    found = [position(job(*CARDS, DISOBEY_JOBS_PER_GPU="2")) for _ in range(4)]
    assert found == [0, 1, 0, 1]


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", ""])
def test_no_number_of_jobs_is_refused(text, monkeypatch):
    monkeypatch.setenv("DISOBEY_JOBS_PER_GPU", text)
    with pytest.raises(UserError, match=r"DISOBEY_JOBS_PER_GPU=.* is no number of jobs; write"):
        jobs_per_card()
