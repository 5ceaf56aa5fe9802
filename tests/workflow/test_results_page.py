"""The page of results is made from a finished study."""

import json
import re
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from disobey.errors import UserError
from disobey.report import history
from disobey.report.lead import markdown
from disobey.stores.manifest import describe, read_manifest, write_manifest
from disobey.tools.results import Found, in_short, main, results

from .conftest import TINY


def test_cells_that_hold_a_bar_stay_one_cell():
    lines = list(markdown(["a", "b"], [["x|y", 1]]))
    assert lines == ["| a | b |", "| --- | --- |", "| x\\|y | 1 |"]


def test_a_study_that_was_not_run_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([str(TINY)]) == 2
    assert "no such manifest" in capsys.readouterr().err


def row(claim, holds, *, reading="", source="paper", settings=3):
    """Return a row of a summary table: a claim that holds in ``holds`` settings."""
    counts = {"settings": settings, "holds": holds, "contrary": 1, "undecided": 0, "withheld": 0}
    which = {"claim": claim, "text": f"{claim} is so", "split": "test", "reading": reading}
    return {name: str(value) for name, value in {**which, "source": source, **counts}.items()}


def made(stage, name, *inputs):
    """Write the store of a stage with these inputs; return its manifest."""
    store = Path("results") / name
    store.parent.mkdir(exist_ok=True)
    store.write_text(name)
    record = describe(
        stage=stage, id=name, spec={"name": name}, code="c0de", files=[store], base=store.parent,
        inputs=inputs, started=time.time(),
    )  # fmt: skip
    write_manifest(Path(f"{store}.json"), record)
    return read_manifest(f"{store}.json")


def found(study, summary):
    """Return the findings of a study whose report was made from a table, itself made from data."""
    report = made("report", "page", made("table", "table", made("prepare", "data")))
    return Found(f"{study}.yaml", SimpleNamespace(study=study), report, summary, [], [])


def test_a_claim_that_a_study_does_not_have_has_an_empty_cell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = found("first", [row("one", 2), row("two", 1)])
    second = found("second", [row("two", 2), row("three", 0)])
    _, _, _, _, head, _, *rows = (line.replace("\xa0", " ") for line in in_short([first, second]))
    assert head == "| claim | whose | split | reading | `first` | `second` |"
    assert rows == [
        "| one is so | paper | test |  | 2 / 1 / 0 |  |",
        "| two is so | paper | test |  | 1 / 1 / 0 | 2 / 1 / 0 |",
        "| three is so | paper | test |  |  | 0 / 1 / 0 |",
    ]


def test_a_study_without_readings_has_sentences_and_no_table_of_readings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = list(results(found("plain", [row("one", 2)]), brief=True))
    assert lines[2] == "- one is so: on test in 2 of 3 settings (contrary\xa01)."
    assert lines[3] == "" and lines[4].startswith("2 jobs between ")
    read = list(results(found("plain", [row("one", 2, reading="replicate")]), brief=True))
    assert read[3:5] == ["", "| claim | test: replicate |"]


def test_a_study_of_which_a_store_is_gone_has_no_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = found("torn", [row("one", 2)])
    Path("results/data.json").unlink()
    with pytest.raises(UserError, match=r"^results/data\.json: is gone; call snakemake to make"):
        list(results(study))


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
