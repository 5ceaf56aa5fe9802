"""Benchmarks run with tiny sizes, and leave the repository's records alone."""

import json

import numpy as np
import pytest
import torch

from benchmarks import (
    analysis,
    common,
    dag,
    dump,
    gpu,
    networks,
    peak,
    startup,
    step,
    study,
    tracking,
    training,
)
from benchmarks.__main__ import ALL
from disobey.stores.layout import STAGES

pytestmark = pytest.mark.slow


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


IMAGES, BATCHES = networks.images, 2


@pytest.fixture
def few(monkeypatch):
    """Networks, images and steps that take a second."""
    monkeypatch.setattr(networks, "SLABS", 2)
    small = networks.resnet
    for module in (dump, gpu, peak, step, study, training):
        for name, value in (
            ("EXAMPLES", BATCHES * networks.BATCH), ("STEPS", 2), ("WARM_UP", 1), ("SIZE", 16),
            ("SLABS", 2), ("SETTLING", 1), ("DEPTHS", (8,)), ("PAIRS", {"a -> b": (8, 8)}),
            ("ONE_HOT", {"b": (None, 8)}), ("WORKERS", (0, 1)), ("STUDENTS", (1, 4)),
            ("images", lambda examples: IMAGES(BATCHES * networks.BATCH)),
            ("resnet", lambda depth, data, **more: small(8, data, **more)),
        ):  # fmt: skip
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(dump, "BATCH", networks.BATCH)
    monkeypatch.setattr(training, "which", lambda program: None)  # compiling takes a minute
    short = {
        case: (model, layers, recipe | {"epochs": 1})
        for case, (model, layers, recipe) in tracking.CASES.items()
    }
    monkeypatch.setattr(tracking, "CASES", short)


@pytest.mark.parametrize("name", ["step", "peak", "dump", "tracking", "training", "study"])
def test_a_benchmark_of_training_measures_something_everywhere(name, few, tmp_path):
    """They are rarely called, and only by hand: nothing else would show that they are broken."""
    module = {"step": step, "peak": peak, "dump": dump, "tracking": tracking,
              "training": training, "study": study}[name]  # fmt: skip
    module.main(*([] if name == "step" else [1]))
    rows = record(tmp_path, name)["rows"]
    numbers = [v for row in rows for key, v in row.items() if key != "case" and _is_number(v)]
    assert len(numbers) >= 2 * len(rows)
    assert all(float(value) >= 0 for value in numbers)


@pytest.fixture
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_one_thread")
def test_the_check_of_a_gpu_prints_one_table(few, monkeypatch, capsys):
    def unsound(device, seconds):
        yield "a check", "what is wrong", "what is right", True
        raise ValueError("it ends early")

    for name, value in (
        ("ROUNDS", 1), ("WORKERS", 0), ("SMALL_STEPS", BATCHES), ("BATCH", 16), ("LARGE_BATCH", 32),
        ("PARTS", (gpu.errors, gpu.repeats, gpu.rates, gpu.processes, unsound)),
        ("NEED_A_CARD", (gpu.processes,)), ("device_here", lambda: networks.CPU),
        ("COMPILE_SECONDS", 1e9),
    ):  # fmt: skip
        monkeypatch.setattr(gpu, name, value)
    assert gpu.main() == 2
    title, _, head, _, *rows = capsys.readouterr().out.strip().splitlines()
    assert f"torch {torch.__version__}" in title and head == "| what | found | expected |"
    assert all(row.startswith("| ") and row.endswith(" |") for row in rows)
    assert sum("equal bit for bit | equal bit for bit" in row for row in rows) == 4
    assert sum("times the plain loop" in row for row in rows) == 4
    assert "| processes | skipped: torch finds no GPU |  |" in rows
    assert "| a check | **what is wrong** | what is right |" in rows
    assert "| unsound | **ValueError: it ends early** | no error |" in rows


@pytest.mark.usefixtures("_one_thread")
def test_a_number_format_that_rounds_is_a_failure(monkeypatch):
    monkeypatch.setattr(gpu, "STUDENT", 8)
    monkeypatch.setattr(gpu, "BATCH", 16)
    assert not any(failed for *_, failed in gpu.errors(networks.CPU, 60))
    rounded = gpu.number_format
    monkeypatch.setattr(gpu, "number_format", lambda device, name: rounded(device, "bf16"))
    assert all(failed for *_, failed in gpu.errors(networks.CPU, 60))


def _is_number(value):
    return isinstance(value, (int, float))


def test_every_benchmark_is_run_by_a_test():
    of_training = {"step", "peak", "dump", "tracking", "training", "study"}
    assert of_training | {"analysis", "dag", "startup"} == set(ALL)


def test_every_stage_s_start_is_measured():
    assert {job.partition(" ")[0] for job in startup.JOBS} == set(STAGES)


@pytest.mark.parametrize("job", startup.JOBS)
def test_what_a_job_imports_is_there(job):
    exec(startup.JOBS[job][0], {})


def test_the_start_of_a_process_is_measured():
    assert 0 < startup.user_seconds("pass") < startup.user_seconds(startup.JOBS["labels"][0])


def test_the_exponent_is_that_of_the_growth():
    for power in (1.0, 2.0):
        rows = [{"jobs": 100 + n, "user s": 3 + 1e-4 * n**power} for n in (0, 50, 2000, 9000)]
        assert dag.exponent(rows) == pytest.approx(power)


def test_a_job_that_does_not_start_is_no_measurement():
    with pytest.raises(RuntimeError, match="does not start"):
        startup.user_seconds("import sys; sys.exit(1)")


@pytest.mark.parametrize(("words", "seconds"), [("torch + 0.5", 1.5), ("0.8", 0.8)])
def test_targets_stand_alone_or_above_torch(words, seconds):
    assert np.isclose(startup.target_seconds(words, torch=1.0), seconds)
