"""``disobey <command>``, also ``python -m disobey``: stages, which rules call, and tools."""

import atexit
import gc
import importlib
import io
import os
import sys
from types import ModuleType

from disobey.errors import advice, nearest
from disobey.log_stream import survive_a_full_disk
from disobey.stores.layout import STAGES

TOOLS = {
    "plan": "check a study file; list its runs, pairs and jobs",
    "status": "show the progress of a study: done, running, stale, stopped, failed, missing",
    "why": "list the jobs that would run now, with reasons",
    "accept": "confirm that an edit of the code changes no number: its jobs do not run again",
    "run": "run one job of a study in this process; --pdb debugs it",
    "rename": "rename the results of an earlier version, whose ids have eight digits",
    "explain": "describe a store, table or figure, and how it was made",
    "results": "print the tables of finished studies, and how they were made, as Markdown",
    "paper": "compare the paper's figures and tables with those of the studies",
    "export": "export a trained model with its card in the format of the Hugging Face hub",
    "curves": "export the training curves of a study to TensorBoard or CSV",
    "compare": "test the paper's claims on the logits of any teacher and student",
    "prune": "list the files in results/ that no study uses, with their sizes; --delete them",
    "schema": "print the JSON schema of study files, for editors",
}
# Tools that are in the module of another one.
TOLD_WITH = {
    "accept": "why", "explain": "why", "run": "plan", "schema": "plan", "paper": "results",
    "curves": "export",
}  # fmt: skip


def usage() -> str:
    """Return the help text."""
    width = max(map(len, (*STAGES, *TOOLS)))
    lines = ["usage: python -m disobey <command> [options]   (see <command> --help)", ""]
    lines.append("stages (one rule of the workflow each):")
    lines += [f"  {name:<{width}}  {text}" for name, text in STAGES.items()]
    lines += ["", "tools:"]
    lines += [f"  {name:<{width}}  {text}" for name, text in TOOLS.items()]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run the requested command, and import only that one; return its exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    command, rest = arguments[0], arguments[1:]
    # "curves" is both a stage and a tool: only a call of the stage has a spec.
    if command in STAGES and (command not in TOOLS or {"--spec", "--from-stdin"} & {*rest}):
        _load(f"disobey.stages.{command}")
        return int(_load("disobey.stages.command").main(command, rest))
    if command in TOOLS:
        module = _load(f"disobey.tools.{TOLD_WITH.get(command, command)}")
        main_of_tool = vars(module).get(f"{command}_main", module.main)
        return int(main_of_tool(rest))
    hint = nearest(command, (*STAGES, *TOOLS))
    print(f"disobey: no command '{command}'; {hint}", file=sys.stderr)
    return 2


def _load(module: str) -> ModuleType:
    """Import a module with garbage collection off: it would scan all objects of the libraries."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(module)
    finally:
        if enabled:
            gc.enable()


def _to_the_end(arguments: list[str]) -> int:
    """Run `main`, and exit silently when the reader closes the pipe (``... | head``).

    Characters that the terminal cannot show, such as a minus sign in Latin-1, are replaced.
    matplotlib must not look for the backend that Jupyter sets for all its processes, since no
    figure is shown in a window.
    """
    os.environ.pop("MPLBACKEND", None)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        status = main(arguments)
        sys.stdout.flush()
    except ModuleNotFoundError as error:
        words = advice(error.name)
        if words is None:
            raise
        print(f"disobey {arguments[0]}: {words}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python reports it
        return 1
    return status


def console() -> int:
    """Run the command line of this process; return its exit status.

    Skips Python's garbage collection at exit, which takes 0.3 s with torch.
    """
    atexit.register(gc.freeze)
    if sys.argv[1:2] and sys.argv[1] in STAGES:
        survive_a_full_disk()
    return _to_the_end(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(console())
