"""What a job prints: a log on a full disk must not end the work, and a bar must stay readable."""

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable

# Between two states of a bar in a log: a twentieth of the time since it began, and at first less
# than the five seconds of training's bar, by whose clock a state may come a little early
# [our choices]. None is much out of date, and a day has fewer than two hundred.
LEAST_SECONDS, SHARE = 4.0, 0.05


class RareBar:
    """The states of a bar, each of which is meant to be written over the one before.

    A log keeps all of them: as one endless line, which Snakemake shows as thousands. Here a state
    is a line of its own, and they grow rarer.

    Parameters
    ----------
    clock : callable
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: float | None = None
        self._written = 0.0
        self._held = ""
        self._last_said = False  # whether the text before was a state

    def state(self, text: str) -> str:
        """Return what of a new state goes into the log now: a line, or nothing yet."""
        now, self._held, self._last_said = self._clock(), text.strip("\r\n").rstrip(), True
        if self._begun is None:
            self._begun = now
        elif now - self._written < max(LEAST_SECONDS, SHARE * (now - self._begun)):
            return ""
        self._written = now
        return self._release()

    def other(self, text: str) -> str:
        """Return what goes into the log for a text that is no state; a line end closes the bar."""
        closes, self._last_said = self._last_said and text == "\n", False
        if closes:
            self._begun = None
        return self._release() + ("" if closes else text)

    def _release(self) -> str:
        line, self._held = f"{self._held}\n" if self._held else "", ""
        return line


class FullLog(io.TextIOBase):
    """Text straight to a file descriptor; what does not fit on the disk is left out.

    Python's own streams raise then, and once more at exit, since they keep what they could not
    write.

    Parameters
    ----------
    stream : TextIOBase
        The stream to stand in for, an open file.
    """

    def __init__(self, stream: io.TextIOBase) -> None:
        self._file, self._stream = stream.fileno(), stream
        self._bar = None if stream.isatty() else RareBar()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """What bytes the text becomes."""
        return self._stream.encoding or "utf-8"

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._file

    def isatty(self) -> bool:
        """Return whether somebody reads along."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Write what fits; of a bar's states some."""
        said = text
        if text and self._bar is not None:
            said = self._bar.state(text) if text.startswith("\r") else self._bar.other(text)
        with contextlib.suppress(OSError):
            os.write(self._file, said.encode(self.encoding, "backslashreplace"))
        return len(text)


def survive_a_full_disk() -> None:
    """Let what this process prints from now on go missing rather than raise."""
    sys.stdout, sys.stderr = FullLog(sys.stdout), FullLog(sys.stderr)  # type: ignore[arg-type]
