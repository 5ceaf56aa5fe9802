"""Trainings in one process or several; used by tests/gpu too."""

import atexit
import multiprocessing
import os
import shutil
import subprocess
import sys
import time

import torch
from safetensors.numpy import load_file

from disobey.provenance import spec_id
from disobey.stages.command import main
from disobey.stores.layout import manifest_of
from disobey.stores.manifest import read_manifest
from disobey.stores.reader import read_arrays
from disobey.workflow import OF_TORCHRUN, TORCHRUN

PATIENCE = 900  # seconds; only to end a test that hangs
CODE = ("--code", "c0de")  # known, so that a finished store is known to be the one wanted
# Processes that are forked have everything imported; a command of its own takes seconds for it.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["transformers.models.roberta.modeling_roberta", "disobey.training.distributed", __name__]
)


class Run:
    """One run's spec, which one process or several train in turn, by the real command."""

    def __init__(self, workplace, spec, *inputs):
        self.workplace, self.spec = workplace, spec
        self.id = spec_id("run", spec)
        self.inputs = inputs
        self.log = workplace.root / "log"

    @property
    def store(self):
        return self.workplace.path("runs", self.id)

    @property
    def options(self):
        return [*self.workplace.words("runs", self.id, self.spec, *self.inputs), *CODE]

    def start(self, processes=1, **environment):
        """Start the command, as rules/stages.smk does; its words go into ``log``."""
        launcher = TORCHRUN.format(processes=processes).split() if processes > 1 else []
        words = [sys.executable, *launcher, "-m", "disobey", "train", *self.options]
        environment = os.environ | OF_TORCHRUN | environment
        with open(self.log, "w") as log:
            return subprocess.Popen(
                words, stderr=log, stdout=log, cwd=self.workplace.root, env=environment
            )

    def said(self):
        return self.log.read_text()

    def saved(self):
        """Return the step of the last saved state, or 0."""
        states = self.workplace.root.glob("results/checkpoints/*/[0-9]*.pt")
        return max((int(path.stem) for path in states), default=0)

    def made(self, processes=1, **environment):
        """Train to the end; return weights and history, and remove them."""
        assert self.start(processes, **environment).wait(PATIENCE) == 0, self.said()
        measured = read_manifest(manifest_of(str(self.store))).record["measured"]
        assert measured.get("processes", 1) == processes
        return self.taken()

    def taken(self):
        weights = load_file(self.store / "model.safetensors")
        for path in sorted(self.store.glob("snapshot-*")):
            weights |= {f"{path.name}:{name}": v for name, v in load_file(path).items()}
        history = read_arrays(self.store / "history.nc")
        history.pop("seconds")
        if self.spec["recipe"].get("evaluate"):
            curves = read_arrays(self.store / "history.nc", "evaluate")
            history |= {f"evaluate/{name}": values for name, values in curves.items()}
        shutil.rmtree(self.store)
        os.unlink(manifest_of(str(self.store)))
        shutil.rmtree(self.workplace.root / "results/checkpoints", ignore_errors=True)
        return weights, history


class ForkedRun(Run):
    """The same through `main` in forked processes, with all that torchrun would give them."""

    def start(self, processes=1, **environment):
        self.log.write_text("")
        return Forks(self.options, str(self.log), processes, environment)


class Forks:
    """The processes of one training, with the part of subprocess.Popen that the tests use."""

    def __init__(self, options, log, count, environment):
        self.store = torch.distributed.TCPStore(
            "127.0.0.1", 0, is_master=True, wait_for_workers=False
        )
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(self.store.port)}
        shared |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
        shared |= {"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_USE_AGENT_STORE": "True"}
        self.ranks = []
        for rank in range(count):
            own = environment | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            self.ranks.append(FORKS.Process(target=_train, args=(options, log, own), daemon=True))
            self.ranks[-1].start()

    def wait(self, seconds):
        """Return the first nonzero exit status, or 0."""
        for process in self.ranks:
            process.join(seconds)
            assert process.exitcode is not None, "it hangs"
        return next((process.exitcode for process in self.ranks if process.exitcode), 0)

    def poll(self):
        codes = [process.exitcode for process in self.ranks]
        return None if None in codes else max(codes)


def _train(options, log, environment):
    """Be the command: words into the log, and what is to be done at exit done."""
    os.environ.update(environment)
    os.chdir(os.path.dirname(log))
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = open(1, "w", buffering=1), open(2, "w", buffering=1)  # noqa: SIM115
    try:
        code = main("train", options)
    finally:
        atexit._run_exitfuncs()
    sys.exit(code)


def wait_until(true, process):
    """Wait for a condition while a process works on it."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert process.poll() is None, "it ended before that"
        assert time.monotonic() < deadline
        time.sleep(0.05)
