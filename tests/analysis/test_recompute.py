"""Every number of the tables is recomputed from stored logits by independent code."""

import json

import numpy as np
import pandas as pd
import pytest
from made_runs import write_logits
from recompute import recompute

from disobey.stages.command import main
from disobey.stores.layout import manifest_of

SIZES, CLASSES = {"train": 130, "test": 200}, 5


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of three settings, with three seeds, one seed, and two seeds that saw a share."""
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    signal = {split: 1.5 * rng.normal(size=(n, CLASSES)) for split, n in SIZES.items()}
    clean = {split: z.argmax(1) for split, z in signal.items()}
    label = {split: values.copy() for split, values in clean.items()}
    label["train"][:25] = (label["train"][:25] + 1) % CLASSES  # mislabelled
    runs = {role: [f"{role}-{seed}" for seed in range(3)] for role in ("t", "r", "s")}
    for role, scale in (("t", 1.0), ("r", 1.0), ("s", 1.2)):
        for run in runs[role]:
            write_logits(folder, run, rng, signal, label, clean, scale)
    seen = (rng.random(SIZES["train"]) < 0.6).astype(np.int8)
    on_share = {role: [f"{role}-share-{seed}" for seed in range(2)] for role in ("r", "s")}
    for run in (run for of_role in on_share.values() for run in of_role):
        write_logits(folder, run, rng, signal, label, clean, 1.1, seen)
    results = folder / "results"
    analyses = []
    for name, seeds in (("three", [0, 1, 2]), ("single", [4]), ("share", [0, 1])):
        used = {role: ids[: len(seeds)] for role, ids in runs.items()}
        used |= on_share if name == "share" else {}
        spec = {
            "about": {}, "seeds": seeds, "teachers": used["t"], "references": used["r"],
            "students": used["s"], "analysis": {"resamples": 30, "seed": 5},
        }  # fmt: skip
        if name == "share":
            spec["splits"] = ["train", "test", "held_out"]
            spec["analysis"]["resamples"] = 5  # of these many numbers
        output = results / "small" / "analysis" / f"{name}.nc.json"
        inputs = [
            manifest_of(str(results / "logits" / f"{r}.nc")) for ids in used.values() for r in ids
        ]
        call = ["--spec", json.dumps(spec), "--inputs", *inputs, "--output", str(output)]
        assert main("confidence", call) == 0
        analyses.append(str(output))
    for table in ("confidence", "accuracy", "claims", "summary"):
        spec = {"study": "small", "settings": ["three", "single", "share"], "table": table}
        output = results / "small" / "tables" / f"{table}.csv.json"
        call = ["--spec", json.dumps(spec), "--inputs", *analyses, "--output", str(output)]
        assert main("table", call) == 0
    return folder


def table(study, name):
    return study / "results" / "small" / "tables" / f"{name}.csv"


def test_every_row_is_what_an_independent_computation_gives(study):
    assert recompute(study) == []


def test_the_study_has_a_row_for_every_kind_of_number(study):
    rows = pd.read_csv(table(study, "confidence"), dtype={"seed": str})
    assert set(rows.subset) == {"all", "teacher right", "teacher wrong", "clean", "mislabelled"}
    assert set(rows.split) == {"train", "test", "held_out"}
    assert set(rows.seed) == {"0", "1", "2", "4", "mean"}
    assert set(rows.model) == {"reference", "student", "student - reference"}
    mean = rows[(rows.seed == "mean") & (rows.setting == "three")]
    assert np.isfinite(mean[["value", "low", "high"]]).all(axis=None)
    of_every_subset, of_no_judge, of_all, aucs, copied = 29, 39, 20, 2, 2
    # Subsets of train, and of test, which has no mislabelled points; the AUCs need them.
    number = of_every_subset * (5 + 4) + of_no_judge * (3 + 2) + of_all * (1 + 2) + aucs
    of_cell = ("gap", "share_below_diagonal", "brier_payoff", "nll_payoff")
    empty = {f"both_right_{name}" for name in of_cell}  # of mislabelled
    # What is copied beyond the reference is of the student alone.
    assert len(mean) == 3 * (number - len(empty)) + copied * (3 + 2)
    mislabelled = mean[mean.subset == "mislabelled"]
    assert not set(mislabelled.statistic) & empty


def test_the_recomputation_notices_a_wrong_missing_or_additional_row(study, tmp_path):
    copy = tmp_path / "results"
    (copy / "small" / "tables").mkdir(parents=True)
    (copy / "logits").symlink_to(study / "results" / "logits")
    (copy / "small" / "analysis").symlink_to(study / "results" / "small" / "analysis")
    rows = pd.read_csv(table(study, "confidence"), dtype={"seed": str})
    mean = rows.index[(rows.seed == "mean") & (rows.setting == "three")]
    invented = rows.loc[[mean[0]]].assign(statistic="invented")
    rows.loc[mean[1], "value"] += 1e-4
    rows.loc[mean[2], "high"] += 1e-4
    rows = pd.concat([rows.drop(mean[3]), invented])
    rows.to_csv(copy / "small" / "tables" / "confidence.csv", index=False)
    found = recompute(tmp_path)
    assert len(found) == 4
    for words in (": value is", ": high is", "row is missing", "should not be there"):
        assert sum(words in line for line in found) == 1


def test_claims_quote_the_tables(study):
    """Estimate, interval and control of each claim are rows of the other two tables."""
    numbers = pd.concat([pd.read_csv(table(study, name)) for name in ("confidence", "accuracy")])
    numbers = numbers[(numbers.seed == "mean") & (numbers.subset == "all")]
    numbers = numbers.set_index(["setting", "split", "statistic", "model"])
    claims = pd.read_csv(table(study, "claims"))
    # Four claims on confidence in three readings and two on both splits; accuracy and pay-off once.
    assert len(claims) == 3 * (2 * (4 * 3 + 2) + 3)
    for claim in claims.itertuples():
        key = claim.setting, claim.split, claim.statistic, claim.model
        if np.isnan(claim.value):  # a replicate-conditioned statistic of a single seed
            assert claim.setting == "single"
            assert key not in numbers.index
            continue
        row = numbers.loc[key]
        np.testing.assert_allclose(
            [claim.value, claim.low, claim.high], row[["value", "low", "high"]].astype(float)
        )
        if not np.isnan(claim.control):
            control = numbers.loc[claim.setting, claim.split, claim.statistic, "reference"]
            assert claim.control == pytest.approx(control.value)
        sure = claim.low > claim.null, claim.high < claim.null
        sides = sure if claim.side == "above" else sure[::-1]
        assert claim.verdict == {(True, False): "holds", (False, True): "contrary"}.get(
            sides, "undecided"
        )
    single = claims[claims.setting == "single"]
    assert set(single.verdict) == {"undecided"}
