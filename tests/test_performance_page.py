"""docs/performance.md shows what the benchmarks recorded, and nothing typed in."""

import json

import pytest

from benchmarks.__main__ import ALL
from benchmarks.common import RESULTS
from benchmarks.page import BLOCK, PAGE, filled


def test_every_table_is_the_one_on_record():
    page = PAGE.read_text()
    assert filled(page) == page, "call: python -m benchmarks.page"


def test_every_benchmark_has_its_table_on_the_page():
    shown = [name for _, name, _ in BLOCK.findall(PAGE.read_text())]
    assert sorted(shown) == sorted([*ALL, "precision"])


@pytest.mark.parametrize("name", [*ALL, "precision"])
def test_a_record_says_where_it_comes_from(name):
    record = json.loads((RESULTS / f"{name}.json").read_text())
    assert record["machine"] and record["git"]["commit"] and record["written"]
    columns = [list(row) for row in record["rows"]]
    assert columns and all(row == columns[0] for row in columns)
