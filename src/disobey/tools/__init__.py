"""Commands for users; no rule of the workflow calls them.

Alike ones share a module: `disobey.__main__` names it.
"""

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

from disobey.errors import UserError

STUDY = "the study file (default: config.yaml)"


def argument_parser(name: str, doc: str | None, **options: Any) -> argparse.ArgumentParser:
    """Return the parser of a tool; its description is the module's docstring ``doc``."""
    description = (doc or "").replace("``", "")
    return argparse.ArgumentParser(f"python -m disobey {name}", description=description, **options)


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return the reader of an option; argparse's ``choices`` would list each number in an error."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                f"'{text}' is not a whole number from {least:,} to {most:,}"
            )
        return int(text)

    return read


def tool(main: Callable[[Sequence[str]], int]) -> Callable[[Sequence[str]], int]:
    """Decorate the main function of a tool: a user's mistake is printed, and the status is 2."""

    @functools.wraps(main)
    def main_of_tool(arguments: Sequence[str]) -> int:
        try:
            return main(arguments)
        except UserError as error:
            print(error, file=sys.stderr)
            return 2

    return main_of_tool
