"""Pages show the records of the benchmarks, without manual edits."""

import json

import pytest

from benchmarks.__main__ import ALL
from benchmarks.common import RESULTS
from benchmarks.page import BLOCK, PAGES, filled

RECORDED = [*ALL, "precision", "null_verdicts", "null_coverage"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_table_is_the_one_on_record(page):
    text = page.read_text()
    assert filled(text) == text, "call: python -m benchmarks.page"


def test_every_record_has_its_table_on_a_page():
    shown = [name for page in PAGES for _, name, _ in BLOCK.findall(page.read_text())]
    assert sorted(shown) == sorted(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
def test_a_record_says_where_it_comes_from(name):
    record = json.loads((RESULTS / f"{name}.json").read_text())
    assert record["machine"] and record["git"]["commit"] and record["written"]
    columns = [list(row) for row in record["rows"]]
    assert columns and all(row == columns[0] for row in columns)
