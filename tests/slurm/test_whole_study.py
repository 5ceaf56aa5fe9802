"""The small study on a real SLURM: what is submitted, where it runs, and what comes out."""

import json
import re

import pytest

pytestmark = pytest.mark.slurm

# What stands on the sbatch line of each group's first attempt, beside what every line has.
# Memory and minutes are worked out by hand for the small study: 1000 MB for a process, 500 for
# torch, 3000 for a GPU, the rest rounded up to the next hundred, of the largest member; 15 minutes,
# and one for the work of all members.
MODEL = ["-t 16", "--mem 4600", "--nodes=1", "--gpus=1"]
EXPECTED = {
    "data-1_labels_prepare": ["-t 16", "--mem 1300", "--ntasks=1", "--cpus-per-task=1"],
    "bases-1_basis": [*MODEL, "--cpus-per-task=2"],
    "teachers-1_dump_train": [*MODEL, "--signal=USR1@60", "--cpus-per-task=1"],
    "views-of-teachers-1_views": [*MODEL, "--cpus-per-task=1"],
    "students-1-1_dump_train": [*MODEL, "--signal=USR1@60", "--cpus-per-task=1"],
    "students-1-2_dump_train": [*MODEL, "--signal=USR1@60", "--cpus-per-task=1"],
    "analyses-1_bias_confidence": ["-t 16", "--mem 1300", "--ntasks=1", "--cpus-per-task=1"],
    "explorer": ["-t 16", "--mem 1300", "--ntasks=1", "--cpus-per-task=1"],
}
ALWAYS = ["--parsable", "--export=ALL", "--requeue", "-p cpu"]
VARIES = ("--job-name", "--output", "--comment", "-D", "--wrap")


def options(words: list[str]) -> list[str]:
    """Join each option with its value, and leave out those whose value is another each time."""
    joined: list[str] = []
    for word in words:
        if word.startswith("-") or not joined:
            joined.append(word)
        else:
            joined[-1] += f" {word}"
    return [option for option in joined if re.split("[ =]", option)[0] not in VARIES]


def rule_of(words: list[str]) -> str:
    comment = words[words.index("--comment") + 1]
    return comment.removeprefix("rule_").partition("_wildcards_")[0]


def test_every_planned_store_is_made(finished):
    for manifest in finished.cluster.plan.manifests():
        record = json.loads((finished.cluster.folder / manifest).read_text())
        for name, entry in record["files"].items():
            path = (finished.cluster.folder / manifest).parent / name
            assert path.stat().st_size == entry["bytes"] > 0


def test_logits_equal_those_of_a_local_run_bit_for_bit(finished, local):
    runs = [key for stage, key in finished.cluster.plan.jobs if stage == "dump"]
    assert len(runs) == 3
    for run in runs:
        path = f"results/logits/{run}.nc"
        here, there = (local.folder / path).read_bytes(), finished.cluster.folder / path
        assert there.read_bytes() == here, run


def test_a_local_call_finds_nothing_to_do_after_a_run_on_slurm(finished):
    assert finished.cluster.would_run() == set()
    words = ("--workflow-profile", "none", "--cores", "1", "--dry-run")
    done = finished.cluster.snakemake(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing to be done" in done.stdout + done.stderr


def test_the_sbatch_line_of_each_group(finished):
    seen = {}
    for words in finished.submitted:
        seen.setdefault(rule_of(words), set()).add(tuple(sorted(options(words))))
    assert {rule: [sorted(line) for line in lines] for rule, lines in seen.items()} == {
        rule: [sorted([*ALWAYS, *line])] for rule, line in EXPECTED.items()
    }


def test_each_group_is_submitted_once(finished):
    assert len(finished.submitted) == len(EXPECTED)


def test_trainings_at_one_time_have_a_gpu_each(finished):
    for moment in finished.moments:
        by_job = {seen.job: seen.devices for seen in moment}
        assert len(set(by_job.values())) == len(by_job), moment
    devices = {seen.devices for moment in finished.moments for seen in moment}
    assert devices == {"0", "1"}
    assert max(len({seen.job for seen in moment}) for moment in finished.moments) == 2


def test_logs_of_slurm_lie_with_the_others_and_go_after_success(finished):
    folder = finished.cluster.folder
    assert (
        f"(log: {folder}/results/logs/slurm/group_teachers-1_dump_train/" in finished.cluster.output
    )
    assert not list(folder.glob("results/logs/slurm/**/*.log"))
    assert not (folder / ".snakemake/slurm_logs").exists()
