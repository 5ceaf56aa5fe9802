"""Benchmarks run: with tiny sizes, and a record that is not the repository's."""

import json

import numpy as np
import pytest

from benchmarks import analysis, common, dag, startup


@pytest.fixture(autouse=True)
def _records(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "RESULTS", tmp_path)


def record(tmp_path, name):
    found = json.loads((tmp_path / f"{name}.json").read_text())
    assert found["rows"] and found["versions"]["numpy"]
    return found


def test_analysis_measures_the_stage_and_resampling(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(analysis, "CLASSES", (3,))
    monkeypatch.setattr(analysis, "RESAMPLES", 5)
    analysis.main([200])
    stage, resampling = record(tmp_path, "analysis")["rows"]
    assert stage["peak MB"] > 20
    assert stage["rows of logits/s"] == pytest.approx(220 * 9 / stage["user s"])
    assert resampling["what"] == "resampling of 20 statistics"
    assert "peak MB" in capsys.readouterr().out


def test_generated_studies_have_the_jobs_that_are_asked_for(tmp_path):
    few, many = (dag.write_study(tmp_path / "study.yaml", jobs) for jobs in (100, 300))
    assert 100 <= few < 130
    assert 300 <= many < 330


@pytest.mark.workflow
def test_dag_times_a_dry_run(tmp_path):
    sizes = 60, 100, 140
    dag.main(sizes)
    rows = record(tmp_path, "dag")["rows"]
    assert all(row["jobs"] >= jobs for row, jobs in zip(rows, sizes, strict=True))
    assert all(row["wall s"] > 0.2 for row in rows)


def test_the_exponent_is_that_of_the_growth():
    for power in (1.0, 2.0):
        rows = [{"jobs": 100 + n, "user s": 3 + 1e-4 * n**power} for n in (0, 50, 2000, 9000)]
        assert dag.exponent(rows) == pytest.approx(power)


def test_startup_starts_what_every_stage_imports():
    assert startup.user_seconds(startup.JOBS["confidence"][0]) > 0.05
    with pytest.raises(RuntimeError, match="does not start"):
        startup.user_seconds("import sys; sys.exit(1)")


@pytest.mark.parametrize(("words", "seconds"), [("torch + 0.5", 1.5), ("0.8", 0.8)])
def test_targets_stand_alone_or_above_torch(words, seconds):
    assert np.isclose(startup.target_seconds(words, torch=1.0), seconds)
