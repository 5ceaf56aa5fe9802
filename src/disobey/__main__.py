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
    "plan": "what a study file asks for: runs, pairs, jobs; or the first mistake in it",
    "status": "how far a study is: done, running, stale, stopped, failed; and what is left",
    "why": "which jobs would run now, and why, in plain words",
    "accept": "vouch that an edit of the code changes no number: its jobs do not run again",
    "run": "one job of a study, in this process; --pdb debugs it",
    "rename": "give results of an earlier version, with ids of eight digits, today's names",
    "explain": "what a store, table or figure is and what it came from",
    "results": "a finished study's tables and how they were made, as Markdown",
    "paper": "the paper's figures and tables, which of ours draw the same, and what came out",
    "export": "a trained model with its card, as the Hugging Face hub has it",
    "curves": "losses and accuracies of a study's trainings, for TensorBoard or as CSV",
    "compare": "a teacher and a student that any code made: verdicts from their logits",
    "prune": "files in results/ that no study asks for, with their sizes",
    "schema": "the JSON schema of study files, for editors",
}
# Tools that are in the module of another one.
TOLD_WITH = {
    "accept": "why", "explain": "why", "run": "plan", "schema": "plan", "paper": "results",
    "curves": "export",
}  # fmt: skip


def usage() -> str:
    """Return the help text."""
    width = max(map(len, (*STAGES, *TOOLS)))
    lines = ["usage: python -m disobey <command> [options]   (<command> --help says more)", ""]
    lines.append("stages, each one rule of the workflow:")
    lines += [f"  {name:<{width}}  {text}" for name, text in STAGES.items()]
    lines += ["", "tools:"]
    lines += [f"  {name:<{width}}  {text}" for name, text in TOOLS.items()]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Dispatch; imports only the command that was asked for."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    command, rest = arguments[0], arguments[1:]
    # Curves are a stage and a tool: only the call of a stage has a spec.
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
    """Import a module without garbage collection, which would search all that libraries make."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(module)
    finally:
        if enabled:
            gc.enable()


def _to_the_end(arguments: list[str]) -> int:
    """Dispatch, and end without a word where whoever reads has read enough (``... | head``).

    What the terminal cannot show, a minus sign in Latin-1, say, is replaced. No window shows our
    figures: matplotlib is not to look for the backend that Jupyter names to all its processes.
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python says so at exit
        return 1
    return status


def console() -> int:
    """Run the command line of this process; return its exit status.

    At the end, Python would search the modules of the libraries for garbage: 0.3 s with torch.
    """
    atexit.register(gc.freeze)
    if sys.argv[1:2] and sys.argv[1] in STAGES:
        survive_a_full_disk()
    return _to_the_end(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(console())
