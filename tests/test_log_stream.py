"""A bar in a log is some lines, each to be read as it is; what else is printed stays whole."""

import itertools
import re
import subprocess
import sys
import tempfile
import textwrap

from disobey.log_stream import LEAST_SECONDS, LogStream


class Log:
    """A log file, with a clock that is set by hand."""

    def __init__(self):
        self.now, self.file = 0.0, tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.print = LogStream(self.file, lambda: self.now).write

    @property
    def text(self):
        self.file.seek(0)
        return self.file.read()

    def train(self, seconds, step=1.0):
        end = self.now + seconds
        while self.now < end:
            self.print(f"\r{self.now:.0f} s of it   ")
            self.now += step


def test_states_are_lines_some_seconds_apart():
    log = Log()
    log.train(21)
    assert log.text.splitlines() == [f"{second} s of it" for second in (0, 4, 8, 12, 16, 20)]


def test_a_day_is_not_thousands_of_lines_and_no_state_is_much_out_of_date():
    log = Log()
    log.train(86400)
    seconds = [int(line.split()[0]) for line in log.text.splitlines()]
    assert len(seconds) < 200
    for before, after in itertools.pairwise(seconds):
        assert after - before <= max(LEAST_SECONDS, 0.05 * after + 1)


def test_the_last_state_is_written_when_the_bar_is_closed():
    log = Log()
    log.print("\r0 of 9")
    log.print("\r9 of 9")
    log.print("\n")
    log.print("saved")
    log.print("\n")
    assert log.text == "0 of 9\n9 of 9\nsaved\n"


def test_words_between_states_stand_on_lines_of_their_own_after_the_newest_state():
    log = Log()
    log.print("\r0 of 9")
    log.print("\r3 of 9")
    for text in ("the disk is full", "\n", "\r4 of 9", "\n"):
        log.print(text)
    assert log.text == "0 of 9\n3 of 9\nthe disk is full\n4 of 9\n"


def test_a_bar_of_a_job_has_rate_and_time_left_in_its_log(tmp_path):
    code = """
        import sys, time
        from tqdm import tqdm
        from disobey import log_stream
        log_stream.LEAST_SECONDS = float("inf")  # no line between, however slow the machine is
        log_stream.survive_a_full_disk()
        with tqdm(total=4, unit="step", file=sys.stderr, mininterval=0) as bar:
            for step in range(4):
                time.sleep(0.01)
                bar.update()
        print("done", file=sys.stderr)
    """
    log = tmp_path / "log"
    with open(log, "w") as stream:
        command = [sys.executable, "-c", textwrap.dedent(code)]
        assert subprocess.run(command, stderr=stream).returncode == 0
    text = log.read_bytes().decode()  # as it is: read_text would make lines of carriage returns
    first, last, word = text.splitlines()
    assert first.startswith("  0%") and word == "done"
    assert re.match(r"100%.* 4/4 \[[\d:]+<00:00, +[\d.]+(step/s|s/step)", last)
    assert "\r" not in text
