"""Commands for users, which no rule of the workflow calls.

Similar commands share a module; see `disobey.__main__`.
"""

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

from disobey.errors import UserError

STUDY = "the study file (default: config.yaml)"


def argument_parser(name: str, doc: str | None, **options: Any) -> argparse.ArgumentParser:
    """Return the parser of a tool, with the module's docstring ``doc`` as its description."""
    description = (doc or "").replace("``", "")
    return argparse.ArgumentParser(f"python -m disobey {name}", description=description, **options)


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return an argparse type for integers from ``least`` to ``most``.

    Errors give the range, whereas argparse's ``choices`` would list every number.
    """

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                f"'{text}' is not a whole number from {least:,} to {most:,}"
            )
        return int(text)

    return read


def tool(main: Callable[[Sequence[str]], int]) -> Callable[[Sequence[str]], int]:
    """Decorate a tool's main function, so that a UserError is printed and the status is 2."""

    @functools.wraps(main)
    def main_of_tool(arguments: Sequence[str]) -> int:
        try:
            return main(arguments)
        except UserError as error:
            print(error, file=sys.stderr)
            return 2

    return main_of_tool
