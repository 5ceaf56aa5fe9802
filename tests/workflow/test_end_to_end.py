"""The whole workflow on real data, through the real Snakemake."""

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from disobey.code_digest import definition_digests
from disobey.stores.layout import STAGES
from disobey.study.figures import FIGURES, figures_of
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.resources import need_of

from .conftest import PATIENCE, REPOSITORY, wait_until

pytestmark = pytest.mark.workflow

SETTINGS = {
    "noisy-self", "noisy-small", "clean-self", "clean-T1", "cropped", "similar-T5",
    "switch-distillation_first-0.5",
}  # fmt: skip
# Excludes training, whose history contains seconds, and stores with the time of their making.
# Statistics may differ in the last bit: Snakemake gives numpy one thread, a shell gives it all.
SAME_BY_HAND = {"prepare", "labels", "basis", "dump", "views", "bias"}
# The study has no checkpoint and no external models: see tests/workflow/test_pretrained.py and
# tests/workflow/test_compared.py.
IN_STUDY = set(STAGES) - {"pretrained", "compared", "classify"}
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
# Code around a job that cannot change a number, and is part of no digest.
AROUND_JOBS = {
    "code_digest", "gpus", "job", "lease", "log_stream", "locks", "provenance",
    "stages.command", "stores.layout", "stores.manifest", "stores.writer",
}  # fmt: skip


def test_every_planned_store_is_made_and_vouched_for(finished):
    plan = make_plan(load_study(finished.study))
    for manifest in plan.manifests():
        record = json.loads((finished.folder / manifest).read_text())
        for name, entry in record["files"].items():
            path = (finished.folder / manifest).parent / name
            assert path.stat().st_size == entry["bytes"] > 0


def test_no_job_took_more_memory_or_time_than_it_would_ask_a_cluster_for(finished):
    plan = make_plan(load_study(finished.study))
    for (stage, key), job in plan.jobs.items():
        record = json.loads((finished.folder / job.manifest).read_text())
        need = need_of(plan, stage, key)
        measured = record["measured"]
        assert 20 < measured["host_mb"] < need.memory_mb, (stage, key, measured, need)
        assert record["seconds"] < 60 * need.minutes
        assert ("training_seconds" in measured) == (stage == "train")
        assert measured.get("training_seconds", 0) <= record["seconds"]


def test_a_run_says_how_far_it_is_and_status_agrees_that_all_is_done(finished):
    printed = (finished.folder / "first-run.txt").read_text()
    total = len(make_plan(load_study(finished.study)).jobs) + 1  # and the rule all
    assert re.search(r"^disobey: 1 of \d+ jobs \(\d+%\), .* so far, ", printed, re.M)
    assert re.search(rf"^disobey: {total} of {total} jobs \(100%\) in ", printed, re.M)
    told = subprocess.run(
        [sys.executable, "-m", "disobey", "status", str(finished.study)],
        cwd=finished.folder, capture_output=True, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(f"study tiny: {total - 1} jobs: {total - 1} done\n")
    assert told.stdout.endswith("nothing is left to be done\n")


def test_bars_of_trainings_are_lines_in_their_logs(finished):
    for log in (finished.folder / "results/logs/train").glob("*.log"):
        bars = [line for line in log.read_text().splitlines() if "step/s" in line]
        assert bars and "100%" in bars[-1] and b"\r" not in log.read_bytes(), log


def test_the_report_leads_to_figures_to_all_numbers_and_to_the_study_file(finished):
    page = finished.folder / "results/tiny/report.html"
    html = page.read_text(encoding="utf-8")
    links = {unquote(link) for link in re.findall(r'href="([^"#]+)"', html) if "://" not in link}
    files = {(page.parent / link).resolve() for link in links}
    assert all(file.exists() for file in files)
    wanted = {page.with_name("explorer.html"), page.parent / "tables/all.csv", finished.study}
    wanted |= set((page.parent / "figures").glob("*.pdf"))
    assert {path.resolve() for path in wanted} == files


def test_the_study_has_every_stage_and_every_kind_of_figure(finished):
    study = load_study(finished.study)
    assert {stage for stage, _ in make_plan(study).jobs} == IN_STUDY
    drawn = figures_of(study)
    # The study lacks several losses and shares of examples: tests/figures draws their figures.
    assert {figure.kind for figure in drawn} == set(FIGURES) - {"losses", "leak"}
    for figure in drawn:
        for suffix in (".pdf", ".png"):
            path = finished.folder / f"results/tiny/figures/{figure.name}{suffix}"
            assert path.stat().st_size > 5000


def test_a_job_runs_no_code_that_its_digest_leaves_out(finished, tmp_path):
    """Otherwise an edit of that code could make a result stale unnoticed."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder)
    plan = make_plan(load_study(finished.study))
    jobs = {job.roots: name for name, job in plan.jobs.items() if job.stage != "explorer"}
    for name in jobs.values():
        (folder / plan.jobs[name].manifest).unlink()
    traced = subprocess.run(
        [sys.executable, REPOSITORY / "tests/workflow/tracing.py", "study.yaml"],
        input=json.dumps(sorted(jobs.values())), cwd=folder, capture_output=True, text=True,
        env=ENVIRONMENT,
    )  # fmt: skip
    assert traced.returncode == 0, traced.stderr
    for words, ran in json.loads(traced.stdout.splitlines()[-1]).items():
        digested = definition_digests(plan.jobs[tuple(words.split(" "))].roots)
        unseen = {name for name in set(ran) - digested.keys() if module_of(name) not in AROUND_JOBS}
        assert not unseen, words
    assert len(json.loads(traced.stdout.splitlines()[-1])) == len(jobs)


def module_of(definition):
    return definition.partition(":")[0].removeprefix("disobey.")


def test_runs_load_only_the_parts_that_they_use(finished):
    plan = make_plan(load_study(finished.study))
    plain, tracked = (plan.settings[name].students[0] for name in ("noisy-self", "clean-self"))
    placebo = plan.settings["clean-self"].placebos["half_lr"][0]
    optional = {"compiled", "distributed", "progress"}
    for run, parts in ((plain, set()), (tracked, {"progress"}), (placebo, {"progress"})):
        record = json.loads((finished.folder / f"results/runs/{run}.json").read_text())
        loaded = {name.rpartition("disobey.training.")[2] for name in record["modules"]}
        assert loaded & optional == parts, run


def test_a_second_run_does_nothing(copy):
    result = copy.snakemake()
    assert result.returncode == 0
    assert "Nothing to be done" in result.stdout + result.stderr


def test_claims_come_with_verdicts_for_every_setting(finished):
    with open(finished.folder / "results/tiny/tables/claims.csv") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["setting"] for row in rows} == SETTINGS
    assert {row["verdict"] for row in rows} <= {"holds", "contrary", "undecided", "withheld"}
    for row in (row for row in rows if row["verdict"] != "withheld"):
        low, high, null = (float(row[key]) for key in ("low", "high", "null"))
        above = low > null if row["side"] == "above" else high < null
        below = high < null if row["side"] == "above" else low > null
        expected = "holds" if above else "contrary" if below else "undecided"
        assert row["verdict"] == expected


def test_every_number_of_the_tables_is_recomputed_from_the_logits(finished):
    """The code shares nothing with the package; estimates agree to 1e-6, intervals by seed."""
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


def test_a_student_of_a_student_reads_that_students_logits(finished):
    plan = make_plan(load_study(finished.study))
    first, second = plan.settings["noisy-self"], plan.settings["noisy-small"]
    for teacher, student in zip(first.students, second.students, strict=True):
        record = json.loads((finished.folder / f"results/runs/{student}.json").read_text())
        assert f"results/logits/{teacher}.nc.json" in record["inputs"]


@pytest.mark.parametrize(
    ("file", "stage", "made_from"),
    [
        ("bias/clean-self.nc", "bias", ["results/basis/", "results/runs/", "results/data/"]),
        (
            "figures/over-training-clean-self.pdf",
            "figure",
            ["analysis/clean-self@1.nc", "analysis/clean-self.nc", "bias/clean-self.nc", "@1.nc"],
        ),
    ],
)
def test_a_result_is_explained_down_to_its_data(finished, file, stage, made_from):
    explained = subprocess.run(
        [sys.executable, "-m", "disobey", "explain", f"results/tiny/{file}"],
        cwd=finished.folder, env=ENVIRONMENT, capture_output=True, text=True,
    )  # fmt: skip
    assert explained.returncode == 0, explained.stderr
    own, _, upstream = explained.stdout.partition("made from:")
    assert re.search(rf"stage +{stage}\n", own)
    for path in made_from:
        assert path in upstream
    assert "made again since" not in upstream and "is gone" not in upstream


def test_each_rules_shell_line_works_by_hand(copy):
    """A line printed by --printshellcmds makes the store again when pasted into a shell."""
    printed = (copy.folder / "first-run.txt").read_text()
    lines = re.findall(r"^Shell command: (.+ -m disobey .+)$", printed, re.M)
    by_stage = {re.search(r"-m disobey (\w+)", line)[1]: line.strip() for line in lines}
    assert set(by_stage) == IN_STUDY
    python = f"{sys.executable} -m disobey"  # the study's jobs were forked
    for stage, line in by_stage.items():
        words = shlex.split(line)
        manifest = copy.folder / words[words.index("--output") + 1]
        content = json.loads(manifest.read_text())["content"]
        manifest.unlink()
        line = re.sub(r"\S+ -m disobey", python, line)
        done = subprocess.run(line, shell=True, cwd=copy.folder, env=ENVIRONMENT)
        assert done.returncode == 0, stage
        again = json.loads(manifest.read_text())["content"]
        assert again == content or stage not in SAME_BY_HAND, stage


def test_ctrl_c_in_the_middle_then_the_same_command_finishes(fresh):
    bias = ", bias: {layers: [hidden_1], placebos: [half_lr]}"
    fresh.edit(bias, "")  # less to run
    tables = fresh.planned("table")
    running = fresh.start(*tables)
    wait_until(lambda: list(fresh.folder.glob("results/logits/*.json")), "no logits")
    os.killpg(running.pid, signal.SIGINT)
    output, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode != 0, output
    assert not any((fresh.folder / table).exists() for table in tables)
    done = fresh.snakemake(*tables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all((fresh.folder / table).exists() for table in tables)


def test_a_bad_study_is_refused_in_words_before_any_job(fresh):
    fresh.edit("temperature: 4", "temprature: 4")
    result = fresh.snakemake()
    printed = result.stdout + result.stderr
    assert result.returncode != 0
    assert "settings.self.distill.temprature: unknown key" in printed
    assert "did you mean 'temperature'?" in printed
    assert "Traceback" not in printed
    assert not (fresh.folder / "results").exists()


def test_config_on_the_command_line_is_refused_with_what_to_do(fresh):
    result = fresh.snakemake("--config", "seeds=[0]")
    assert result.returncode != 0
    assert "a study is one file" in result.stdout + result.stderr


def test_snakemakes_own_report_shows_captions_and_figures(copy, tmp_path):
    page = tmp_path / "snakemake-report.html"
    result = copy.snakemake("--report", str(page))
    assert result.returncode == 0, result.stdout + result.stderr
    text = page.read_text()
    assert "label-class" in text and "Figures" in text
    assert '"labels": {"kind": "bias", "setting": "all"}' in text and "explorer.html" in text


def test_the_help_lists_every_stage():
    shown = subprocess.run(
        [sys.executable, "-m", "disobey", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for stage in STAGES:
        assert re.search(rf"^  {stage} ", shown, re.M)


def test_a_stage_does_not_import_what_it_does_not_need():
    """A dry run, a figure and an analysis stay quick because torch stays out of them."""
    code = (
        "import sys, disobey.{0}; heavy = {{'torch', 'transformers'}} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    for module in ("workflow", "stages.confidence", "stages.table", "stages.figure"):
        subprocess.run([sys.executable, "-c", code.format(module)], check=True)
