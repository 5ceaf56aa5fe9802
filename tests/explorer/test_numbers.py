"""The numbers packed into a page equal those of the stores and those computed by hand."""

import base64
import hashlib
import io
import json
import re
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import xarray
from PIL import Image

from disobey.errors import UserError
from disobey.explorer import deviations
from disobey.explorer.deviations import Confidences, SeedRuns, SplitDeviations, worst
from disobey.explorer.examples import LONGEST_TEXT, Examples, sample
from disobey.explorer.page import LARGEST, NOT_FINITE, Columns, render
from disobey.explorer.study import BUDGET, content
from disobey.study.staleness import CodeDigests

pytestmark = pytest.mark.slow

VENDOR = Path(deviations.__file__).parent / "vendor"
DTYPES = {
    "Uint8Array": "u1", "Uint16Array": "<u2", "Int16Array": "<i2", "Int32Array": "<i4",
    "Float64Array": "<f8", "BigInt64Array": "<i8",
}  # fmt: skip


def unpacked(columns):
    """Return every column of a page, as a browser unpacks it."""
    data = zlib.decompress(base64.b64decode(columns.packed()))
    found = {}
    for name, (kind, offset, size, *scale) in columns.index.items():
        found[name] = stored = np.frombuffer(data, DTYPES[kind], size, offset)
        assert offset % stored.itemsize == 0, name
        if scale:
            step, middle = scale
            found[name] = np.where(stored == NOT_FINITE, np.nan, middle + step * stored)
    return found


# --- packing -------------------------------------------------------------------------------------


def test_scaled_numbers_lose_half_a_step_at_most():
    values = np.random.default_rng(0).normal(0, 7, 1000)
    columns = Columns()
    columns.add("odd", np.arange(3, dtype=np.uint8))  # what follows must be aligned all the same
    columns.add_scaled("phi", values)
    step = np.ptp(values) / (2 * LARGEST)
    assert np.abs(unpacked(columns)["phi"] - values).max() <= step / 2 * 1.001


def test_numbers_far_from_zero_are_still_told_apart():
    values = 1000 + np.linspace(0, 1e-3, 50)
    columns = Columns()
    columns.add_scaled("phi", values)
    assert (np.diff(unpacked(columns)["phi"]) > 0).all()


def test_what_is_not_finite_stays_so_and_spoils_nothing_else():
    columns = Columns()
    columns.add_scaled("phi", np.array([np.inf, -np.inf, np.nan, -2.0, 1.0]))
    columns.add_scaled("nothing", np.full(2, np.nan))
    columns.add_scaled("zero", np.zeros(2))
    found = unpacked(columns)
    np.testing.assert_array_equal(np.isnan(found["phi"]), [True] * 3 + [False] * 2)
    np.testing.assert_allclose(found["phi"][3:], [-2, 1], rtol=1e-4)
    assert np.isnan(found["nothing"]).all() and (found["zero"] == 0).all()


@pytest.mark.parametrize("value", [0, 255, 256, 65535, 65536, -1, 2**31 - 1, 2**31, 2**53 + 1])
def test_integers_are_exact_whatever_their_size(value):
    columns = Columns()
    columns.add_integers("id", np.array([0, value], np.int64))
    assert unpacked(columns)["id"].tolist() == [0, value]


# --- what is packed ------------------------------------------------------------------------------


def shown(looked, columns, setting, split):
    """Return the positions, in the store, of the examples that a page shows, by their ids."""
    ids = looked.data(setting, split, "example_id")["example_id"].tolist()
    dump = looked.plan.jobs["dump", looked.plan.settings[setting].teachers[0]]
    of_page = columns[f"id/{json.loads(dump.spec)['data']}/{split}"]
    return np.array([ids.index(id) for id in of_page])


@pytest.mark.parametrize("most", [2000, 40], ids=["all", "sampled"])
@pytest.mark.parametrize("block", [1 << 20, 70], ids=["at once", "in blocks"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_columns_are_those_of_the_stores(looked, split, most, block, monkeypatch):
    monkeypatch.setattr(deviations, "BLOCK_LOGITS", block)
    told, columns = content(looked.job(), most)
    found = unpacked(columns)
    for name in looked.plan.settings:
        positions = shown(looked, found, name, split)
        told_split = told["data"][told["settings"][name]["data"]]["splits"][split]
        assert told_split["sampled"] + told_split["added"] == len(positions) <= most
        assert (np.diff(positions) > 0).all()
        for seed in (0, 1):
            runs = looked.runs(name, seed)
            for role, chosen_by in [
                (role, by)
                for role in ("teacher", "reference", "student")
                for by in ("teacher", "replicate")
            ]:
                expected = looked.phi(name, role, chosen_by, split, seed)
                got = found[f"phi/{runs[role]}/{runs[chosen_by]}/{split}"]
                # half a step, and what float32 leaves of the largest
                tolerance = np.ptp(expected) / LARGEST / 4 + 2e-7 * np.abs(expected).max()
                np.testing.assert_allclose(got, expected[positions], rtol=0, atol=tolerance)


@pytest.mark.parametrize("split", ["train", "test"])
def test_top_classes_and_labels_are_those_of_the_stores(looked, split):
    told, columns = content(looked.job(), 40)
    found = unpacked(columns)
    for name in looked.plan.settings:
        setting = told["settings"][name]
        for role in ("teacher", "reference", "student"):
            run = looked.runs(name)[role]
            stored = looked.logits(run, split)
            positions = shown(looked, found, name, split)
            assert len(positions) <= 40
            z = stored["logits"][positions].astype(np.float64)
            p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
            order = (-p).argsort(1)[:, :3]
            got = found[f"top/{run}/{split}"].reshape(-1, 3)
            np.testing.assert_array_equal(got, order)
            probability = found[f"probability/{run}/{split}"].reshape(-1, 3)
            expected = np.take_along_axis(p, order, 1)
            np.testing.assert_allclose(probability, expected, rtol=0, atol=1 / 65535)
            brier = ((p - np.eye(p.shape[1])[stored["label"][positions]]) ** 2).sum(1)
            got = found[f"brier/{run}/{setting['labels']}/{split}"]
            np.testing.assert_allclose(got, brier, rtol=0, atol=2 / 65535)
            for column, of in (("label", "labels"), ("clean", "data"), ("id", "data")):
                variable = {"clean": "clean_label", "id": "example_id"}.get(column, column)
                got = found[f"{column}/{setting[of]}/{split}"]
                np.testing.assert_array_equal(got, stored[variable][positions])


def test_the_density_of_a_sampled_split_counts_every_example(looked):
    told, columns = content(looked.job(), 40)
    found = unpacked(columns)
    runs = looked.runs("self")
    name = f"density/{runs['teacher']}/{runs['student']}/{runs['replicate']}/test"
    told_of = told["densities"][name]
    x, y = (looked.phi("self", role, "replicate", "test") for role in ("teacher", "student"))
    np.testing.assert_allclose(told_of["extent"], [x.min(), x.max(), y.min(), y.max()], rtol=1e-5)
    cells = told_of["cells"]
    levels = found[name].reshape(cells, cells)
    # a level is the logarithm of a count: undone, the counts add up to all examples
    counts, _, _ = np.histogram2d(x.astype(np.float32), y.astype(np.float32), cells)
    assert counts.sum() == 90 > 40
    np.testing.assert_array_equal(levels > 0, counts > 0)
    assert levels.max() == 255


PLOTS = [
    (seed, model, by)
    for seed in (0, 1)
    for model in ("reference", "student")
    for by in ("teacher", "replicate")
]


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_worst_disobediences_of_all_examples_are_always_shown(looked, split):
    told, columns = content(looked.job(), 40)
    found = unpacked(columns)
    depths = set()
    for name in looked.plan.settings:
        positions = shown(looked, found, name, split)
        depth = told["data"][told["settings"][name]["data"]]["splits"][split]["depth"]
        for seed, model, by in PLOTS:
            phi = [looked.phi(name, role, by, split, seed) for role in ("teacher", model)]
            gap = np.abs(phi[1] - phi[0])
            least = np.sort(gap)[-depth] + 1e-5 * np.abs(phi).max()  # the page's are float32
            assert set(np.flatnonzero(gap > least)) <= set(positions), (name, seed, model, by)
        depths.add(depth)
    assert min(depths) >= 1


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_not_added_is_a_random_sample_of_all(looked, split):
    told, columns = content(looked.job(), 40)
    found = unpacked(columns)
    for name in looked.plan.settings:
        data = told["settings"][name]["data"]
        told_split = told["data"][data]["splits"][split]
        added = found[f"added/{data}/{split}"].astype(bool)
        assert 0 < added.sum() == told_split["added"] <= 10
        drawn = shown(looked, found, name, split)[~added]
        np.testing.assert_array_equal(drawn, sample(told_split["examples"], 30))
        assert told_split["sampled"] == 30


def gaps(*of_plots):
    """Return confidences in which each plot has these gaps, by example; the first is a teacher."""

    class Given(Confidences):
        def phi(self, run, chosen_by):
            values = {"t": np.zeros(len(of_plots[0])), "r": of_plots[0], "s": of_plots[-1]}
            return np.asarray(values[run], np.float32)

    return Given({}, "test")


RUNS = [SeedRuns("t", "r", "s", None)]


def test_the_worst_are_added_rank_by_rank_until_one_rank_is_too_many():
    confidences = gaps([9, 8, 7, 0, 0, 0, 1], [0, 0, 0, -9, -8, -7, 1])
    nothing = np.array([], np.int64)
    added, depth = worst(confidences, RUNS, nothing, 5)
    assert (added.tolist(), depth) == ([0, 1, 3, 4], 2)  # a third rank would make six
    added, depth = worst(confidences, RUNS, np.array([0, 2, 5]), 5)
    assert (added.tolist(), depth) == ([1, 3, 4, 6], 7)  # those of the sample cost nothing
    added, depth = worst(confidences, RUNS, nothing, 1)
    assert (added.tolist(), depth) == ([], 0)


def test_what_has_no_place_in_a_plot_is_not_among_the_worst():
    added, depth = worst(gaps([np.inf, np.nan, 3, 2]), RUNS, np.array([], np.int64), 9)
    assert (added.tolist(), depth) == ([2, 3], 2)


def test_there_is_no_density_where_every_example_is_a_point(looked):
    told, columns = content(looked.job())
    assert not told["densities"]
    assert not any(name.startswith("density/") for name in columns.index)


def test_logits_larger_than_the_memory_pass_through_in_blocks(tmp_path, monkeypatch):
    """Memory holds some numbers of each example, whatever the number of classes."""
    monkeypatch.setattr(deviations, "BLOCK_LOGITS", 1 << 15)
    rng = np.random.default_rng(0)
    examples, classes = 20_000, 100
    logits = rng.normal(size=(examples, classes)).astype(np.float32)
    paths = {run: (tmp_path / f"{run}.nc", "logits") for run in "trs"}
    for path, _ in paths.values():
        stored = xarray.Dataset({"logits": (("example", "class"), logits)})
        stored.to_netcdf(path, group="train", engine="netcdf4")
    runs = SeedRuns("t", "r", "s", None)
    columns = Columns()
    positions = sample(examples, 50)
    added = SplitDeviations(columns, Confidences(paths, "train"), positions, examples)
    tracemalloc.start()
    densities = added.add(runs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(densities) == 2
    assert peak < logits.nbytes / 3


def test_settings_of_one_data_set_share_their_columns(looked):
    _, columns = content(looked.job())
    teachers = looked.plan.settings["self"].teachers
    assert teachers == looked.plan.settings["smaller"].teachers
    assert len([name for name in columns.index if name.startswith(f"top/{teachers[0]}/")]) == 2


def test_a_setting_of_the_same_runs_adds_no_column_but_its_own_scores(tmp_path):
    rng = np.random.default_rng(0)
    paths = {run: (tmp_path / f"{run}.nc", "logits") for run in "trs"}
    logits = {run: rng.normal(size=(50, 4)).astype(np.float32) for run in paths}
    for run, (path, _) in paths.items():
        stored = xarray.Dataset({"logits": (("example", "class"), logits[run])})
        stored.to_netcdf(path, group="train", engine="netcdf4")
    columns, positions = Columns(), np.array([3, 7, 30])
    shared = SplitDeviations(columns, Confidences(paths, "train"), positions, 50)
    runs, label = SeedRuns("t", "r", "s", None), np.array([0, 1, 2])
    first, before = shared.add(runs, "clean", label), dict(columns.index)
    assert shared.add(runs, "noisy", label[::-1]) == first
    added = set(columns.index) - set(before)
    assert added == {f"brier/{run}/noisy/train" for run in "trs"}
    assert {name: columns.index[name] for name in before} == before
    p = np.exp(logits["s"][positions].astype(float))
    p /= p.sum(1, keepdims=True)
    expected = ((p - np.eye(4)[label[::-1]]) ** 2).sum(1)
    np.testing.assert_allclose(unpacked(columns)["brier/s/noisy/train"], expected, atol=2 / 65535)


def test_texts_are_those_of_the_store_and_long_ones_are_cut(looked, tmp_path):
    told, columns = content(looked.job(), 40)
    stored = looked.data("langid", "test", "text")["text"]
    positions = shown(looked, unpacked(columns), "langid", "test")
    texts = told["data"][told["settings"]["langid"]["data"]]["splits"]["test"]["texts"]
    assert [text for (text,) in texts] == [str(stored[i]) for i in positions]
    path = tmp_path / "data.nc"
    long = xarray.Dataset(
        {
            "text": ("example", ["a" * 1000, "b"]),
            "text_pair": ("example", ["c", "d"]),
            "example_id": ("example", [5, 6]),
        }
    )
    xarray.Dataset(attrs={"tokenizer_fingerprint": "x", "class_names": "[]"}).to_netcdf(path)
    long.to_netcdf(path, mode="a", group="test")
    (first, pair), second = Examples(path, "test").shown(np.array([0, 1]))["texts"]
    assert len(first) == LONGEST_TEXT and first.endswith("a…") and pair == "c"
    assert second == ["b", "d"]


def stored_images(path, variables, **attributes):
    """Write the test split of a data store of images."""
    about = {"class_names": "[]"} | attributes
    xarray.Dataset(attrs=about).to_netcdf(path)
    examples = {"example_id": ("example", np.arange(7))}
    xarray.Dataset(variables | examples).to_netcdf(path, mode="a", group="test")
    return Examples(path, "test")


def pictures(shown, number):
    """Return the pictures of a sheet, as a browser cuts them out."""
    data = base64.b64decode(shown["sheet"].removeprefix("data:image/webp;base64,"))
    sheet = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    width, height, columns = shown["width"], shown["height"], shown["columns"]
    for i in range(number):
        x, y = i % columns * width, i // columns * height
        yield sheet[y : y + height, x : x + width]


COLOURS = np.random.default_rng(0).integers(0, 256, (7, 3)).astype(np.uint8)


def test_large_colour_pictures_are_made_small_and_stay_in_their_order(tmp_path):
    images = np.broadcast_to(COLOURS[:, None, None], (7, 100, 50, 3))
    image = {"image": (("example", "y", "x", "channel"), images)}
    shown = stored_images(tmp_path / "data.nc", image).shown(np.array([1, 2, 4, 5, 6]))
    assert (shown["width"], shown["height"]) == (32, 64)
    for picture, colour in zip(pictures(shown, 5), COLOURS[[1, 2, 4, 5, 6]], strict=True):
        assert np.abs(picture[8:-8, 8:-8].astype(int) - colour).max() < 12


def test_encoded_pictures_are_decoded(tmp_path):
    files = []
    for colour in COLOURS:
        stream = io.BytesIO()
        Image.new("RGB", (90, 90), tuple(colour.tolist())).save(stream, "PNG")
        files.append(stream.getvalue())
    encoded = np.frombuffer(b"".join(files), np.uint8)
    start = np.cumsum([0, *map(len, files)])
    stored = {"encoded": ("byte", encoded), "start": ("boundary", start)}
    examples = stored_images(tmp_path / "data.nc", stored, encoded_shape=[80, 80, 3])
    shown = examples.shown(np.array([0, 3]))
    assert (shown["width"], shown["height"]) == (64, 64)
    for picture, colour in zip(pictures(shown, 2), COLOURS[[0, 3]], strict=True):
        assert np.abs(picture[8:-8, 8:-8].astype(int) - colour).max() < 12


def test_a_sample_depends_on_nothing_but_its_numbers():
    first = sample(1000, 100)
    np.testing.assert_array_equal(first, sample(1000, 100))
    assert len(np.unique(first)) == 100 and (np.diff(first) > 0).all()
    assert 300 < first.mean() < 700
    np.testing.assert_array_equal(sample(5, 100), np.arange(5))


# --- size ----------------------------------------------------------------------------------------


def test_a_small_budget_shows_fewer_examples_and_is_kept(looked):
    whole = looked.page("whole.html").stat().st_size
    code = looked.page("few.html", most=1).stat().st_size  # what the page takes by itself
    budget = 0.8 * (whole - code)
    page = looked.page("half.html", budget=budget)
    assert page.stat().st_size - code < budget
    told, _ = content(looked.job(), budget=budget)
    for data in told["data"].values():
        for split in data["splits"].values():
            assert 1 < split["sampled"] + split["added"] < split["examples"]


def test_the_page_of_a_small_study_is_far_below_the_budget(page):
    assert page.stat().st_size < 500_000 < BUDGET


def test_a_budget_for_nothing_is_refused(looked):
    with pytest.raises(UserError, match="3 settings, too little for one example"):
        content(looked.job(), budget=100)


def test_logits_of_other_examples_are_refused(looked):
    class Other(Examples):
        def __init__(self, path, split):
            super().__init__(path, split)
            self.id = self.id[::-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("disobey.explorer.study.Examples", Other)
        with pytest.raises(UserError, match=r"test examples are not those of .*make the logits"):
            content(looked.job())


# --- the page as text ----------------------------------------------------------------------------


def test_names_of_classes_and_settings_cannot_break_out_of_their_element(looked):
    page = looked.page("plain.html").read_text(encoding="utf-8")
    hostile = "</script><script>alert(1)</script>"
    told, columns = content(looked.job(), 5)
    told["name"] = told["settings"]["self"]["about"]["dataset"] = hostile
    html = render(told, columns)
    assert html.count("<script") == page.count("<script")
    assert html.count("</script") == page.count("</script")
    index = re.search(r'<script type="application/json" id="index">(.*?)</script>', html)[1]
    assert json.loads(index)["name"] == hostile


def test_the_vendored_library_is_the_published_one_and_its_licence_is_in_the_page(page):
    readme = (VENDOR / "README.md").read_text()
    listed = dict(re.findall(r"\| `(\S+)` \| `([0-9a-f]{64})` \|", readme))
    assert set(listed) == {path.name for path in VENDOR.iterdir()} - {"README.md"}
    for name, digest in listed.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
    text = page.read_text(encoding="utf-8")
    assert "Permission is hereby granted, free of charge" in text
    version = re.search(r"uPlot (\d+\.\d+\.\d+) \(MIT", readme)[1]
    assert f"uPlot (v{version})" in text


def test_the_script_of_the_page_counts_as_its_code_and_as_no_other_stages(looked, monkeypatch):
    def digests():
        fresh = CodeDigests()
        return {name: fresh.of(job) for name, job in looked.plan.jobs.items()}

    before = digests()
    read = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda path: read(path) + b" " * (path.name == "explorer.js")
    )
    changed = {name for name, digest in digests().items() if digest != before[name]}
    assert changed == {("explorer", "looked-at")}
