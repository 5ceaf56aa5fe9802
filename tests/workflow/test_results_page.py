"""The page of results, from a finished study."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from disobey.report import history
from disobey.report.lead import markdown
from disobey.stores.manifest import read_manifest
from disobey.tools.results import main

from .conftest import TINY


def test_cells_that_hold_a_bar_stay_one_cell():
    lines = list(markdown(["a", "b"], [["x|y", 1]]))
    assert lines == ["| a | b |", "| --- | --- |", "| x\\|y | 1 |"]


def test_a_study_that_was_not_run_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([str(TINY)]) == 2
    assert "no such manifest" in capsys.readouterr().err


@pytest.mark.workflow
def test_the_page_says_what_the_tables_say(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished.folder)
    assert main([str(finished.study)]) == 0
    page = capsys.readouterr().out
    summary = pd.read_csv("results/tiny/tables/summary.csv")
    claims = pd.read_csv("results/tiny/tables/claims.csv")
    for row in summary.itertuples():
        counts = f"| {row.settings} | {row.holds} | {row.contrary} | {row.undecided} |"
        assert any(counts in line for line in page.splitlines() if line.startswith("| "))
    shown = [line for line in page.splitlines() if line.count("|") >= 5]
    for row in claims[claims.counted].itertuples():
        assert any(f"| {row.setting}" in line and f"| {row.verdict} " in line for line in shown)
    record = json.loads((finished.folder / "results/tiny/report.html.json").read_text())
    assert record["machine"] in page
    assert re.search(r"\d+ jobs between \d{4}-.* in which at least one was at work", page)
    trained = [read_manifest(path).record for path in Path("results/runs").glob("*.json")]
    assert f"| train | {len(trained)} | " in page
    (commit,) = {history.commit(record["git"]) for record in trained}
    assert "In short" not in page
    assert re.search(rf"\| train \| .* \| {re.escape(commit)} \|$", page, re.M)
    assert main([str(finished.study), "--brief"]) == 0
    start, end = page.index("\n### Claims"), page.index("\n### Test accuracy")
    assert capsys.readouterr().out == page[:start] + page[end:]


@pytest.mark.workflow
def test_of_several_studies_all_claims_come_first(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished.folder)
    assert main([str(finished.study)] * 2) == 0
    page = capsys.readouterr().out
    assert page.startswith("## In short\n")
    assert page.count("\n## Study `tiny`") == 2
    for row in pd.read_csv("results/tiny/tables/summary.csv").itertuples():
        cell = f"{row.holds}\N{NO-BREAK SPACE}/\N{NO-BREAK SPACE}{row.contrary}"
        assert re.search(rf"^\| .* \| {cell}.* \| {cell}.* \|$", page, re.M)
