"""Run commands and jobs in forks of a process that has imported the large libraries.

A dry run or a tiny job spends most of its time importing Snakemake, torch, xarray or matplotlib.
This package is imported after the fork: each command reads the code of its own repository, as a
new process does. Tests that kill or trace processes start real ones.
"""

import atexit
import functools
import marshal
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

SERVER = Path(__file__).with_name("fork_server.py")
# Replaces python in the shell lines `python -m disobey ...` of rules.
PYTHON = """\
#!{python} -IS
import marshal, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"!"], [0, 1, 2])
    words = sys.argv[2:]
    server.sendall(marshal.dumps((words, os.getcwd(), dict(os.environ), sys.argv[0])))
    server.shutdown(socket.SHUT_WR)
    pid, _, status = server.makefile().read().partition(" ")
sys.exit(int(status or 1))  # a job that was killed says nothing
"""


@functools.cache
def server() -> tuple[str, str]:
    """Start the server of this process's forks; return its address and their ``python``."""
    folder = tempfile.TemporaryDirectory(prefix="forks-")
    address, python = Path(folder.name, "socket"), Path(folder.name, "python")
    # The variables of a Snakemake job with one thread: some libraries read them only on import.
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    process = subprocess.Popen(
        [sys.executable, SERVER, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True, env=os.environ | threads | {"HDF5_USE_FILE_LOCKING": "FALSE"},
    )  # fmt: skip
    python.write_text(PYTHON.format(python=sys.executable, address=str(address)))
    python.chmod(0o700)
    assert process.stdout.readline() == b"ready\n"

    def end() -> None:
        process.stdin.close()
        process.wait()
        folder.cleanup()

    atexit.register(end)
    return str(address), str(python)


def run(
    module: str, *words: str, folder: Path, environment: dict[str, str], timeout: float
) -> CompletedProcess[str]:
    """Run ``python -m module words`` in ``folder``; return its status and its output."""
    address, python = server()
    with (
        socket.socket(socket.AF_UNIX) as connection,
        open(os.devnull) as nothing,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        connection.connect(address)
        socket.send_fds(connection, [b"!"], [file.fileno() for file in (nothing, out, err)])
        call = ([module, *words], str(folder), environment, python)
        connection.sendall(marshal.dumps(call))
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(timeout)
        answer = ""
        try:
            while more := connection.recv(100).decode():
                answer += more
        except TimeoutError:
            os.kill(int(answer.partition(" ")[0]), 9)
            raise subprocess.TimeoutExpired(words, timeout) from None
        status = int(answer.partition(" ")[2] or -9)
        for file in (out, err):
            file.seek(0)
        return CompletedProcess(words, status, out.read(), err.read())
