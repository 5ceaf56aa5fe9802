"""The exceptions that a user is meant to read."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input: says what is wrong, where and what to write instead; shown without traceback."""


class OutOfTime(UserError):
    """A training was told that its time limit is near; its state is saved, with new steps in it."""


class DiskFull(UserError):
    """A file could not be written for want of space; nothing that was there before is lost."""


def nearest(name: object, known: Iterable[object], similarity: float = 0.6) -> str:
    """Return a hint that names what the user probably meant.

    That is ``did you mean 'x'?`` for the closest of the ``known`` names, else the list of them.
    Upper and lower case are taken for equal; ``similarity`` is how close a name must be, up to 1.
    """
    names = sorted(str(item) for item in known)
    folded = {item.casefold(): item for item in names}
    close = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=similarity)
    if close:
        return f"did you mean '{folded[close[0]]}'?"
    return "there are none" if not names else "known: " + ", ".join(names)
