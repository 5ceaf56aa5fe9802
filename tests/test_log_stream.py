"""A bar in a log is some lines, each to be read as it is; what else is printed stays whole."""

import re
import subprocess
import sys
import tempfile
import textwrap

from disobey.log_stream import IN_A_LOG, LogStream


def written(*texts):
    with tempfile.TemporaryFile("w+") as file:
        log = LogStream(file)
        for text in texts:
            log.write(text)
        file.seek(0)
        return file.read()


def test_each_state_is_a_line_and_the_end_of_a_bar_is_none():
    assert written("\r0 of 9  ", "\r9 of 9", "\n", "saved", "\n") == "0 of 9\n9 of 9\nsaved\n"


def test_words_between_states_stand_on_lines_of_their_own():
    texts = ("\r0 of 9", "\r3 of 9", "the disk is full", "\n", "\r4 of 9", "\n")
    assert written(*texts) == "0 of 9\n3 of 9\nthe disk is full\n4 of 9\n"


def test_a_day_is_not_many_thousands_of_lines():
    assert 86400 / IN_A_LOG < 9000


def test_a_bar_of_a_job_has_rate_and_time_left_in_its_log(tmp_path):
    code = """
        import sys, time
        from tqdm import tqdm
        from disobey import log_stream
        log_stream.survive_a_full_disk()
        between = log_stream.seconds_between_bars()
        with tqdm(total=4, unit="step", file=sys.stderr, mininterval=between) as bar:
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
    assert first.startswith("0%") and word == "done"
    assert re.match(r"100%.* 4/4 \[[\d:]+<00:00, +[\d.]+(step/s|s/step)", last)
    assert "\r" not in text
