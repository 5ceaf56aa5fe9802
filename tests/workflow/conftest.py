"""A tiny study, run once by the real Snakemake; tests use copies of it."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from disobey.study.figures import FIGURES
from disobey.study.loader import load_study
from disobey.study.plan import make_plan

from . import forked

REPOSITORY = Path(__file__).parents[2]
TINY = Path(__file__).with_name("tiny.yaml")
SMALL = Path(__file__).with_name("small.yaml")
# Time limit in seconds that is exceeded only by failures, even on a slow or busy machine.
PATIENCE = 900
# If SLURM is configured but does not answer, each Snakemake would start nine seconds late.
NO_SLURM = {"SLURM_CONF": os.devnull}


def wait_until(true: Callable[[], object], what: str = "") -> None:
    """Wait for a condition; the deadline only stops a test that would hang forever."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"not after {PATIENCE} s: {what}"
        time.sleep(0.05)


@dataclass
class Workflow:
    """A folder with a study, and the Snakemake of this environment."""

    folder: Path
    repository: Path = REPOSITORY
    named: str = "study.yaml"

    @property
    def study(self) -> Path:
        return self.folder / self.named

    def command(self, *words: str) -> list[str]:
        return [
            sys.executable, "-m", "snakemake", "--snakefile", str(self.repository / "Snakefile"),
            "--directory", str(self.folder), "--configfile", str(self.study), "--cores", "2",
            *words,
        ]  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | NO_SLURM

    def snakemake(self, *words: str, timeout: float = 2 * PATIENCE) -> CompletedProcess[str]:
        command = self.command(*words)
        if command[1:3] == ["-m", "snakemake"]:
            return forked.run(
                *command[2:], folder=self.folder, environment=self.environment, timeout=timeout
            )
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout,
            cwd=self.folder, env=self.environment,
        )  # fmt: skip

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start Snakemake in its own process group, as a terminal would, so Ctrl-C can be sent."""
        return subprocess.Popen(
            self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=self.folder, start_new_session=True, env=self.environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    def edit(self, old: str, new: str) -> None:
        text = self.study.read_text()
        assert old in text, f"{old!r} is not in the study"
        self.study.write_text(text.replace(old, new))

    def would_run(self, *words: str) -> set[str]:
        """Return ``rule wildcards`` of every job that a call would run now."""
        result = self.snakemake("--dry-run", *words)
        assert result.returncode == 0, result.stdout + result.stderr
        return jobs_in(result.stdout + result.stderr)

    def why(self, *words: str) -> set[str]:
        """Return ``rule wildcards`` of every job that ``python -m disobey why`` names."""
        result = forked.run(
            "disobey", "why", str(self.study), *words, folder=self.folder, timeout=PATIENCE,
            environment=os.environ | {"PYTHONPATH": str(self.repository / "src")},
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        names = set()
        for stage, key in re.findall(r"^(\w+) (\S+): ", result.stdout, re.M):
            names.add(in_dry_run(stage, key))
        return names

    def planned(self, *stages: str) -> list[str]:
        """Return the manifests of all jobs of the given stages, as targets of `snakemake`."""
        jobs = make_plan(load_study(self.study)).jobs.items()
        return [job.manifest for (stage, _), job in jobs if stage in stages]

    def manifests(self) -> list[Path]:
        return sorted(self.folder.glob("results/**/*.json"))


def in_dry_run(stage: str, key: str) -> str:
    """Return ``rule wildcards`` of a planned job; each kind of figure has its own rule."""
    rule, values = stage, key.split("/")
    if stage == "figure":
        (kind,) = (kind for kind in FIGURES if f"{values[1]}-".startswith(f"{kind}-"))
        rule = f"figure_{kind}".replace("-", "_")
    return " ".join([rule, *values])


def jobs_in(output: str) -> set[str]:
    """Return the jobs in the output of a dry run."""
    jobs = set()
    for block in re.split(r"\n(?=(?:local)?rule |\[)", output):
        rule = re.match(r"(?:local)?rule (\w+):", block)
        if rule and rule[1] != "all":
            wildcards = re.search(r"wildcards: (.+)", block)
            values = re.findall(r"\w+=([^,\n]+)", wildcards[1]) if wildcards else []
            jobs.add(" ".join([rule[1], *values]))
    return jobs


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The finished tiny study, run by one worker for all; read only, or use a `copy`."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # each worker has its own folder inside the shared one
    workflow = Workflow(base / "tiny")
    printed = workflow.folder / "first-run.txt"
    with open(base / "tiny.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        if not printed.exists():
            workflow.folder.mkdir(exist_ok=True)
            shutil.copy(TINY, workflow.study)
            result = workflow.snakemake("--printshellcmds")
            assert result.returncode == 0, result.stdout + result.stderr
            printed.write_text(result.stdout + result.stderr)
    return workflow


@pytest.fixture
def copy(finished: Workflow, tmp_path: Path) -> Workflow:
    """A copy of the finished study with its modification times."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder, copy_function=shutil.copy2)
    return Workflow(folder)


def copy_repository(target: Path) -> Path:
    """Copy the files from which the workflow runs.

    Times are kept so that compiled modules stay valid in the copy. Modules that another worker is
    writing (``x.pyc.123``) are left out.
    """
    for name in ("src", "rules", "workflow", "envs", "profiles"):
        shutil.copytree(
            REPOSITORY / name, target / name,
            ignore=shutil.ignore_patterns("*.pyc.*", "*.egg-info"),
        )  # fmt: skip
    for name in ("Snakefile", "config.yaml"):
        shutil.copyfile(REPOSITORY / name, target / name)
    return target


@pytest.fixture
def fresh(tmp_path: Path) -> Workflow:
    """An empty folder with the small study file."""
    workflow = Workflow(tmp_path)
    shutil.copy(SMALL, workflow.study)
    return workflow
