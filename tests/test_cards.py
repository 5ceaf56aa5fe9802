"""GPUs are given out between real processes; only their names are made up."""

import os
import select
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from disobey.cards import jobs_per_card, take_cards
from disobey.errors import UserError

CARD = """
    import sys
    from disobey.cards import take_card
    print(take_card(sys.argv[1:]), flush=True)
    assert take_card(sys.argv[1:]) == take_card(sys.argv[1:])
    sys.stdin.readline()
"""
SEVERAL = """
    import sys
    from disobey.cards import take_cards
    count, *cards = sys.argv[1:]
    print(*take_cards(cards, int(count)), flush=True)
    sys.stdin.readline()
"""
CARDS = ("GPU-8f3a", "GPU-4e28")


@pytest.fixture
def job(tmp_path):
    """Start a process that takes a GPU."""
    started = []

    def start(*cards, count=None, **environment):
        environment = {"TMPDIR": str(tmp_path)} | environment
        script, words = (CARD, cards) if count is None else (SEVERAL, (str(count), *cards))
        words = [sys.executable, "-c", textwrap.dedent(script), *words]
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


def wait_until(true):
    deadline = time.monotonic() + 900  # only to end a test that hangs
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def has_said(other):
    """Whether a process has printed something that is not read yet."""
    return bool(select.select([other.stdout], [], [], 0)[0])


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
    wait_until(lambda: "all 2 GPUs are taken" in job.said(2))
    assert f"process {first.pid} on " in job.said(2) and f"process {second.pid} on " in job.said(2)
    assert "DISOBEY_JOBS_PER_GPU=2" in job.said(2)
    assert third.poll() is None
    second.send_signal(signal.SIGKILL)
    assert position(third) in (0, 1)


def test_jobs_share_a_gpu_where_the_user_says_so_and_only_after_all_have_one(job):
    found = [position(job(*CARDS, DISOBEY_JOBS_PER_GPU="2")) for _ in range(4)]
    assert found == [0, 1, 0, 1]


def positions(other):
    return sorted(map(int, other.stdout.readline().split()))


def test_a_job_of_two_gpus_keeps_the_one_it_has_while_it_waits_for_the_other(job):
    first = job(*CARDS)
    position(first)
    second = job(*CARDS, count=2)
    wait_until(lambda: "all 1 GPUs are taken" in job.said(1))
    third = job(*CARDS)
    wait_until(lambda: "all 2 GPUs are taken" in job.said(2))
    assert f"process {first.pid} on " in job.said(2) and f"process {second.pid} on " in job.said(2)
    third.kill()
    first.kill()
    assert positions(second) == [0, 1]


def test_jobs_of_two_gpus_never_wait_for_each_other(job):
    """Of four at once, all with the GPUs in another order, each gets both in its turn."""
    waiting = [job(*(CARDS if n % 2 else reversed(CARDS)), count=2) for n in range(4)]
    while waiting:
        wait_until(lambda: any(map(has_said, waiting)))
        (served,) = [other for other in waiting if has_said(other)]
        assert positions(served) == [0, 1]
        served.kill()
        served.wait()
        waiting.remove(served)


def test_two_places_on_one_gpu_are_not_two_gpus(job):
    other = job(*CARDS, count=2, DISOBEY_JOBS_PER_GPU="2")
    assert positions(other) == [0, 1]


def test_more_gpus_than_a_job_sees_are_refused():
    with pytest.raises(UserError, match=r"gpus: 2, but a job sees 1 here \(GPU-8f3a\); write"):
        take_cards(CARDS[:1], 2)


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", ""])
def test_no_number_of_jobs_is_refused(text, monkeypatch):
    monkeypatch.setenv("DISOBEY_JOBS_PER_GPU", text)
    with pytest.raises(UserError, match=r"DISOBEY_JOBS_PER_GPU=.* is no number of jobs; write"):
        jobs_per_card()
