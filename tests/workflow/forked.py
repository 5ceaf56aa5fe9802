"""Commands that only look, run in a fork of a process that has imported the large libraries.

Snakemake, pandas and pyarrow take two thirds of a dry run's time to import. This package is
imported after the fork: each command reads the code of its own repository, as a new process does.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

LIBRARIES = ["snakemake.cli", "pandas", "pyarrow", "pydantic", "yaml", "scipy"]
forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(LIBRARIES)


def run(
    module: str, *words: str, folder: Path, environment: dict[str, str], timeout: float
) -> CompletedProcess[str]:
    """Do what ``python -m module words`` does in ``folder``; return its status and its output."""
    with tempfile.TemporaryDirectory() as scratch:
        files = [str(Path(scratch, name)) for name in ("stdout", "stderr")]
        process = forks.Process(
            target=_become, args=(module, words, str(folder), environment, files), daemon=True
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(words, timeout)
        return CompletedProcess(words, process.exitcode, *(Path(f).read_text() for f in files))


def _become(
    module: str, words: tuple[str, ...], folder: str, environment: dict[str, str], files: list[str]
) -> None:
    for number, name in enumerate(files, start=1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.argv = [module, *words]
    # Other tests' forks have this package: all of a process's tests share one server of forks.
    for name in [name for name in sys.modules if name.partition(".")[0] == "disobey"]:
        del sys.modules[name]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
