"""What a cluster does to jobs: the normal command ends with the same numbers."""

import re
import subprocess
import threading
from dataclasses import dataclass

import pytest

from .conftest import Cluster, output_of, trainings, untrained, wait_until

pytestmark = pytest.mark.slurm


@dataclass
class Trouble:
    """One training that something happened to."""

    cluster: Cluster
    status: int = -1
    output: str = ""
    first_failure: str = ""

    def run(self, *words: str, pause: str) -> None:
        target = f"results/runs/{self.cluster.one_run}.json"
        with self.cluster.running(*words, "--", target, DISOBEY_TEST_PAUSE=pause) as process:
            self.meanwhile(process)
        self.status, self.output = process.returncode, self.cluster.output

    def meanwhile(self, process: subprocess.Popen[str]) -> None:
        """Do something while Snakemake waits for the job."""


class Cancelled(Trouble):
    """Cancelled by hand with retries off, then the normal command."""

    def meanwhile(self, process: subprocess.Popen[str]) -> None:
        if self.first_failure:
            return
        run = self.cluster.one_run
        wait_until(lambda: re.search(r"[1-9]\d*/69", self.cluster.log("train", run)), "a step")
        subprocess.run(["scancel", *self.cluster.job_ids()], check=True)

    def everything(self) -> None:
        self.run("--retries", "0", pause="0.4")
        self.first_failure = f"{self.status}\n{self.output}"
        self.run(pause="0")


class OverTime(Trouble):
    """Longer than the first attempt's two minutes; warned 10 s before, or up to 40 s earlier.

    Training must be at work then, so its start has more than a minute; and its 69 steps last two.
    """

    def everything(self) -> None:
        limits = ("train:runtime=2 * attempt", "train:slurm_extra='--signal=USR1@10'")
        self.run("--set-resources", *limits, pause="1.8")


class OverMemory(Trouble):
    """More than the first attempt's memory: torch alone takes that."""

    def everything(self) -> None:
        self.run("--set-resources", "train:mem_mb=200 if attempt == 1 else 1500", pause="0.1")


@pytest.fixture(scope="module")
def troubles(local, slow_repository, tmp_path_factory):
    """All kinds of trouble at the same time: most of it is waiting."""
    folder = tmp_path_factory.mktemp("troubles").resolve()
    kinds = (Cancelled, OverTime, OverMemory)
    found = {
        kind: kind(untrained(local, slow_repository, folder / kind.__name__)) for kind in kinds
    }
    threads = [threading.Thread(target=trouble.everything) for trouble in found.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("kind", [Cancelled, OverTime, OverMemory])
def test_the_weights_are_those_of_an_undisturbed_run(kind, troubles, local):
    trouble = troubles[kind]
    assert trouble.status == 0, trouble.output
    run = trouble.cluster.one_run
    undisturbed = (local.folder / f"results/runs/{run}/model.safetensors").read_bytes()
    assert trouble.cluster.weights(run) == undisturbed


def test_a_cancelled_job_is_named_with_what_slurm_says(troubles):
    failure = troubles[Cancelled].first_failure
    assert failure.startswith("1\n")
    assert re.search(r"SLURM-job '\d+' failed, SLURM status is: 'CANCELLED'", failure)
    assert troubles[Cancelled].cluster.one_run in failure


@pytest.mark.parametrize("kind", [Cancelled, OverTime])
def test_training_goes_on_from_its_state(kind, troubles):
    cluster = troubles[kind].cluster
    assert re.search(r"resumed at step [1-9]\d* ", cluster.log("train", cluster.one_run))


@pytest.mark.parametrize("kind", [Cancelled, OverTime])
def test_shell_and_snakemake_around_training_live_on_until_it_has_saved(kind, troubles):
    trouble = troubles[kind]
    shown = trouble.first_failure or trouble.output
    assert "returned non-zero exit status 2" in shown  # what training says of a saved state
    assert "task 0: Exited with exit code 1" in shown  # what SLURM says of the Snakemake in the job
    assert "died with <Signals" not in shown and "User defined signal" not in shown


def test_before_its_time_limit_training_saves_and_ends_by_itself(troubles):
    trouble = troubles[OverTime]
    assert "stopped by SIGUSR1 at step" in trouble.output
    assert len(trouble.cluster.job_ids()) == 2


def test_a_job_over_its_memory_is_submitted_with_more(troubles):
    trouble = troubles[OverMemory]
    first, second = trouble.cluster.job_ids()
    asked = [
        re.search(r"MinMemoryNode=(\S+)", output_of("scontrol", "show", "job", job))[1]
        for job in (first, second)
    ]
    assert asked == ["200M", "1500M"]
    assert f"SLURM-job '{first}' failed, SLURM status is: " in trouble.output


def test_a_drained_node_lets_jobs_wait(without_one_run):
    cluster = without_one_run
    node = ("scontrol", "update", "nodename=localhost")
    subprocess.run([*node, "state=drain", "reason=test"], check=True)
    target = f"results/runs/{cluster.one_run}.json"
    try:
        with cluster.running("--", target, DISOBEY_TEST_PAUSE="0") as process:
            wait_until(cluster.job_ids, "a job is submitted")
            (job,) = cluster.job_ids()
            show = ("squeue", "--noheader", "--jobs", job, "--format", "%T %r")
            wait_until(lambda: "DRAIN" in output_of(*show).upper(), "SLURM says why it waits")
            assert output_of(*show).startswith("PENDING")
            assert process.poll() is None and not trainings(cluster.folder)
            subprocess.run([*node, "state=resume"], check=True)
    finally:
        subprocess.run([*node, "state=resume"], check=False, capture_output=True)
    assert process.returncode == 0, cluster.output
    assert len(cluster.job_ids()) == 1
