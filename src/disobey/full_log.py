"""A log on a full disk must not end the work that it reports."""

import contextlib
import io
import os
import sys


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
        """Write what fits."""
        with contextlib.suppress(OSError):
            os.write(self._file, text.encode(self.encoding, "backslashreplace"))
        return len(text)


def survive_a_full_disk() -> None:
    """Let what this process prints from now on go missing rather than raise."""
    sys.stdout, sys.stderr = FullLog(sys.stdout), FullLog(sys.stderr)  # type: ignore[arg-type]
