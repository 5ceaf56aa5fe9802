"""The analysis recognises, on a few simulated studies, a student that is another seed.

These are too few to measure an error rate: `benchmarks/null_studies.py` uses 2,000 studies, and
docs/science.md shows its record.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks import common, null_studies
from benchmarks.common import RESULTS
from benchmarks.null_studies import CLAIMS, NULL, count_called, covered, intervals
from disobey.analysis.names import EXAGGERATION, INHERITANCE, PAPER, SECOND_SEED, SIGNAL_SCALE

FEW = 15
NOMINAL = 0.025


@pytest.mark.parametrize(
    ("seeds", "sharpness_sd"), [(3, 0.15), (5, 0.0)], ids=["seeds", "examples"]
)
def test_a_student_that_is_another_seed_is_found_to_be_one(seeds, sharpness_sd):
    """This holds whether the spread is over examples or over seeds."""
    estimate, low, high = intervals(seeds, sharpness_sd, FEW)
    null = np.array(list(NULL.values()))
    assert ((low <= null) & (null <= high)).mean(0).min() >= 0.7
    # A mean of ratios is slightly above the ratio of means if sharpness varies.
    assert np.abs(estimate.mean(0) - null).max() < 0.1


def test_a_student_that_scales_what_is_shared_is_found_to_exaggerate():
    estimate, low, _ = intervals(5, 0.05, FEW, scale=1.3)
    statistics = list(NULL)
    for name in (EXAGGERATION, SIGNAL_SCALE):
        k = statistics.index(name)
        assert estimate[:, k].mean() == pytest.approx(1.3, abs=0.05)
        assert (low[:, k] > 1).mean() > 0.8
    # It copies nothing of its own teacher's.
    assert (low[:, statistics.index(INHERITANCE)] > 0).mean() < 0.3


def test_few_null_studies_are_called_an_effect_about_as_often_as_promised():
    most = stats.binom.ppf(0.9999, FEW, NOMINAL)
    called = count_called(FEW)
    assert {c: n for c, n in called.items() if c.reading != PAPER and n > most} == {}


# --- the record of many studies ----------------------------------------------------------------


def record(name):
    return json.loads((RESULTS / f"{name}.json").read_text())


def ends(row):
    """Return the interval of a recorded share."""
    return [float(number) / 100 for number in re.findall(r"[\d.]+(?=%)", row["95 % interval"])]


@pytest.fixture(scope="module")
def verdicts():
    return record("null_verdicts")["rows"]


def test_the_record_counts_2000_studies_of_every_claim(verdicts):
    recorded = [(row["claim"], row["split"], row["reading"]) for row in verdicts]
    assert recorded == [(claim.name, claim.split, claim.reading or "-") for claim in CLAIMS]
    for row in verdicts:
        share = row["holds in"] / 2000
        assert row["rate"] == f"{share:.2%}"
        beta = stats.beta.ppf([0.025, 0.975], row["holds in"] + np.array([0, 1]),
                              2000 - row["holds in"] + np.array([1, 0]))  # fmt: skip
        assert ends(row) == pytest.approx(np.nan_to_num(beta), abs=1e-4)


def test_a_second_seed_is_called_different_no_more_often_than_promised(verdicts):
    others = [row for row in verdicts if row["reading"] != PAPER]
    assert {row["reading"] for row in others} == {SECOND_SEED, "replicate", "-"}
    assert [row for row in others if ends(row)[0] > NOMINAL] == []


def test_read_as_in_the_paper_a_second_seed_underfits_on_test_far_beyond_chance(verdicts):
    """Why its own reading is not enough; where labels are fitted, as on train, it does not."""
    low = {
        row["split"]: ends(row)[0]
        for row in verdicts
        if (row["claim"], row["reading"]) == ("low_confidence_underfitting", PAPER)
    }
    assert low["test"] > 4 * NOMINAL and low["train"] <= NOMINAL


def test_intervals_cover_at_least_what_they_promise():
    rows = record("null_coverage")["rows"]
    assert len(rows) == len(NULL) * len(null_studies.CONDITIONS)
    assert [row for row in rows if ends(row)[1] < 0.95] == []


def test_the_command_records_both_tables(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    null_studies.main(2, 2)
    counts = covered(*null_studies.CONDITIONS[0], 2)
    rows = json.loads((tmp_path / "null_coverage.json").read_text())["rows"]
    assert [row["rate"] for row in rows[: len(NULL)]] == [f"{n / 2:.2%}" for n in counts]
    assert "in 2 simulated studies" in capsys.readouterr().out
    assert Path(tmp_path, "null_verdicts.json").exists()
