"""Run jobs of a study in this process and print the package's definitions that each one ran.

It is called in a folder with the study's results as ``python tracing.py STUDY``, with the stages
and keys of the jobs as JSON on standard input.
"""

import ast
import functools
import inspect
import json
import sys
import threading
from pathlib import Path

import disobey
from disobey.stages import command
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.staleness import CodeDigests
from disobey.tools.plan import command as words_of

# Code that runs when a module is imported; inside a function they belong to the function.
AT_IMPORT = ("<module>", "<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>")
PACKAGE = Path(disobey.__file__).parent


@functools.cache
def definitions(path: str) -> list[tuple[int, int, str]]:
    """Return first line, last line and name of each top-level definition of a file."""
    found = []
    for node in ast.parse(Path(path).read_text(encoding="utf-8")).body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        name = getattr(node, "name", getattr(targets[0], "id", ""))
        found.append((first, node.end_lineno, name))
    return found


@functools.cache
def name_of(path: str, line: int) -> str:
    parts = Path(path).relative_to(PACKAGE).with_suffix("").parts
    module = ".".join(("disobey", *(part for part in parts if part != "__init__")))
    name = next(name for first, last, name in definitions(path) if first <= line <= last)
    return f"{module}:{name}"


def run(job: list[str]) -> list[str]:
    """Run one job; return the definitions whose code it entered."""
    entered: set[tuple[str, int]] = set()
    seen = {}  # by id: hashing a code object would hash all of its contents

    def enter(frame, event, argument):
        code = frame.f_code
        if id(code) in seen:
            return
        seen[id(code)] = code
        path = code.co_filename
        ours = path.startswith(str(PACKAGE)) and path.endswith(".py")
        function = code.co_flags & inspect.CO_OPTIMIZED  # the body of a class is not one
        if ours and function and code.co_name not in AT_IMPORT:
            entered.add((path, code.co_firstlineno))

    planned = plan.jobs[tuple(job)]
    words = words_of(plan, planned, digests)
    threading.settrace(enter)
    sys.settrace(enter)
    try:
        status = command.main(planned.stage, [*words])
    finally:
        sys.settrace(None)
        threading.settrace(None)
    assert status == 0, job
    return sorted({name_of(*place) for place in entered})


plan = make_plan(load_study(sys.argv[1]))
digests = CodeDigests()
wanted = [tuple(job) for job in json.load(sys.stdin)]
ordered = [job for job in plan.jobs if job in wanted]
print(json.dumps({" ".join(job): run(job) for job in ordered}))
