"""The output stream of a job: it survives a full disk, and progress bars in a log are lines."""

import contextlib
import os
import sys
from typing import Any, TextIO

# Seconds between two states of a bar in a log, and on a terminal [our choices].
IN_A_LOG, ON_A_TERMINAL = 10.0, 5.0


class LogStream:
    """A stream that leaves out what does not fit on the disk; Python's own streams raise instead.

    A bar rewrites its line. Unless the stream is a terminal, each state becomes a line of its own.

    Parameters
    ----------
    stream : TextIO
        The open file to wrap.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._is_log, self._after_state = stream, not stream.isatty(), False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write what fits."""
        with contextlib.suppress(OSError):
            words = self._in_lines(text) if text and self._is_log else text
            encoding = self._stream.encoding or "utf-8"
            os.write(self._stream.fileno(), words.encode(encoding, "backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def _in_lines(self, text: str) -> str:
        is_state, closes = text.startswith("\r"), self._after_state and text == "\n"
        self._after_state = is_state
        return text.strip() + "\n" if is_state else "" if closes else text


def seconds_between_bars() -> float:
    """Return how often a progress bar on standard error shows its state, in seconds."""
    return ON_A_TERMINAL if sys.stderr.isatty() else IN_A_LOG


def survive_a_full_disk() -> None:
    """Let what this process prints from now on go missing rather than raise."""
    sys.stdout, sys.stderr = LogStream(sys.stdout), LogStream(sys.stderr)
