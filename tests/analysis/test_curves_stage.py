"""The stage curves turns simulated histories into store and table, and refuses invalid ones."""

import json
import time

import netCDF4
import numpy as np
import pytest
from recompute_curves import at_equal_accuracy

from disobey.analysis.store import Analysis
from disobey.analysis.store import read_beside as read_curves
from disobey.analysis.tables import curves as curves_table
from disobey.stages.command import main
from disobey.stages.curves import switch_steps
from disobey.stores.manifest import describe, read_manifest, write_manifest

SEEDS = (3, 8)
STEP = np.array([1, 3, 10, 30, 100, 200, 300])
ROLES = ("teacher", "reference", "student", "half_lr")
RECIPE = {"lr": 0.1, "schedule": "constant", "epochs": 3, "batch": 8}


def write_run(folder, id, step=STEP, evaluate=True, **spec):
    """Write a history with accuracies and its manifest; return the manifest's path."""
    rng = np.random.default_rng(list(id.encode()))
    history = folder / "results" / "runs" / id / "history.nc"
    history.parent.mkdir(parents=True)
    with netCDF4.Dataset(history, "w") as file:
        if evaluate:
            group = file.createGroup("evaluate")
            group.train_examples, group.test_examples = 50, 40
            group.createDimension("point", len(step))
            group.createVariable("step", "i8", ("point",))[:] = step
            train = np.linspace(0.1, 0.9, len(step)) + 0.02 * rng.normal(size=len(step))
            for name, values in (("train", train), ("test", 0.7 * train)):
                group.createVariable(f"{name}_accuracy", "f8", ("point",))[:] = values
    record = describe(
        stage="train", id=id, spec={"data": "d", "recipe": RECIPE} | spec, code="",
        files=[history], base=history.parents[1], inputs=[], started=time.time(),
    )  # fmt: skip
    manifest = history.parents[1] / f"{id}.json"
    write_manifest(manifest, record)
    return str(manifest)


def run_curves(folder, roles=ROLES, changed=None):
    """Make the store of a setting; ``changed`` maps a run to what is written otherwise."""
    runs = {role: [f"{role}-{seed}" for seed in SEEDS] for role in roles}
    ids = [id for of_role in runs.values() for id in of_role]
    manifests = [write_run(folder, id, **(changed or {}).get(id, {})) for id in ids]
    spec = {"about": {"dataset": "made"}, "seeds": SEEDS, "runs": runs}
    output = str(folder / "results" / "small" / "curves" / "noisy.nc.json")
    call = ["--spec", json.dumps(spec), "--inputs", *manifests, "--output", output]
    return main("curves", call), output


def test_the_store_holds_what_was_recorded_and_the_comparison(tmp_path):
    status, output = run_curves(tmp_path)
    assert status == 0
    found = read_curves(read_manifest(output))
    assert (found.setting, found.about) == ("noisy", {"dataset": "made"})
    assert tuple(found.data.model.values) == ROLES and found.placebos == ("half_lr",)
    raw = {}
    for role in ("reference", "student"):
        with netCDF4.Dataset(tmp_path / f"results/runs/{role}-8/history.nc") as file:
            group = file["evaluate"]
            raw[role] = [group[n][:].tolist() for n in ("step", "train_accuracy", "test_accuracy")]
        here = found.data.sel(model=role, seed=8)
        np.testing.assert_array_equal(here.train_accuracy, raw[role][1])
        np.testing.assert_array_equal(here.test_accuracy, raw[role][2])
    gain, ratio = at_equal_accuracy(raw["student"], raw["reference"])
    here = found.data.sel(compared="student", seed=8)
    assert float(here.equal_accuracy) == pytest.approx(gain)
    assert float(here.log_steps_ratio) == pytest.approx(ratio)
    estimate, low, high = found.number("equal_accuracy", compared="student")
    assert low < estimate < high
    said = {"setting": "noisy", "train_examples": 50, "test_examples": 40}
    assert said.items() <= found.data.attrs.items()
    assert found.test_examples == 40


def test_the_store_has_the_steps_of_the_student_s_switch(tmp_path):
    switch = {"order": "one_hot_first", "at": 0.5, "unit": "steps"}
    distill = {"distill": {"switch": switch}}
    _, output = run_curves(tmp_path, changed={f"student-{seed}": distill for seed in SEEDS})
    assert read_curves(read_manifest(output)).data.attrs["switch_steps"].tolist() == [150, 150]


def test_the_table_has_every_number_once(tmp_path):
    _, output = run_curves(tmp_path, ROLES[1:])
    curves = read_curves(read_manifest(output))
    analysis = Analysis("noisy", {}, {}, curves=curves)
    other = Analysis("without", {}, {})
    found = curves_table("small", {"noisy": analysis, "without": other})
    assert set(found.setting) == {"noisy"}
    assert not found.duplicated(list(found.columns[:8])).any()
    along = found[(found.statistic == "test_accuracy") & (found.compared == "student")]
    assert along.step.tolist() == [*STEP, *STEP] and set(along.seed) == {"3", "8"}
    mean = found[(found.statistic == "equal_accuracy") & (found.seed == "mean")]
    assert list(zip(mean.compared, mean.against, strict=True)) == [
        ("student", "reference"), ("half_lr", "reference"), ("student", "half_lr"),
    ]  # fmt: skip
    row = mean.iloc[0]
    assert (row.value, row.low, row.high) == curves.number("equal_accuracy", compared="student")
    steps = found[(found.statistic == "steps_at_level") & (found.seed == "3")]
    assert steps.level.notna().all() and steps.step.isna().all()


def test_the_table_has_the_steps_of_a_shorter_training_and_no_others(tmp_path):
    shorter = {f"half_lr-{seed}": {"step": STEP[:4]} for seed in SEEDS}
    _, output = run_curves(tmp_path, ROLES[1:], shorter)
    curves = read_curves(read_manifest(output))
    found = curves_table("small", {"noisy": Analysis("noisy", {}, {}, curves=curves)})
    along = found[(found.statistic == "train_accuracy") & (found.seed == "8")]
    steps = {name: rows.step.tolist() for name, rows in along.groupby("compared")}
    assert steps["half_lr"] == list(STEP[:4])
    assert steps["student"] == steps["reference"] == list(STEP)
    assert along.value.notna().all()


REFUSALS = {
    "nothing recorded": (
        {"student-8": {"evaluate": False}},
        "student-8: recorded no accuracies in training; train it by a recipe with "
        "evaluate: {points: 20}",
    ),
    "other steps": (
        {"student-8": {"step": STEP + 1}},
        "student-8 and student-3: were evaluated at different steps; train all seeds of a model "
        "by one recipe",
    ),
    "other data": (
        {"student-8": {"data": "e"}},
        "student-8 and teacher-3: were trained on different data (e and d), so they cannot be "
        "compared; name runs of one data set",
    ),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_runs_that_cannot_be_compared_are_refused(tmp_path, capsys, kind):
    changed, message = REFUSALS[kind]
    assert run_curves(tmp_path, changed=changed)[0] == 2
    assert capsys.readouterr().err == f"disobey curves: {message}\n"


@pytest.mark.parametrize(
    ("recipe", "switch", "steps", "expected"),
    [
        # a constant rate: the share of the rate is that of the steps
        ({"epochs": 4}, {"at": 0.5}, 400, [200, 200]),
        ({"epochs": 4}, {"at": 0.5, "ramp": 0.2}, 400, [161, 240]),
        ({"steps": 400}, {"at": 0.95}, 400, [380, 380]),
        # falling to 0, three quarters of it are spent in half of the steps, and one
        ({"steps": 400, "schedule": "linear"}, {"at": 0.75}, 400, [201, 201]),
        ({"steps": 400, "warmup": {"epochs": 1}}, {"at": 0.5}, 400, None),
        ({"steps": 400, "schedule": "linear"}, {"at": 0.75, "unit": "steps"}, 400, [300, 300]),
        ({"steps": 400, "warmup": {"epochs": 1}}, {"at": 0.5, "unit": "steps"}, 400, [200, 200]),
        ({"epochs": 4}, None, 400, None),
    ],
)
def test_the_steps_of_a_switch_are_found(recipe, switch, steps, expected):
    run = {"recipe": {"lr": 0.1, "schedule": "constant"} | recipe}
    if switch is not None:
        run["distill"] = {"switch": {"order": "one_hot_first"} | switch}
    assert switch_steps(run, steps) == expected
