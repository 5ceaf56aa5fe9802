"""The map of the paper's figures is complete, names existing things, and uses the tables."""

import csv
import re
import shlex
from pathlib import Path

import pytest

from disobey.__main__ import main
from disobey.analysis.claims.registry import CLAIMS
from disobey.stores.manifest import describe, write_manifest
from disobey.study.figures import FIGURES, figures_of
from disobey.study.loader import load_study
from disobey.tools.results import NOT_RUN, rows

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs/paper.md"
TABLES = REPOSITORY / "docs/tables"
ROWS = rows()


@pytest.fixture(autouse=True)
def at_home(monkeypatch):
    monkeypatch.chdir(REPOSITORY)


@pytest.fixture
def text():
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture
def studies(text, real_data):
    """The studies of the page, by their names."""
    calls = re.findall(r"- `(\S+)`: `snakemake --cores all --configfile (\S+)`", text)
    found = {name: load_study(path) for name, path in calls}
    assert found and all(study.study == name for name, study in found.items())
    return found


def cells(text):
    """Return the cells of the page's rows, by the figures of the paper."""
    lines = (line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| "))
    return {first: rest for first, *rest in lines}


def test_the_page_is_what_its_command_prints(text, real_data, capsys):
    words = shlex.split(re.search(r"printed by `python -m disobey (paper .*)`", text)[1])
    assert main(words) == 0
    assert capsys.readouterr().out == text


RUN = """
study: run
seeds: [0]
datasets: {d: {source: builtin, name: digits}}
models: {m: {family: mlp, hidden: [4]}}
recipes: {r: {optimizer: sgd, lr: 0.1, epochs: 1}}
settings: {s: {dataset: d, teacher: m, student: m, recipe: r, distill: {temperature: 2}}}
"""
COUNTED = {
    "claim": "exaggeration", "split": "test", "reading": "paper", "settings": "7", "holds": "5",
    "contrary": "2", "withheld": "0",
}  # fmt: skip


def write_table(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COUNTED)
        writer.writeheader()
        writer.writerow(COUNTED)


def test_without_a_folder_of_tables_counts_are_those_of_the_results_here(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for name in ("run", "waiting"):
        Path(f"{name}.yaml").write_text(RUN.replace("study: run", f"study: {name}"))
    table = Path("results/run/tables/summary.csv")
    write_table(table)
    record = describe(
        stage="table", id="summary", spec={}, code="c0de", files=[table], base=table.parent,
        inputs=[], started=0.0,
    )  # fmt: skip
    write_manifest(Path(f"{table}.json"), record)
    assert main(["paper", "run.yaml", "waiting.yaml"]) == 0
    here = cells(capsys.readouterr().out)
    found = here["1, 4, 8–13"][3].replace("\xa0", " ")
    counts, not_run = found.split("<br>")
    assert counts == "`run`, exaggeration: test 5 of 7 (contrary 2)"
    assert not_run == f"{NOT_RUN}: `waiting`"
    write_table(Path("copies/run/summary.csv"))
    table.unlink()
    assert main(["paper", "run.yaml", "waiting.yaml", "--tables", "copies"]) == 0
    assert cells(capsys.readouterr().out) == here
    assert main(["paper", "run.yaml"]) == 2  # its manifest vouches for a table that is gone
    assert f"{table}: is missing" in capsys.readouterr().err


def test_every_figure_and_table_of_the_paper_has_one_row():
    figures = ", ".join(row.figure for row in ROWS if not row.figure.startswith("Table"))
    numbers = figures.replace("8–13", "8, 9, 10, 11, 12, 13").split(", ")
    assert sorted(map(int, numbers)) == [*range(1, 27)]
    assert [row.figure for row in ROWS][-2:] == ["Table 1", "Table 2"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.figure)
def test_a_row_names_figures_and_claims_that_there_are(row):
    assert set(row.kinds) <= set(FIGURES)
    assert set(row.claims) <= {claim.name for claim in CLAIMS}


def test_a_figure_is_said_to_be_drawn_by_the_studies_that_draw_it(text, studies):
    drawn = {name: {figure.kind for figure in figures_of(s)} for name, s in studies.items()}
    for row in ROWS:
        here = cells(text)[row.figure][2]
        for kind in row.kinds:
            (said,) = re.findall(rf"`{kind}`(?: of ((?:`[\w-]+`(?:, )?)+)|, in none)", here)
            assert re.findall(r"`([\w-]+)`", said) == [n for n in drawn if kind in drawn[n]], kind


def summary(study, claim):
    """Return the rows of a claim in a study's table; none if the study was not run."""
    table = TABLES / study / "summary.csv"
    if not table.exists():
        return []
    with open(table, encoding="utf-8", newline="") as stream:
        return [line for line in csv.DictReader(stream) if line["claim"] == claim]


def test_counts_are_those_of_the_first_two_studies_that_have_the_claim(text, studies):
    drawn = {name: {figure.kind for figure in figures_of(s)} for name, s in studies.items()}
    counted = 0
    for row in ROWS:
        _, _, _, found, controls, _ = cells(text)[row.figure]
        drawing = [name for name in studies if drawn[name] & set(row.kinds)]
        in_row = 0
        for claim in row.claims:
            having = [name for name in drawing if summary(name, claim)]
            for name in having[:2]:
                for line in summary(name, claim):
                    papers = line["reading"] in ("paper", "")
                    label = f"`{name}`, {claim.replace('_', ' ')}: "
                    said = re.search(rf"{label}(.*?)(<br>|$)", found if papers else controls)[1]
                    place = line["split"] if papers else f"{line['split']} {line['reading']}"
                    count = f"{place} {line['holds']} of {line['settings']}".strip()
                    assert count in said.replace("\xa0", " "), (row.figure, line)
                    in_row += 1
        assert (
            len(re.findall(r"\d+\sof\s\d+", found + controls))
            - len(re.findall(r"\d+\sof\s\d+", row.control))
            == in_row
        )
        waiting = found.split(NOT_RUN)[1] if NOT_RUN in found else ""
        without = [name for name in drawing if not (TABLES / name / "summary.csv").exists()]
        assert re.findall(r"`([\w-]+)`", waiting) == without
        counted += in_row
    assert counted >= 20
