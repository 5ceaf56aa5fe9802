"""Import large libraries, then fork a process for each command from a socket.

A connection sends the three standard streams, and (words after ``python -m``, folder, environment,
value of `sys.executable`) by `marshal`. The answer is "pid status". The server and its forks end
when its standard input is closed.
"""

import contextlib
import gc
import importlib
import marshal
import os
import runpy
import select
import signal
import socket
import sys
import traceback

LIBRARIES = (
    "fontTools.subset", "jinja2", "matplotlib.backends.backend_agg", "netCDF4", "pandas", "pyarrow",
    "matplotlib.backends.backend_pdf", "pydantic", "scipy.special", "scipy.stats", "snakemake.cli",
    "torch", "xarray", "yaml",
)  # fmt: skip


def serve(address: str) -> None:
    """Fork for each connection until standard input ends; reap forks so that their time counts."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if sys.stdin in ready:
                os.killpg(0, signal.SIGKILL)
            connection, _ = listener.accept()
            if os.fork() == 0:
                os._exit(become(listener, connection))
            connection.close()


def become(listener: socket.socket, connection: socket.socket) -> int:
    """Run the command of a connection; send the answer, and return the exit status."""
    listener.close()
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as stream:
        words, folder, environment, sys.executable = marshal.loads(stream.read())
    connection.send(f"{os.getpid()} ".encode())
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    first = "" if "PYTHONSAFEPATH" in environment else folder
    paths = [first, *environment.get("PYTHONPATH", "").split(os.pathsep)]
    sys.path[:0] = filter(None, paths)
    sys.argv = list(words)
    status = 0
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    connection.send(str(status).encode())
    return status


if __name__ == "__main__":
    del sys.path[0]  # the folder of this script
    gc.disable()
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()  # memory that the garbage collector ignores is not copied after a fork
    gc.enable()
    serve(sys.argv[1])
