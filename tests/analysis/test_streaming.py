"""Reading logits in blocks changes no number, and memory does not grow with the logits."""

import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from gathered import counts_of
from made_runs import write_logits

from disobey.analysis import resampling, store
from disobey.analysis.resampling import Resamples
from disobey.analysis.setting import SplitLogits, analyse
from disobey.errors import UserError
from disobey.stages.command import main
from disobey.stages.confidence import open_split
from disobey.stores.manifest import read_manifest
from disobey.stores.reader import StoredRows, read_columns

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.logit_stores import run_stage, write_stores

pytestmark = pytest.mark.slow

EXAMPLES, CLASSES, SEEDS = 101, 5, 3
ROLES = ("teacher", "reference", "student")
SEEN = np.array([1, 1, 1, 1, 1, 0, 0, 0])


def simulated(mislabelled=20):
    rng = np.random.default_rng(0)
    signal = 2 * rng.normal(size=(EXAMPLES, CLASSES)) + 9 * rng.normal(size=CLASSES)
    logits = {
        role: [(signal + rng.normal(size=signal.shape)).astype(np.float32) for _ in range(SEEDS)]
        for role in ROLES
    }
    clean = signal.argmax(1)
    label = clean.copy()
    label[:mislabelled] = (clean[:mislabelled] + 1) % CLASSES
    return SplitLogits(logits, label, clean)


@pytest.mark.parametrize("mislabelled", [0, 20])
@pytest.mark.parametrize("resamples", [0, 25])
def test_the_size_of_a_block_changes_no_number(resamples, mislabelled):
    whole = analyse(simulated(mislabelled), resamples, 3, block=EXAMPLES)
    for block in (1, 7, 50, 1000, None):
        found = analyse(simulated(mislabelled), resamples, 3, block)
        xr.testing.assert_allclose(found, whole, rtol=1e-11, atol=1e-11)
        for exact in ("density", "confidence_edge", "binned_teacher", "binned_model", "examples"):
            np.testing.assert_array_equal(found[exact], whole[exact])


def test_rows_are_asked_for_in_blocks_and_at_most_twice():
    data, asked = simulated(), []

    class Watched:
        shape = (EXAMPLES, CLASSES)

        def __init__(self, values):
            self.values = values

        def __getitem__(self, rows):
            asked.append(rows)
            return self.values[rows]

    watched = {role: [Watched(z) for z in zs] for role, zs in data.logits.items()}
    analyse(SplitLogits(watched, data.label, data.clean_label), 5, 0, block=10)
    assert max(rows.stop - rows.start for rows in asked) == 10
    assert len(asked) == 2 * len(ROLES) * SEEDS * 11


@pytest.mark.parametrize("size", [1, 8, 64])
def test_resamples_drawn_in_several_goes_are_the_same(size, monkeypatch):
    whole = counts_of(Resamples(60, 20, 4))
    monkeypatch.setattr(resampling, "STRIPE_BYTES", 21 * 16)
    found = list(Resamples(60, 20, 4).blocks(size))
    np.testing.assert_array_equal(np.hstack([counts for _, counts in found]), whole)
    assert [rows.start for rows, _ in found] == list(range(0, 60, size))
    assert found[-1][0].stop == 60


def made(tmp_path, run, **changed):
    rng = np.random.default_rng(1)
    label = {"train": np.arange(8) % 3, "test": np.arange(6) % 3}
    signal = {split: rng.normal(size=(len(values), 3)) for split, values in label.items()}
    given = label | changed
    return write_logits(tmp_path, run, rng, signal, given, label)


def test_stored_rows_are_those_of_the_file(tmp_path):
    made(tmp_path, "run")
    path = tmp_path / "results" / "logits" / "run.nc"
    whole = xr.load_dataset(path, group="train", engine="netcdf4")
    with StoredRows(path, "train", "logits") as rows:
        assert rows.shape == (8, 3)
        assert rows[2:5].dtype == np.float32
        np.testing.assert_array_equal(rows[2:5], whole.logits[2:5])
    columns = read_columns(path, "train")
    assert set(columns) == {"label", "clean_label", "example_id"}
    np.testing.assert_array_equal(columns["label"], whole.label)


def analysed(tmp_path, **of_the_student):
    """Return the exit status of the confidence stage over three tiny runs, and its manifest."""
    manifests = [
        made(tmp_path, "teacher"), made(tmp_path, "reference"),
        made(tmp_path, "student", **of_the_student),
    ]  # fmt: skip
    spec = (
        '{"about": {}, "seeds": [0], "teachers": ["teacher"], "references": ["reference"],'
        ' "students": ["student"], "analysis": {"resamples": 2, "seed": 0}}'
    )
    output = tmp_path / "results" / "small" / "analysis" / "s.nc.json"
    call = ["--spec", spec, "--inputs", *manifests, "--output", str(output)]
    return main("confidence", call), output


def test_stores_of_other_labels_are_refused(tmp_path, capsys):
    status, output = analysed(tmp_path, test=np.array([1, 1, 2, 0, 1, 2]))
    assert status == 2
    said = capsys.readouterr().err
    assert "student and teacher: their test stores differ in label" in said
    assert not output.exists()


def test_an_analysis_by_code_that_knew_fewer_statistics_is_refused(tmp_path, monkeypatch):
    status, output = analysed(tmp_path)
    assert status == 0
    assert set(store.read_analysis(read_manifest(output)).splits) == {"train", "test"}
    monkeypatch.setitem(store.STATISTICS, "a_new_one", None)
    with pytest.raises(UserError, match=r"s\.nc, group train: lacks a_new_one, .* delete it"):
        store.read_analysis(read_manifest(output))


def test_a_setting_whose_analysis_is_not_given_is_refused_with_those_that_are(tmp_path):
    _, output = analysed(tmp_path)
    with pytest.raises(UserError) as refused:
        store.read_analyses([read_manifest(output)], ["s", "other"])
    assert str(refused.value) == (
        "--inputs: the spec names the setting other, whose analysis is not among them (s); add "
        "the manifest of its confidence job"
    )
    with pytest.raises(UserError, match=r"not among them \(none\)"):
        store.read_analyses([], ["s"])


def test_logits_of_students_of_other_shares_or_classes_are_refused(tmp_path):
    rng, label = np.random.default_rng(1), {"train": np.arange(8) % 3}
    runs = {"teacher": ["t"], "reference": ["r"], "student": ["s"]}
    logits = tmp_path / "results" / "logits"

    def refused(seen, classes=3):
        for run, columns in (("t", 3), ("r", 3), ("s", classes)):
            signal = {"train": rng.normal(size=(8, columns))}
            told = {"t": None, "r": SEEN, "s": seen}[run]
            write_logits(tmp_path, run, rng, signal, label, label, seen=told)
        paths = {run: (logits / f"{run}.nc", "logits") for run in "trs"}
        with pytest.raises(UserError) as error, ExitStack() as files:
            open_split(paths, runs, "train", files)
        return str(error.value)

    assert refused(SEEN[::-1].copy()) == (
        "s: was trained on another share of the training examples than a run with which it is "
        "compared; name runs of one share"
    )
    assert refused(SEEN, 4) == (
        "s and t: have different numbers of classes, so they cannot be compared; both must come "
        "from the same data"
    )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel tells no peak")
def test_memory_does_not_grow_with_the_logits(tmp_path):
    """More examples add a few numbers each, not their logits."""
    seeds, classes, peaks = 2, 100, []
    # Large enough that the noise of a peak, of some MB, is small beside the logits.
    sizes = [{"train": 10_000, "test": 500}, {"train": 90_000, "test": 4_500}]
    for split in sizes:
        folder = tmp_path / str(split["train"])
        peaks.append(run_stage(folder, write_stores(folder, seeds, split, classes), seeds, 10)[1])
    more = sum(sizes[1].values()) - sum(sizes[0].values())
    of_an_example = 2**20 * (peaks[1] - peaks[0]) / more
    assert of_an_example < 4 * classes  # bytes: less than the logits of one of the six models
