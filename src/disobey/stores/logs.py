"""Where the log of every job lies: rules write it there, the report links to it."""

from disobey.stores.layout import ROOT


def log_of(stage: str, key: str) -> str:
    """Return the path of a job's log.

    Parameters
    ----------
    stage : str
    key : str
        The values of the rule's wildcards, joined by ``/``; or the wildcards themselves.
    """
    return f"{ROOT}/logs/{stage}/{key}.log"
