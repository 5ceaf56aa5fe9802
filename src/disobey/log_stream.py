"""The output stream of a job, which survives a full disk and thins out progress bars in a log."""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

# Least seconds between two states of a bar in a log, and least interval as a share of the time
# since the bar began [our choices]. A day then has fewer than two hundred lines.
LEAST_SECONDS, SHARE = 4.0, 0.05


class LogStream:
    """A stream that drops text that does not fit on the disk, where Python's streams would raise.

    A progress bar rewrites its line. Unless the stream is a terminal, each written state of a bar
    becomes a line, ever less often as time passes on the ``clock``, which returns seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock, self._is_log = stream, clock, not stream.isatty()
        self._begun: float | None = None
        self._written = 0.0
        self._held = ""  # the newest state, while it is too early to write it
        self._after_state = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write as much text as fits, and only some states of a bar."""
        words = self._rarely(text) if text and self._is_log else text
        with contextlib.suppress(OSError):
            encoding = self._stream.encoding or "utf-8"
            os.write(self._stream.fileno(), words.encode(encoding, "backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def _rarely(self, text: str) -> str:
        is_state, was_state = text.startswith("\r"), self._after_state
        self._after_state = is_state
        if not is_state:
            closes = was_state and text == "\n"
            self._begun = None if closes else self._begun
            held, self._held = self._held, ""
            return held + ("" if closes else text)
        now, state = self._clock(), text.strip("\r\n").rstrip() + "\n"
        if self._begun is None:
            self._begun = now
        elif now - self._written < max(LEAST_SECONDS, SHARE * (now - self._begun)):
            self._held = state
            return ""
        self._written, self._held = now, ""
        return state


def survive_a_full_disk() -> None:
    """Make this process drop its further output rather than raise when the disk is full."""
    sys.stdout, sys.stderr = LogStream(sys.stdout), LogStream(sys.stderr)
