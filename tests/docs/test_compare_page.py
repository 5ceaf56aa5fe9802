"""docs/compare.md shows the actual output of its script and commands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from run_notebook import same

from disobey.__main__ import main

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "compare.md"
COMMAND = "    .venv/bin/python -m disobey "
SKIPPED = ("...", "  ...", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder in which the page's script has run."""
    made = tmp_path_factory.mktemp("page")
    script = PAGE.read_text(encoding="utf-8").rsplit("```python", 1)[1].split("```")[0]
    subprocess.run([sys.executable, "-c", script], cwd=made, check=True)
    return made


def shown_runs():
    """Return the commands whose output the page shows, and that output."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(rf"^{re.escape(COMMAND)}([^\n]+)\n\n```text\n(.*?)```", text, re.M | re.S)
    assert len(found) == 2
    return found


@pytest.mark.parametrize("command, shown", shown_runs(), ids=["one pair", "three pairs"])
def test_the_output_on_the_page_is_that_of_the_command(folder, command, shown, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "100")
    assert main(shlex.split(command)) == 0
    printed = iter(capsys.readouterr().out.splitlines())
    for line in shown.splitlines():
        # A meaning may flip where an interval ends at the null; the others stand in this order.
        # Numbers differ a little from one processor to the next.
        if line not in SKIPPED and not line.startswith(" " * 6):
            assert any(same(line, found) for found in printed), line


def test_the_page_s_notebook_lines_run(folder, monkeypatch):
    import numpy as np

    monkeypatch.chdir(folder)
    text = PAGE.read_text(encoding="utf-8")
    lines = text.split("```python", 1)[1].split("```")[0]
    models = [np.load(f"{name}.npz")["test"] for name in ("teacher0", "student0", "teacher1")]
    names = dict(zip(("teacher", "student", "other"), models, strict=True))
    rng = np.random.default_rng(0)
    names |= {"labels": np.load("teacher0.npz")["test_label"]}
    names |= {"x": rng.normal(size=(20, 3)), "y": rng.normal(size=20)}
    exec(lines, names)
    assert np.isfinite(names["found"].value("exaggeration"))


def shown_studies():
    """Return the study files that the page shows."""
    return re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize("study", shown_studies(), ids=["logits", "huggingface"])
def test_the_studies_on_the_page_can_be_planned(study, folder, monkeypatch):
    from disobey.study.loader import load_study
    from disobey.study.plan import make_plan
    from tests.checkpoints import save_checkpoint

    monkeypatch.chdir(folder)
    if "students/seed0" in study:
        save_checkpoint(folder / "students" / "seed0", "bert", "AutoModelForSequenceClassification")
    (folder / "study.yaml").write_text(study)
    plan = make_plan(load_study("study.yaml"))
    assert {"confidence", "explorer", "report"} <= {stage for stage, _ in plan.jobs}
