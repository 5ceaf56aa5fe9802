"""docs/own-teacher.md: its script and studies work, and its statements about them are true."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from disobey.analysis.store import read_analysis
from disobey.stores.manifest import read_manifest
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.tools.plan import main
from tests.test_pages import assert_in_order
from tests.test_slices import run_in_process

PAGE = Path(__file__).parents[2] / "docs" / "own-teacher.md"


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_page_s_teachers_teach(capsys):
    (script, top), (study, _), (shown,) = blocks("python"), blocks("yaml"), blocks("text")
    held = "assert missing_mass.shape == (900,) and (missing_mass < 0.5).all()"
    code = "\n".join([script, top, held])
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    Path("taught.yaml").write_text(study)
    assert main(["taught.yaml"]) == 0
    assert_in_order(shown, capsys.readouterr().out)
    plan = make_plan(load_study("taught.yaml"))
    run_in_process(plan)
    found = read_analysis(read_manifest(Path(plan.jobs["confidence", "taught/taught"].manifest)))
    accuracy = [found.number("accuracy", model)[0] for model in ("teacher", "student")]
    assert min(accuracy) > 0.8
    assert np.isfinite(found.number("exaggeration", "student")).all()  # teachers are replicates


def test_the_page_s_classifier_of_the_hub_can_be_planned(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    _, study = blocks("yaml")
    Path("study.yaml").write_text(study)
    plan = make_plan(load_study("study.yaml"))
    assert [stage for stage, _ in plan.jobs].count("classify") == 1
    assert len(set(plan.settings["from-bert"].teachers)) == 1
