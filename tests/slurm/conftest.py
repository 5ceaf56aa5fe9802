"""The small study on the one-node SLURM of slurm-up.sh, and next to it on this machine alone.

The tests start no SLURM: `.ci/run` does. They cancel jobs and drain the node, so they run on that
cluster only, never on a real one.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from disobey.study.jobs import Plan
from disobey.study.loader import load_study
from disobey.study.plan import make_plan

from ..workflow.conftest import (
    PATIENCE,
    REPOSITORY,
    SMALL,
    Workflow,
    copy_repository,
    wait_until,
)

TEST_CLUSTER = "ci"  # as slurm-up.sh calls it
QUICK = Path(__file__).with_name("quick_snakemake.py")


def output_of(*command: str) -> str:
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def why_not() -> str | None:
    """Return why the tests cannot run here, or None."""
    try:
        output_of("sinfo", "--noheader")
        config = output_of("scontrol", "show", "config")
    except (OSError, subprocess.SubprocessError) as error:
        return f"no SLURM answers here ({error}); slurm-up.sh starts one"
    name = re.search(r"ClusterName\s*=\s*(\S+)", config)
    if name is None or name[1] != TEST_CLUSTER:
        return "this SLURM is not the one of slurm-up.sh, and the tests drain its node"
    return None


@pytest.fixture(autouse=True, scope="session")
def slurm() -> None:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(autouse=True)
def every_test_is_marked(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("slurm"), "write pytestmark = pytest.mark.slurm"


@dataclass
class Cluster(Workflow):
    """A folder with a study in it, whose jobs go to SLURM as the shipped profile says."""

    def command(self, *words: str) -> list[str]:
        return [
            sys.executable, str(QUICK), "--snakefile", str(self.repository / "Snakefile"),
            "--directory", str(self.folder), "--configfile", str(self.study),
            "--workflow-profile", str(self.repository / "profiles/slurm"),
            # a waiting minute for each missing file is for network file systems
            "--latency-wait", "5", "--slurm-init-seconds-before-status-checks", "1", *words,
        ]  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    @property
    def plan(self) -> Plan:
        return make_plan(load_study(self.study))

    @property
    def one_run(self) -> str:
        """The training that the tests interrupt."""
        return self.plan.settings["self"].teachers[0]

    def forget(self, run: str) -> None:
        """Remove a training, as if it had never run."""
        shutil.rmtree(self.folder / f"results/runs/{run}")
        (self.folder / f"results/runs/{run}.json").unlink()
        (self.folder / f"results/logs/train/{run}.log").unlink()

    @contextmanager
    def running(self, *words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Start Snakemake, its words in ``output.txt``; on the way out wait until it ends."""
        with open(self.folder / "output.txt", "w") as output:
            process = subprocess.Popen(
                self.command(*words), stdout=output, stderr=subprocess.STDOUT, text=True,
                cwd=self.folder, env=self.environment | environment,
            )  # fmt: skip
            try:
                yield process
                process.wait(timeout=PATIENCE)
            finally:
                if process.poll() is None:
                    process.terminate()
                    subprocess.run(["scancel", *self.job_ids()], check=False)

    @property
    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    def job_ids(self) -> list[str]:
        return re.findall(r"submitted with SLURM jobid (\d+)", self.output)

    def log(self, stage: str, key: str) -> str:
        path = self.folder / f"results/logs/{stage}/{key}.log"
        return path.read_text() if path.is_file() else ""

    def weights(self, run: str) -> bytes:
        return (self.folder / f"results/runs/{run}/model.safetensors").read_bytes()


def write_study(folder: Path) -> None:
    """Write the small study with a device that asks a cluster for GPUs."""
    text = SMALL.read_text()
    assert "device: cpu" in text
    (folder / "study.yaml").write_text(text.replace("device: cpu", "device: auto"))


@pytest.fixture(scope="session")
def local(slurm: None, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The models of the study and their logits, made on this machine alone."""
    workflow = Workflow(tmp_path_factory.mktemp("local"))
    write_study(workflow.folder)
    plan = make_plan(load_study(workflow.study))
    made = [job.manifest for (stage, _), job in plan.jobs.items() if stage in ("train", "dump")]
    done = workflow.snakemake(*made)
    assert done.returncode == 0, done.stdout + done.stderr
    return workflow


@pytest.fixture(scope="session")
def slow_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository, whose training pauses after each step; the numbers stay the same.

    A group is worth four seconds there, so that a reference and a student have one each.
    """
    repository = copy_repository(tmp_path_factory.mktemp("slow") / "repository")
    path = repository / "src/disobey/training/loop.py"
    text, step = path.read_text(), "        self.step += 1\n"
    assert step in text
    pause = "        time.sleep(float(__import__('os').environ['DISOBEY_TEST_PAUSE']))\n"
    path.write_text(text.replace(step, step + pause))
    groups = repository / "src/disobey/cluster.py"
    text, least = groups.read_text(), "LEAST_SECONDS = 600.0"
    assert least in text
    groups.write_text(text.replace(least, "LEAST_SECONDS = 4.0"))
    # The node's GPUs are made up, so torch finds none: there training falls back to the CPU.
    device = repository / "src/disobey/training/device.py"
    text, given = device.read_text(), "    given = given_cards()\n"
    assert given in text
    device.write_text(text.replace(given, "    given = None\n"))
    return repository


@pytest.fixture
def without_one_run(local: Workflow, slow_repository: Path, tmp_path: Path) -> Cluster:
    """The local results but for one training, which is still to be made."""
    return untrained(local, slow_repository, tmp_path / "copy")


def untrained(local: Workflow, repository: Path, folder: Path) -> Cluster:
    shutil.copytree(local.folder, folder, copy_function=shutil.copy2)
    cluster = Cluster(folder, repository)
    cluster.forget(cluster.one_run)
    return cluster


@dataclass(frozen=True)
class Seen:
    """A training process, as /proc shows it."""

    job: str
    devices: str


def trainings(folder: Path) -> list[Seen]:
    """Return the training processes that run in ``folder`` now."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if words[1:4] != [b"-m", b"disobey", b"train"] or (process / "cwd").resolve() != folder:
                continue
            pairs = (process / "environ").read_text().split("\0")
        except (OSError, UnicodeDecodeError):
            continue  # it has just ended
        environment = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        devices = environment.get("CUDA_VISIBLE_DEVICES", "")
        found.append(Seen(environment.get("SLURM_JOB_ID", ""), devices))
    return found


@dataclass
class Finished:
    """The study after a run on SLURM, and what was seen of it."""

    cluster: Cluster
    submitted: list[list[str]]
    moments: list[list[Seen]]


@pytest.fixture(scope="session")
def finished(
    slurm: None, slow_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    """The whole study on SLURM; each sbatch line and all training processes on record.

    Trainings last some ten seconds, so that two that SLURM starts together are at work together,
    however unlike the starts of their processes are on a busy machine.
    """
    folder = tmp_path_factory.mktemp("cluster").resolve()
    cluster, lines, moments = Cluster(folder, slow_repository), folder / "sbatch.jsonl", []
    write_study(folder)
    record_sbatch(folder / "bin", lines)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    with cluster.running(PATH=path, DISOBEY_TEST_PAUSE="0.15") as process:
        while process.poll() is None:
            moments.append(trainings(folder))
            time.sleep(0.1)
    assert process.returncode == 0, cluster.output
    return Finished(cluster, [json.loads(line) for line in lines.read_text().splitlines()], moments)


def record_sbatch(folder: Path, lines: Path) -> None:
    """Write an ``sbatch`` that notes its words and calls the real one."""
    folder.mkdir()
    script = folder / "sbatch"
    script.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        f"with open({str(lines)!r}, 'a') as stream:\n"
        "    stream.write(json.dumps(sys.argv[1:]) + '\\n')\n"
        f"os.execv({shutil.which('sbatch')!r}, ['sbatch', *sys.argv[1:]])\n"
    )
    script.chmod(0o755)


__all__ = ["REPOSITORY", "Cluster", "Finished", "trainings", "untrained", "wait_until"]
