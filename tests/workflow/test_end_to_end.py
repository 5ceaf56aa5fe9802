"""The whole workflow on real data, through the real Snakemake."""

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from disobey.study.loader import load_study
from disobey.study.plan import make_plan

pytestmark = pytest.mark.workflow


def test_every_planned_store_is_made_and_vouched_for(finished):
    plan = make_plan(load_study(finished.study))
    for manifest in plan.manifests():
        record = json.loads((finished.folder / manifest).read_text())
        for name, entry in record["files"].items():
            path = (finished.folder / manifest).parent / name
            assert path.stat().st_size == entry["bytes"] > 0


def test_a_second_run_does_nothing(finished):
    result = finished.snakemake()
    assert result.returncode == 0
    assert "Nothing to be done" in result.stdout + result.stderr


def test_claims_come_with_verdicts_for_every_setting(finished):
    with open(finished.folder / "results/tiny/tables/claims.csv") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["setting"] for row in rows} == {"noisy-self", "noisy-small", "clean-self"}
    assert {row["verdict"] for row in rows} <= {"holds", "contrary", "undecided"}
    for row in rows:
        low, high, null = (float(row[key]) for key in ("low", "high", "null"))
        above = low > null if row["side"] == "above" else high < null
        below = high < null if row["side"] == "above" else low > null
        expected = "holds" if above else "contrary" if below else "undecided"
        assert row["verdict"] == expected


def test_every_number_of_the_tables_is_recomputed_from_the_logits(finished):
    """By code that shares nothing with the package; estimates to 1e-6, intervals by their seed."""
    script = Path(__file__).parents[1] / "analysis" / "recompute.py"
    done = subprocess.run(
        [sys.executable, str(script), str(finished.folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_students_read_the_stored_logits_of_their_own_teacher(finished):
    plan = make_plan(load_study(finished.study))
    runs = plan.settings["noisy-self"]
    for teacher, student in zip(runs.teachers, runs.students, strict=True):
        record = json.loads((finished.folder / f"results/runs/{student}.json").read_text())
        assert f"results/logits/{teacher}.nc.json" in record["inputs"]


def test_each_rules_shell_line_works_by_hand(copy):
    """A line that --printshellcmds shows, pasted into a shell, makes the store again."""
    printed = (copy.folder / "first-run.txt").read_text()
    lines = re.findall(r"^Shell command: (.+ -m disobey .+)$", printed, re.M)
    by_stage = {shlex.split(line)[3]: line.strip() for line in lines}
    stages = {"prepare", "labels", "train", "dump", "confidence", "table", "figure", "report"}
    assert set(by_stage) == stages
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    for stage, line in by_stage.items():
        words = shlex.split(line)
        manifest = copy.folder / words[words.index("--output") + 1]
        manifest.unlink()
        done = subprocess.run(line, shell=True, cwd=copy.folder, env=environment)
        assert done.returncode == 0, stage
        assert manifest.is_file()


def test_ctrl_c_in_the_middle_then_the_same_command_finishes(fresh):
    running = fresh.start()
    deadline = time.monotonic() + 120
    while not list(fresh.folder.glob("results/logits/*.json")):
        assert time.monotonic() < deadline, "no logits after two minutes"
        time.sleep(0.2)
    os.killpg(running.pid, signal.SIGINT)
    output, _ = running.communicate(timeout=60)
    assert running.returncode != 0, output
    assert not (fresh.folder / "results/tiny/report.html").exists()
    done = fresh.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (fresh.folder / "results/tiny/report.html").exists()


def test_a_bad_study_is_refused_in_words_before_any_job(fresh):
    fresh.edit("temperature: 0.9,", "temprature: 0.9,")
    result = fresh.snakemake()
    printed = result.stdout + result.stderr
    assert result.returncode != 0
    assert "settings.noisy-small.distill.temprature: unknown key" in printed
    assert "did you mean 'temperature'?" in printed
    assert "Traceback" not in printed
    assert not (fresh.folder / "results").exists()


def test_config_on_the_command_line_is_refused_with_what_to_do(fresh):
    result = fresh.snakemake("--config", "seeds=[0]")
    assert result.returncode != 0
    assert "a study is one file" in result.stdout + result.stderr


def test_snakemakes_own_report_shows_captions_and_figures(finished, tmp_path):
    page = tmp_path / "snakemake-report.html"
    result = finished.snakemake("--report", str(page))
    assert result.returncode == 0, result.stdout + result.stderr
    text = page.read_text()
    assert "exaggeration-noisy-self" in text and "Figures" in text


def test_the_help_lists_every_stage():
    shown = subprocess.run(
        [sys.executable, "-m", "disobey", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for stage in ("prepare", "labels", "train", "dump", "confidence", "table", "figure", "report"):
        assert re.search(rf"^  {stage} ", shown, re.M)


def test_a_stage_does_not_import_what_it_does_not_need():
    """A dry run, a figure and an analysis stay quick because torch stays out of them."""
    code = (
        "import sys, disobey.{0}; heavy = {{'torch', 'transformers'}} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    for module in ("workflow", "stages.confidence", "stages.table", "stages.figure"):
        subprocess.run([sys.executable, "-c", code.format(module)], check=True)
