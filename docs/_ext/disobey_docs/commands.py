"""The help texts of the commands, formatted for 80 columns."""

import os
import subprocess
import sys
from collections.abc import Iterator

from disobey.__main__ import TOOLS

COMMAND = (sys.executable, "-m", "disobey")
# All stages have the same command line. This one is the fastest to print it: it imports no torch.
ANY_STAGE = "labels"


def page() -> str:
    """Return the help of the command, of each tool, and the options that all stages share."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield from _shown("--help")
    yield from ("## Tools", "")
    for tool in TOOLS:
        yield from (f"### {tool}", "", *_shown(tool, "--help"))
    yield from (
        "## Stages", "",
        "Rules call the stages, and you can too: `snakemake -p` prints their commands. All stages",
        f"have the same command line, here of `{ANY_STAGE}`:", "",
    )  # fmt: skip
    yield from _shown(ANY_STAGE, "--help")


def _shown(*arguments: str) -> Iterator[str]:
    yield from ("```text", f"$ python -m disobey {' '.join(arguments)}")
    yield from (said(*arguments).rstrip(), "```", "")


def said(*arguments: str) -> str:
    """Return the output of the command.

    Raises
    ------
    RuntimeError
        If the command fails, with its error output.
    """
    environment = os.environ | {"COLUMNS": "80", "NO_COLOR": "1"}
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"python -m disobey {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout
