"""all.csv: the rows of the other tables, none lost and none twice, and what README does with it."""

import re
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from disobey.analysis.tables import COLUMNS, TABLES, in_parts

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def analyses(monkeypatch):
    monkeypatch.syspath_prepend(REPOSITORY / "tests" / "figures")
    from synthetic_bias import with_bias

    yield with_bias(2)
    sys.modules.pop("synthetic_bias", None)


def test_every_row_of_the_other_tables_is_there_once(analyses):
    found = TABLES["all"].make("s", analyses)
    assert list(found.columns) == list(COLUMNS)
    parts = ("accuracy", "confidence", "bias", "claims")
    assert set(found.table) == set(parts)
    for name in parts:
        part, own = TABLES[name].make("s", analyses), found[found.table == name]
        assert len(own) == len(part) > 0
        np.testing.assert_array_equal(own.estimate, part.value)
        for column in {*part.columns} & {*COLUMNS} - {"seed"}:
            alike = own[column].fillna(-1).astype(str).values, part[column].fillna(-1).astype(str)
            if part[column].notna().all():
                assert list(alike[0]) == list(alike[1]), (name, column)
    models = found[found.table == "bias"].model
    assert set(models) == set(TABLES["bias"].make("s", analyses).compared)


@pytest.mark.parametrize("name", ["all", "accuracy"])
def test_a_table_grows_by_one_setting_at_a_time(analyses, name):
    """So that it fits into the memory of a job however many settings there are."""
    settings = [set(part.setting) for part in in_parts(name, "s", analyses)]
    beside = settings[:-1] if name == "all" else settings  # the claims come last
    assert len(analyses) > 1 and all(len(names) <= 1 for names in beside)
    assert set().union(*beside) == set(analyses)


def test_the_lines_of_the_readme_plot_the_slope_in_every_reading(analyses, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("results/overview/tables/all.csv")
    path.parent.mkdir(parents=True)
    table = TABLES["all"].make("overview", analyses)
    table.to_csv(path, index=False)
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    drawn = []
    with matplotlib.rc_context({"backend": "agg"}):
        barh = pd.plotting.PlotAccessor.barh
        monkeypatch.setattr(pd.plotting.PlotAccessor, "barh", lambda self: drawn.append(barh(self)))
        exec(lines, {})
    (axes,) = drawn
    shown = sorted(bar.get_width() for bars in axes.containers for bar in bars)
    wanted = table[table.claim == "exaggeration"].estimate
    assert len(wanted) == 2 * 2 * 3
    np.testing.assert_allclose(shown, sorted(wanted))
