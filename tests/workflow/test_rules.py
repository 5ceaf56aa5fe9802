"""The rules that the Snakefiles' loops over stages define in Snakemake."""

import json
import os
import re
import subprocess
import sys

import pytest

from disobey.stores.layout import STAGES
from disobey.study.jobs import BY_STDIN

from .conftest import NO_SLURM, REPOSITORY, TINY

# Appended to the Snakefile: it writes the properties of all rules as JSON.
TELL = """
import json
known = [each for each in workflow.rules if each.name != "all"]
open("rules.json", "w").write(json.dumps([
    {
        "shell": each.shellcmd, "log": [str(path) for path in each.log],
        "output": [str(path) for path in each.output], "local": each.name in workflow._localrules,
    } for each in known
]))
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """Stage, shell line, log and outputs of every rule, and if the submitting machine runs it."""
    folder = tmp_path_factory.mktemp("rules")
    for name in ("src", "rules", "workflow", "envs"):
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / "Snakefile").write_text((REPOSITORY / "Snakefile").read_text() + TELL)
    subprocess.run(
        [sys.executable, "-m", "snakemake", "--list-rules", "--configfile", str(TINY)],
        check=True, capture_output=True, cwd=folder, env=os.environ | NO_SLURM,
    )  # fmt: skip
    told = json.loads((folder / "rules.json").read_text())
    return [rule | {"stage": re.search(r"-m disobey (\w+)", rule["shell"])[1]} for rule in told]


def test_each_stage_has_a_rule(rules):
    assert {rule["stage"] for rule in rules} == set(STAGES)


def test_each_rule_logs_below_its_own_stage_by_all_its_wildcards(rules):
    for rule in rules:
        (log,) = rule["log"]
        wildcards = re.findall(r"{\w+", rule["output"][-1])
        assert log.startswith(f"results/logs/{rule['stage']}/{{")
        assert re.findall(r"{\w+", log) == wildcards
        assert rule["shell"].endswith(" > {log:q} 2>&1")


def test_rules_hand_over_by_standard_input_what_grows_with_the_study(rules):
    for rule in rules:
        by_stdin = rule["stage"] in BY_STDIN
        assert ("| {resources.python:q}" in rule["shell"]) == by_stdin
        assert ("--from-stdin" in rule["shell"]) == by_stdin


def test_only_what_is_light_or_needs_a_network_is_made_on_the_submitting_machine(rules):
    """tests/slurm checks this on a real cluster."""
    local = {rule["stage"] for rule in rules if rule["local"]}
    assert local == {"table", "figure", "report", "pretrained"}
