"""Troubles on a cluster: the normal command ends with the same numbers."""

import re
import subprocess
import threading
from dataclasses import dataclass

import pytest

from .conftest import Cluster, output_of, untrained, wait_until

pytestmark = pytest.mark.slurm

SHORT = "short"


@dataclass
class Trouble:
    """One training that had trouble."""

    cluster: Cluster
    status: int = -1
    output: str = ""
    first_failure: str = ""

    def runs(self) -> list[str]:
        """Return the trainings that must still be made."""
        return [self.cluster.one_run]

    def run(self, *words: str, pause: str) -> None:
        targets = [f"results/runs/{run}.json" for run in self.runs()]
        with self.cluster.running(*words, "--", *targets, DISOBEY_TEST_PAUSE=pause) as process:
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
    """Longer than the partition's two minutes; warned 10 s before, or up to 40 s earlier.

    Training must be at work then, so its start has more than a minute; and its 69 steps last two.
    """

    def meanwhile(self, process: subprocess.Popen[str]) -> None:
        """Let the job start again at once: SLURM would keep it waiting for two minutes."""

        def waits() -> bool:
            return "BeginTime" in output_of("squeue", "-h", "-p", SHORT, "-o", "%r")

        wait_until(lambda: waits() or process.poll() is not None, "the job that starts again")
        for job in self.cluster.job_ids():
            subprocess.run(["scontrol", "update", f"jobid={job}", "starttime=now"], check=False)

    def everything(self) -> None:
        output_of(
            "scontrol", "create", f"partitionname={SHORT}", "nodes=localhost", "maxtime=2",
        )  # fmt: skip
        try:
            site = ("--default-resources", "longest_runtime=2", f"slurm_partition={SHORT}")
            warned = ("--set-resources", "train:slurm_extra='--signal=USR1@10'")
            self.run(*site, *warned, "--retries", "0", pause="1.8")
        finally:
            output_of("scontrol", "delete", f"partitionname={SHORT}")


class OverMemory(Trouble):
    """More than the first attempt's memory: torch alone takes that."""

    def everything(self) -> None:
        self.run("--set-resources", "train:mem_mb=200 if attempt == 1 else 1500", pause="0.1")


class GroupCancelled(Trouble):
    """Reference and placebo, one job: cancelled when one is finished and the other at work."""

    finished: dict[str, bytes]

    def runs(self) -> list[str]:
        runs = self.cluster.plan.settings["self"]
        return [runs.references[0], runs.placebos["half_lr"][0]]

    def manifests(self) -> dict[str, bytes]:
        paths = {run: self.cluster.folder / f"results/runs/{run}.json" for run in self.runs()}
        return {run: path.read_bytes() for run, path in paths.items() if path.is_file()}

    def meanwhile(self, process: subprocess.Popen[str]) -> None:
        def one_of_two() -> bool:
            begun = [run for run in self.runs() if re.search(r"[1-9]\d*/69", self.log(run))]
            return len(begun) == 2 and len(self.manifests()) == 1

        wait_until(one_of_two, "the second of two trainings")
        self.finished = self.manifests()
        self.stop()

    def log(self, run: str) -> str:
        return self.cluster.log("train", run)

    def stop(self) -> None:
        subprocess.run(["scancel", self.cluster.job_ids()[-1]], check=True)

    def everything(self) -> None:
        for run in self.runs():
            self.cluster.forget(run)
        self.run(pause="0.4")


class GroupStartedAgain(GroupCancelled):
    """The same, but SLURM puts the job back into its queue, as at a training's time limit."""

    def stop(self) -> None:
        job = self.cluster.job_ids()[-1]
        subprocess.run(["scontrol", "requeue", job], check=True)
        wait_until(lambda: "BeginTime" in output_of("squeue", "-h", "-j", job, "-o", "%r"), "it")
        subprocess.run(["scontrol", "update", f"jobid={job}", "starttime=now"], check=True)


@pytest.fixture(scope="module")
def troubles(local, slow_repository, tmp_path_factory):
    """All kinds of trouble at the same time: most of it is waiting."""
    folder = tmp_path_factory.mktemp("troubles").resolve()
    kinds = (Cancelled, OverTime, OverMemory, GroupCancelled, GroupStartedAgain)
    found = {
        kind: kind(untrained(local, slow_repository, folder / kind.__name__)) for kind in kinds
    }
    threads = [threading.Thread(target=trouble.everything) for trouble in found.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize(
    "kind", [Cancelled, OverTime, OverMemory, GroupCancelled, GroupStartedAgain]
)
def test_the_weights_are_those_of_an_undisturbed_run(kind, troubles, local):
    trouble = troubles[kind]
    assert trouble.status == 0, trouble.output
    for run in trouble.runs():
        undisturbed = (local.folder / f"results/runs/{run}/model.safetensors").read_bytes()
        assert trouble.cluster.weights(run) == undisturbed


@pytest.mark.parametrize(("kind", "retries"), [(GroupCancelled, 1), (GroupStartedAgain, 0)])
def test_a_group_goes_on_with_what_is_not_finished(kind, retries, troubles):
    trouble = troubles[kind]
    assert trouble.output.count("Trying to restart job") == retries
    ((run, manifest),) = trouble.finished.items()
    assert trouble.manifests()[run] == manifest  # made once: it says when
    (other,) = set(trouble.runs()) - {run}
    assert re.search(r"resumed at step [1-9]\d* ", trouble.log(other))
    assert "resumed" not in trouble.log(run)
    again = {job for job in trouble.cluster.would_run() if job.startswith("train ")}
    assert not any(run in job for job in again for run in trouble.runs())


def test_a_cancelled_job_is_named_with_what_slurm_says(troubles):
    failure = troubles[Cancelled].first_failure
    assert failure.startswith("1\n")
    # Trainings are groups, and of a group's failure Snakemake shows SLURM's log, not its status.
    assert re.search(r"JOB \d+ ON \S+ CANCELLED", failure), failure
    assert troubles[Cancelled].cluster.one_run in failure


@pytest.mark.parametrize("kind", [Cancelled, OverTime])
def test_training_goes_on_from_its_state(kind, troubles):
    cluster = troubles[kind].cluster
    assert re.search(r"resumed at step [1-9]\d* ", cluster.log("train", cluster.one_run))


def test_shell_and_snakemake_around_training_live_on_until_it_has_saved(troubles):
    shown = troubles[Cancelled].first_failure
    assert "returned non-zero exit status 2" in shown  # what training says of a saved state
    assert "task 0: Exited with exit code 1" in shown  # what SLURM says of the Snakemake in the job
    assert "died with <Signals" not in shown and "User defined signal" not in shown


def test_a_training_longer_than_any_job_may_be_goes_on_without_a_retry(troubles):
    """SLURM starts the same job again: the Snakemake that waits for it sees no failure."""
    trouble = troubles[OverTime]
    log = trouble.cluster.log("train", trouble.cluster.one_run)
    assert re.search(r"resumed at step [1-9]\d* ", log)
    assert len(trouble.cluster.job_ids()) == 1
    assert "Error in" not in trouble.output
    assert "Trying to restart job" not in trouble.output
