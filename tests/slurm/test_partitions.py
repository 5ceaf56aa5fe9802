"""Two partitions, one for CPU jobs and one with a limit for GPU jobs, as docs/cluster.md says."""

import json
import os
import re
import shutil
import subprocess
import textwrap

import pytest

from .conftest import REPOSITORY, Cluster, output_of, record_sbatch

pytestmark = pytest.mark.slurm

LIMITED = "limited"  # the partition of GPU jobs
PAGE = REPOSITORY / "docs/cluster.md"


def blocks_of_the_page():
    """Return the indented blocks of the page: a profile's keys, and partitions by their limits."""
    lines = PAGE.read_text().splitlines()
    text = "\n".join(line if line.startswith("    ") else "" for line in lines)
    blocks = [textwrap.dedent(block) for block in re.findall(r"(?:    .*\n)+", text)]
    (site,) = [block for block in blocks if block.startswith("default-resources:")]
    (partitions,) = [block for block in blocks if block.startswith("partitions:")]
    return site, partitions


@pytest.fixture(scope="module", autouse=True)
def limited(slurm):
    output_of("scontrol", "create", f"partitionname={LIMITED}", "nodes=localhost", "maxtime=300")
    yield
    subprocess.run(["scontrol", "delete", f"partitionname={LIMITED}"], check=False)


def submitted(local, repository, folder, *words):
    """Run data and a training again; return the options of each group's sbatch line."""
    shutil.copytree(local.folder, folder, copy_function=shutil.copy2)
    cluster = Cluster(folder, repository)
    for path in (folder / "results/data").glob("*.json"):
        path.unlink()
    target = f"results/runs/{cluster.one_run}.json"
    record_sbatch(folder / "bin", folder / "sbatch.jsonl")
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    with cluster.running(*words, "--", target, PATH=path, DISOBEY_TEST_PAUSE="0") as process:
        pass
    assert process.returncode == 0, cluster.output
    lines = map(json.loads, (folder / "sbatch.jsonl").read_text().splitlines())
    return {
        line[line.index("--comment") + 1].removeprefix("rule_").partition("-")[0]: " ".join(line)
        for line in lines
    }


def test_gpu_jobs_go_to_their_partition_and_ask_by_gres(local, slow_repository, tmp_path):
    site, _ = blocks_of_the_page()
    assert "slurm_partition: \"'gpu'\"" in site
    site = site.replace("'gpu'", f"'{LIMITED}'").replace("1440", "300")
    gpu = f"    slurm_partition: \"'{LIMITED}'\"\n"
    site = site.replace(gpu, f"{gpu}    gpu: 0\n    gres: \"'gpu:1'\"\n")
    profile = tmp_path / "site/profile.yaml"
    profile.parent.mkdir()
    profile.write_text(site)
    lines = submitted(local, slow_repository, tmp_path / "a", "--profile", str(profile.parent))
    assert {"data", "teachers"} == set(lines)
    assert " -p cpu " in lines["data"] and "gpu:" not in lines["data"]
    assert f" -p {LIMITED} " in lines["teachers"] and "--gres=gpu:1" in lines["teachers"]
    assert "--gpus" not in lines["teachers"]


def test_the_plugin_chooses_partitions_by_their_limits(local, slow_repository, tmp_path):
    _, partitions = blocks_of_the_page()
    path = tmp_path / "partitions.yaml"
    path.write_text(partitions.replace("short:", f"{LIMITED}:").replace("long:", "gpu:"))
    words = ("--slurm-partition-config", str(path))
    lines = submitted(local, slow_repository, tmp_path / "b", *words)
    assert " -p cpu " in lines["data"]
    assert f" -p {LIMITED} " in lines["teachers"] and "--gpus=1" in lines["teachers"]
