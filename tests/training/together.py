"""Trainings in several processes, started as rules/training.smk does; used by tests/gpu too."""

import os
import shutil
import subprocess
import sys
import time

from safetensors.numpy import load_file

from disobey.provenance import spec_id
from disobey.stores.layout import manifest_of
from disobey.stores.manifest import read_manifest
from disobey.stores.reader import read_arrays
from disobey.workflow import TORCHRUN

PATIENCE = 900  # seconds; only to end a test that hangs
CODE = ("--code", "c0de")  # known, so that a finished store is known to be the one wanted


class Run:
    """One run's spec, which one process or several train in turn."""

    def __init__(self, workplace, spec, *inputs):
        self.workplace, self.spec = workplace, spec
        self.id = spec_id("run", spec)
        self.inputs = inputs
        self.log = workplace.root / "log"

    @property
    def store(self):
        return self.workplace.path("runs", self.id)

    def start(self, processes=1, **environment):
        """Start the command; its words go into ``log``."""
        launcher = TORCHRUN.format(processes=processes).split() if processes > 1 else []
        options = self.workplace.words("runs", self.id, self.spec, *self.inputs)
        words = [sys.executable, *launcher, "-m", "disobey", "train", *options, *CODE]
        with open(self.log, "w") as log:
            return subprocess.Popen(
                words, stderr=log, stdout=log, cwd=self.workplace.root, env=os.environ | environment
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
        modules = read_manifest(manifest_of(str(self.store))).record["modules"]
        assert ("disobey.training.ranks" in modules) == (processes > 1)
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


def wait_until(true, process):
    """Wait for a condition while a process works on it."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert process.poll() is None, "it ended before that"
        assert time.monotonic() < deadline
        time.sleep(0.05)
