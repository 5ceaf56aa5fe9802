"""The findings in README and the page of results agree with the table."""

import csv
import re
from pathlib import Path

import pytest

from disobey.report.lead import markdown, matrix, sentences

REPOSITORY = Path(__file__).parents[2]
SUMMARY = REPOSITORY / "docs/tables/overview/summary.csv"
# README's first screen has the claims on confidence and the one on accuracy.
IN_README = 4


@pytest.fixture
def summary():
    with open(SUMMARY, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def found(page):
    """Return the lines between a page's marks."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    (block,) = re.findall(r"<!-- found -->\n(.*?)<!-- /found -->", text, re.S)
    return block.splitlines()


def test_the_readme_quotes_the_table(summary):
    assert found("README.md") == [f"- {line}" for line in sentences(summary)[:IN_README]]


def test_the_page_of_results_quotes_the_table(summary):
    lines = [f"- {line}" for line in sentences(summary)]
    assert found("docs/results.md") == [*lines, "", *markdown(*matrix(summary))]
