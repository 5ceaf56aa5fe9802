"""The one exception that a user is meant to read."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input: says what is wrong, where, and what to write instead; shown without a traceback."""


def nearest(name: object, known: Iterable[object]) -> str:
    """Return a hint that names what the user probably meant.

    Parameters
    ----------
    name : object
        What was written.
    known : iterable
        What may be written.

    Returns
    -------
    str
        ``did you mean 'x'?`` for the closest name, else the list of all of them.
    """
    names = sorted(str(item) for item in known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return "there are none" if not names else "known: " + ", ".join(names)
