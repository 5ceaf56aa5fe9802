"""Snakemake killed on a cluster: the normal command ends what it left, and loses nothing."""

import re
import signal
import subprocess

import pytest

from disobey.locks import Lock
from disobey.stores.layout import lock_of

from .conftest import output_of, trainings, wait_until

pytestmark = pytest.mark.slurm


def state_of(job):
    return output_of("squeue", "--noheader", "--jobs", job, "--format", "%T")


def test_a_running_job_is_cancelled_and_its_state_goes_on(without_one_run, local):
    cluster, run = without_one_run, without_one_run.one_run
    target = f"results/runs/{run}.json"
    with cluster.running("--", target, DISOBEY_TEST_PAUSE="0.4") as first:
        wait_until(lambda: re.search(r"[1-9]\d*/69", cluster.log("train", run)), "a step")
        first.send_signal(signal.SIGKILL)
    (left,) = cluster.job_ids()
    assert len(trainings(cluster.folder)) == 1
    with cluster.running("--", target, DISOBEY_TEST_PAUSE="0") as second:
        pass
    assert second.returncode == 0, cluster.output
    assert f"cancelling SLURM jobs {left} that an earlier run left" in cluster.output
    assert re.search(r"resumed at step [1-9]\d* ", cluster.log("train", run))
    undisturbed = (local.folder / f"results/runs/{run}/model.safetensors").read_bytes()
    assert cluster.weights(run) == undisturbed
    assert Lock(lock_of(cluster.folder / target)).held_by() is None


def test_a_job_that_waits_in_the_queue_is_cancelled_too(without_one_run):
    """Its turn would come when the run that follows has made everything."""
    cluster = without_one_run
    target = f"results/runs/{cluster.one_run}.json"
    node = ("scontrol", "update", "nodename=localhost")
    output_of(*node, "state=drain", "reason=test")
    try:
        with cluster.running("--", target, DISOBEY_TEST_PAUSE="0") as first:
            wait_until(cluster.job_ids, "a job is submitted")
            first.send_signal(signal.SIGKILL)
        (left,) = cluster.job_ids()
        assert state_of(left) == "PENDING"
        with cluster.running("--", target, DISOBEY_TEST_PAUSE="0") as second:
            wait_until(lambda: cluster.job_ids() not in ([], [left]), "a job is submitted")
            assert state_of(left) in ("", "CANCELLED")
            output_of(*node, "state=resume")
    finally:
        subprocess.run([*node, "state=resume"], check=False, capture_output=True)
    assert second.returncode == 0, cluster.output
