"""Real processes share GPUs; only the names of the GPUs are fake."""

import errno
import fcntl
import os
import select
import signal
import subprocess
import sys
import tempfile
import textwrap
import time

import pytest

from disobey import gpus as cards_module
from disobey.errors import UserError
from disobey.gpus import PLACES, Listing, gpus_seen, listing, take_card, take_cards
from disobey.locks import Lock

CARD = """
    import sys
    from disobey.gpus import take_card
    places, *cards = sys.argv[1:]
    print(take_card(cards, int(places)), flush=True)
    assert take_card(cards, int(places)) == take_card(cards, int(places))
    sys.stdin.readline()
"""
SEVERAL = """
    import sys
    from disobey.gpus import take_cards
    count, *cards = sys.argv[1:]
    print(*take_cards(cards, int(count)), flush=True)
    sys.stdin.readline()
"""
CARDS = ("GPU-8f3a", "GPU-4e28")


@pytest.fixture
def job(tmp_path):
    """Start a process that takes a GPU."""
    started = []

    def start(*cards, count=None, sharing=1):
        environment = {"TMPDIR": str(tmp_path)}
        places = str(PLACES // sharing)
        script, first = (CARD, places) if count is None else (SEVERAL, str(count))
        words = (first, *cards)
        words = [sys.executable, "-c", textwrap.dedent(script), *words]
        with open(tmp_path / f"said-{len(started)}", "w") as said:
            started.append(subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True,
                env=os.environ | environment,
            ))  # fmt: skip
        return started[-1]

    start.folder = tmp_path
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
    """Return True if a process has printed something that has not been read."""
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
    assert "jobs_per_gpu: 2" in job.said(2)
    assert third.poll() is None
    second.send_signal(signal.SIGKILL)
    assert position(third) in (0, 1)


def test_small_jobs_share_a_gpu_but_only_after_all_gpus_have_one(job):
    found = [position(job(*CARDS, sharing=2)) for _ in range(4)]
    assert found == [0, 1, 0, 1]
    job(*CARDS, sharing=4)
    wait_until(lambda: "all 2 GPUs are taken" in job.said(4))


def test_jobs_of_several_sizes_fill_a_gpu(job):
    """A half, a quarter and two eighths; then there is room for no more."""
    for sharing in (2, 4, 8, 8):
        assert position(job("GPU-8f3a", sharing=sharing)) == 0
    job("GPU-8f3a", sharing=8)
    wait_until(lambda: "the GPU is taken" in job.said(4))


def test_a_job_that_wants_a_whole_gpu_is_not_passed_over_for_ever(job):
    """It keeps the places that come free; small jobs that start meanwhile do not get them."""
    small = []
    for _ in range(2):  # one after the other: the first one has the first places
        small.append(job("GPU-8f3a", sharing=2))
        assert position(small[-1]) == 0
    whole = job("GPU-8f3a")
    wait_until(lambda: "the GPU is taken" in job.said(2))
    small[0].kill()
    folder = cards_module.lock_folder().name
    freed = job.folder / folder / "GPU-8f3a.0.lock"
    wait_until(lambda: str(whole.pid) in freed.read_text())
    late = job("GPU-8f3a", sharing=2)
    wait_until(lambda: "the GPU is taken" in job.said(3))
    small[1].kill()
    assert position(whole) == 0
    whole.kill()
    assert position(late) == 0


def positions(other):
    return sorted(map(int, other.stdout.readline().split()))


def test_a_job_of_two_gpus_keeps_the_one_it_has_while_it_waits_for_the_other(job):
    first = job(*CARDS)
    position(first)
    second = job(*CARDS, count=2)
    wait_until(lambda: "the GPU is taken" in job.said(1))
    third = job(*CARDS)
    wait_until(lambda: "is waiting for a whole GPU" in job.said(2))
    assert f"process {second.pid} on " in job.said(2)
    third.kill()
    first.kill()
    assert positions(second) == [0, 1]


def test_jobs_of_two_gpus_never_wait_for_each_other(job):
    """Four at once, all with the GPUs in another order: each gets both in its turn."""
    waiting = [job(*(CARDS if n % 2 else reversed(CARDS)), count=2) for n in range(4)]
    while waiting:
        wait_until(lambda: any(map(has_said, waiting)))
        (served,) = [other for other in waiting if has_said(other)]
        assert positions(served) == [0, 1]
        served.kill()
        served.wait()
        waiting.remove(served)


def test_more_gpus_than_a_job_sees_are_refused():
    with pytest.raises(UserError, match=r"gpus: 2, but a job sees 1 here \(GPU-8f3a\); write"):
        take_cards(CARDS[:1], 2)


# --- in one process, whose locks exclude each other as those of two do ------------------------


@pytest.fixture
def taken(tmp_path, monkeypatch):
    """Return the places that are taken on a GPU; ``taken.by_others`` takes some."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cards_module._shared.cache_clear()
    cards_module._whole.cache_clear()

    def path(card, place):
        return cards_module.lock_folder() / f"{card}.{place}.lock"

    def places(card):
        return [place for place in range(PLACES) if Lock(path(card, place)).held_by()]

    def by_others(card, *places):
        locks = [Lock(path(card, place)) for place in places]
        assert all(lock.try_take() for lock in locks)
        return locks

    places.by_others = by_others
    return places


def when_it_waits(monkeypatch, *locks):
    """Let go of a lock whenever the process sleeps."""
    waiting = iter(locks)
    monkeypatch.setattr(time, "sleep", lambda seconds: next(waiting).release())


def test_a_small_job_takes_its_places_together_and_none_of_a_part_that_is_taken(taken):
    taken.by_others("GPU-8f3a", 1)
    assert take_card(CARDS[:1], 4) == 0
    assert taken("GPU-8f3a") == [1, 4, 5, 6, 7]


@pytest.mark.parametrize("places", [0, PLACES, 2 * PLACES])
def test_any_other_job_takes_a_whole_gpu(places, taken):
    taken.by_others("GPU-8f3a", 0)
    assert take_card(CARDS, places) == 1
    assert taken("GPU-4e28") == list(range(PLACES)) and taken("GPU-8f3a") == [0]


def test_a_small_job_waits_for_places_on_any_gpu(taken, monkeypatch, capsys):
    holder = taken.by_others("GPU-8f3a", 1, 5)[0].holder()
    last = taken.by_others("GPU-4e28", 2, 6)[-1]
    when_it_waits(monkeypatch, last)
    assert take_card(CARDS, 4) == 1
    assert capsys.readouterr().err == (
        f"all 2 GPUs are taken, by {holder}; waiting. jobs_per_gpu: 2 in the study file "
        "lets two jobs share a GPU\nGPU 2 of 2: GPU-4e28\n"
    )
    assert taken("GPU-4e28") == [2, 4, 5, 6, 7]


def test_a_job_waits_its_turn_and_then_for_the_places_of_its_gpu(taken, monkeypatch, capsys):
    turn = Lock(cards_module.lock_folder() / "whole.lock")
    assert turn.try_take()
    holder = turn.holder()
    locks = taken.by_others("GPU-8f3a", *range(PLACES))
    when_it_waits(monkeypatch, turn, *locks)
    assert take_cards(CARDS[:1], 1) == [0]
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"{holder} is waiting for a whole GPU; waiting for that"
    assert said[1].startswith(f"the GPU is taken, by {holder}; waiting. ")
    assert said[-1] == "GPU 1 of 1: GPU-8f3a" and taken("GPU-8f3a") == list(range(PLACES))
    assert turn.try_take()  # the next one's


@pytest.mark.parametrize("places", [4, 1])
def test_without_locks_a_job_says_so_once_and_takes_the_first_gpu(
    places, taken, monkeypatch, capsys
):
    def flock(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert take_card(CARDS, places) == 0
    said = capsys.readouterr().err
    assert said.count(f"{cards_module.lock_folder()}: this file system has no locks") == 1


SMI = {
    "two": "81559, Default\n24268, Default\n",
    "exclusive": "81559, Exclusive_Process\n",
    "prohibited": "81559, Default\n24268, Prohibited\n",
    "unified memory": "[N/A], Default\n",
}


@pytest.mark.parametrize(
    ("said", "visible", "mps", "expected"),
    [
        ("two", None, False, Listing(2, 24268)),
        ("two", "1", False, Listing(1, 24268)),
        ("two", "", False, Listing(0, 24268)),
        ("two", "MIG-1,MIG-2", False, Listing(2)),
        ("exclusive", None, False, Listing(1, 81559, shareable=False)),
        ("exclusive", None, True, Listing(1, 81559)),
        ("prohibited", None, False, Listing(1, 81559)),
        ("unified memory", None, False, Listing(1)),
        ("broken", None, False, Listing(3)),
        (None, None, False, Listing(3)),
    ],
)
def test_what_the_driver_says_of_the_gpus(said, visible, mps, expected, tmp_path, monkeypatch):
    """A made-up nvidia-smi; where there is none, or it fails, the three device files count."""
    program = tmp_path / "nvidia-smi"
    if said is not None:
        text = f"#!/bin/sh\nprintf '%s' '{SMI[said]}'\n" if said in SMI else "#!/bin/sh\nexit 9\n"
        program.write_text(text)
        program.chmod(0o755)
    monkeypatch.setattr(cards_module, "LISTING", (str(program),))
    monkeypatch.setattr(cards_module.glob, "glob", lambda pattern: 3 * ["/dev/nvidia0"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    if mps:
        (tmp_path / "control").touch()
    assert listing() == expected


@pytest.mark.parametrize(
    ("visible", "files", "expected"),
    [
        ("0,1", 4, 2), ("", 4, 0), ("-1", 4, 0), ("GPU-8f3a", 4, 1), (None, 4, 4), (None, 0, None),
    ],
)  # fmt: skip
def test_how_many_gpus_a_machine_shows(visible, files, expected, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(cards_module.glob, "glob", lambda pattern: files * ["/dev/nvidia0"])
    assert gpus_seen() == expected
