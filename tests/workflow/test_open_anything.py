"""docs/open-anything.md works on the finished study, and every store describes itself."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import disobey
from disobey.errors import UserError
from disobey.stores.writer import COORDINATES
from disobey.study.loader import load_study
from disobey.study.plan import make_plan

PAGE = Path(__file__).parents[2] / "docs" / "open-anything.md"


@pytest.fixture
def runs(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    return make_plan(load_study("study.yaml")).settings["clean-self"]


def test_every_store_says_what_it_holds_in_which_unit_and_what_made_it(runs):
    stores = sorted(Path("results").glob("**/*.nc"))
    assert {path.parts[1] for path in stores} >= {
        "data",
        "labels",
        "basis",
        "runs",
        "logits",
        "tiny",
    }
    for path in stores:
        with xr.open_datatree(path, engine="netcdf4") as tree:
            assert tree.attrs["title"] and tree.attrs["source"].startswith("disobey ")
            assert path.stem in tree.attrs["history"] or path.parent.name in tree.attrs["history"]
            for node in tree.subtree:
                for name, variable in node.variables.items():
                    where = f"{path}, {node.path}: {name}"
                    assert {"long_name", "units"} <= variable.attrs.keys(), where
                    assert variable.ndim < 2 or name not in node.coords, where
                    if name in COORDINATES and variable.ndim == 1:
                        assert name in node.coords, where


def test_a_study_opens_as_one_tree_with_what_its_stores_hold(runs):
    with disobey.open_study("results/tiny") as tree:
        check(tree, runs)
    with pytest.raises(UserError, match="results/logits: holds no finished analysis"):
        disobey.open_study("results/logits")


def check(tree, runs):
    students = tree["analysis/clean-self"].attrs["students"]
    assert tuple(students) == runs.students
    logits = tree[f"logits/{students[0]}/test/logits"]
    label = tree[f"logits/{students[0]}/test/label"]
    accuracy = (logits.values.argmax(1) == label.values).mean()
    chosen = {"statistic": "accuracy", "model": "student", "subset": "all", "seed": 0}
    assert tree["analysis/clean-self/test/value"].sel(chosen) == accuracy
    assert "verdict" in tree["tables/claims"].to_dataset().to_dataframe()
    assert tree["tables/all"].sizes["row"] > 100 and {"bias", "curves", "gradients"} <= set(tree)
    assert logits.coords["class"].values.tolist() == [str(digit) for digit in range(10)]


@pytest.mark.parametrize("setting", ["clean-self", "similar-T5", "cropped"])
def test_a_loaded_run_gives_the_stored_logits_on_its_inputs(runs, setting):
    import torch

    run = make_plan(load_study("study.yaml")).settings[setting].students[0]
    model = disobey.load_run(run)
    assert not model.training
    with torch.inference_mode():
        logits = model(disobey.load_inputs(run, "test")).numpy()
    with xr.open_dataset(f"results/logits/{run}.nc", group="test", engine="netcdf4") as stored:
        np.testing.assert_allclose(logits, stored.logits, rtol=0, atol=1e-5)


def test_the_page_s_examples_run(runs, tmp_path, monkeypatch, capsys):
    shown = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(shown) >= 4
    scope = {}
    for text in shown:
        assert len(text.strip().splitlines()) <= 5, "three lines, and imports"
        text = text.replace("results/overview", "results/tiny").replace("noisy", "clean-self")
        exec(compile(text.replace("EXPORTED", str(tmp_path / "m")), str(PAGE), "exec"), scope)
    for tree in (scope["tree"], scope["study"]):
        tree.close()
