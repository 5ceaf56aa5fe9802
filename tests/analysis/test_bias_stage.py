"""The stage bias turns simulated histories into a store, and refuses invalid ones."""

import netCDF4
import numpy as np
import pytest
from made_runs import (
    EIGENVALUES,
    LAYER,
    RANKS,
    bias_spec,
    networks_progress,
    run_bias,
    steps,
    write_run,
)

from disobey.analysis.store import read_beside as read_bias
from disobey.stores.manifest import read_manifest

MODELS = ("reference", "student", "batch_order", "half_lr")
SEEDS = (3, 8)


def write_all(folder, models=MODELS, seeds=SEEDS, changed=None):
    """Write one run per model and seed; ``changed`` maps a run to its differing arguments."""
    rng = np.random.default_rng(0)
    step = steps()
    manifests, runs = [], {name: [f"{name}-{seed}" for seed in seeds] for name in models}
    for model, ids in runs.items():
        for id in ids:
            rate = 0.5 if model == "half_lr" else 1
            made = {"progress": networks_progress(rng, step, 0.8 * (model == "student"), rate)}
            made |= {"step": step, "initialisation": f"w{id.split('-')[1]}"}
            manifests.append(write_run(folder, id, **made | (changed or {}).get(id, {})))
    return runs, manifests


def test_the_store_holds_what_the_contract_says(tmp_path):
    runs, manifests = write_all(tmp_path)
    status, output = run_bias(tmp_path, "noisy", bias_spec(runs, SEEDS), manifests)
    assert status == 0
    found = read_bias(read_manifest(output))
    assert (found.setting, found.about) == ("noisy", {"dataset": "made"})
    layer = found.layers[LAYER]
    assert layer.attrs["total_variance"] == 9 and layer.attrs["range"].tolist() == [0.2, 0.7]
    expected = {"model": 4, "compared": 3, "placebo": 2, "seed": 2, "direction": 5, "side": 2}
    assert expected.items() <= layer.sizes.items()
    assert layer.seed.values.tolist() == list(SEEDS)
    assert layer["rank"].values.tolist() == list(RANKS)
    assert layer.eigenvalue.values.tolist() == list(EIGENVALUES)
    with netCDF4.Dataset(tmp_path / "results/runs/half_lr-8/history.nc") as file:
        raw = file[f"progress/{LAYER}"]["progress"][:]
    np.testing.assert_array_equal(layer.progress.sel(model="half_lr", seed=8), raw)
    estimate, low, high = found.number(LAYER, "overall", compared="student")
    assert low < estimate < high < 0
    assert found.placebos(LAYER) == ("batch_order", "half_lr")
    here = layer.sel(placebo="half_lr")
    numbers = [float(here[f"overall_difference_{e}"]) for e in ("estimate", "low", "high")]
    assert list(found.number(LAYER, "overall_difference", placebo="half_lr")) == numbers
    # Half the learning rate takes twice the steps to the same progress, and has the same ratio.
    taken = layer.steps.sel(compared="half_lr").mean("seed").values
    np.testing.assert_allclose(taken[0] / taken[1], 2, rtol=0.2)
    assert abs(found.number(LAYER, "overall", compared="half_lr")[0]) < 0.1


def test_one_seed_and_no_placebo_are_analysed_without_an_interval(tmp_path):
    runs, manifests = write_all(tmp_path, MODELS[:2], [3])
    status, output = run_bias(tmp_path, "bare", bias_spec(runs, [3]), manifests)
    assert status == 0
    found = read_bias(read_manifest(output))
    estimate, *ends = found.number(LAYER, "overall", compared="student")
    assert np.isnan(ends).all() and np.isfinite(estimate)
    assert found.placebos(LAYER) == ()


def test_layers_keep_the_order_of_the_study(tmp_path):
    one = networks_progress(np.random.default_rng(0), steps())
    changed = {
        id: {"progress": {"a.second": one, LAYER: one}} for id in ("reference-3", "student-3")
    }
    runs, manifests = write_all(tmp_path, MODELS[:2], [3], changed)
    spec = bias_spec(runs, [3], layers=[LAYER, "a.second"])
    status, output = run_bias(tmp_path, "two", spec, manifests)
    assert status == 0
    assert list(read_bias(read_manifest(output)).layers) == [LAYER, "a.second"]


def test_seeds_may_have_bases_of_their_own_and_share_the_ranks_of_all(tmp_path):
    """This happens if a layer reads the activations of the seed's own teacher."""
    own = {"basis": "of-8", "rank": (1, 3, 5, 7, 11), "eigenvalue": (8.0, 3.0, 2.0, 0.6, 0.5)}
    changed = {f"{model}-8": own for model in MODELS}
    runs, manifests = write_all(tmp_path, changed=changed)
    status, output = run_bias(tmp_path, "deeper", bias_spec(runs, SEEDS), manifests)
    assert status == 0
    layer = read_bias(read_manifest(output)).layers[LAYER]
    assert layer["rank"].values.tolist() == [1, 3, 5]
    assert layer.eigenvalue.values.tolist() == [6.0, 2.0, 1.2]
    for seed, kept in ((3, [0, 2, 3]), (8, [0, 1, 2])):
        with netCDF4.Dataset(tmp_path / f"results/runs/student-{seed}/history.nc") as file:
            raw = file[f"progress/{LAYER}"]["progress"][:, kept]
        np.testing.assert_array_equal(layer.progress.sel(model="student", seed=seed), raw)


def test_seeds_without_a_second_rank_in_common_are_refused(tmp_path, capsys):
    changed = {f"{model}-8": {"basis": "of-8", "rank": (1, 4, 6, 7, 8)} for model in MODELS}
    runs, manifests = write_all(tmp_path, changed=changed)
    assert run_bias(tmp_path, "deeper", bias_spec(runs, SEEDS), manifests)[0] == 2
    assert capsys.readouterr().err == (
        "disobey bias: reference-3, layer hidden_1: has no rank but 1 in common with the "
        "references of the other seeds; write the ranks to track as directions of the bias\n"
    )


def moved(**where):
    """Return progress with one number replaced: ``at`` (point, direction), ``to``."""
    progress = networks_progress(np.random.default_rng(0), steps())
    progress[where["at"]] = where["to"]
    return {"progress": progress}


ONE_JUMP = np.vstack([np.full((len(steps()) - 1, 5), 1e-3), np.ones((1, 5))])
REFUSALS = {
    "data": (
        {"student-8": {"data": {"data": "digits-1"}}},
        "student-8 and reference-3: were trained on different data (digits-1 and none), so they "
        "cannot be compared; name runs of one data set",
    ),
    "labels": (
        {"half_lr-3": {"data": {"labels": "digits-noise0.2-1"}}},
        "half_lr-3 and reference-3: were trained on different labels (digits-noise0.2-1 and none), "
        "so they cannot be compared; name runs of one data set",
    ),
    "layer": (
        {"student-8": {"layer": "hidden_2"}},
        "student-8: layer 'hidden_1' was not tracked in training; write a tracked layer instead, "
        "did you mean 'hidden_2'?",
    ),
    "nothing tracked": (
        {"reference-3": {"layer": None}},
        "reference-3: layer 'hidden_1' was not tracked in training; write a tracked layer instead, "
        "there are none",
    ),
    "initialisation": (
        {"batch_order-8": {"initialisation": "w3"}},
        "batch_order-8: layer hidden_1 starts from another initialisation than the reference of "
        "seed 8, reference-8; both need the same seed of the initialisation",
    ),
    "basis": (
        {"student-3": {"basis": "c"}},
        "student-3 and reference-3: layer hidden_1 was tracked in different bases (c and b); train "
        "both with the same basis",
    ),
    "ranks": (
        {"student-3": {"rank": (1, 2, 3, 5, 8)}},
        "student-3 and reference-3: layer hidden_1 was tracked along different ranks "
        "(1, 2, 3, 5, 8 and 1, 2, 3, 5, 9); write the same ranks for both",
    ),
    "normalised": (
        {"student-3": {"unit_norm": 1}},
        "student-3 and reference-3: layer hidden_1 has normalised filters in one of them only; "
        "compare runs of one architecture",
    ),
    "steps": (
        {"half_lr-3": {"step": steps() * 2}},
        "half_lr-3 and reference-3: layer hidden_1 was recorded at different steps "
        f"({len(steps())} points, 2 to 4000 and {len(steps())} points, 1 to 2000); train both for "
        "equally many epochs or steps with the same batch size",
    ),
    "points": (
        {"student-3": {"progress": ONE_JUMP}},
        "student-3, layer hidden_1: 0 recorded points are inside the matched range, 20% to 70% of "
        "the leading progress in common with reference-3; 2 are needed: train for "
        "more epochs, or at a lower learning rate",
    ),
    "leading": (
        {"student-3": moved(at=(slice(None), 0), to=0)},
        "student-3, layer hidden_1: never moves along its leading direction (rank 1), by which "
        "runs are matched; write a layer that is trained",
    ),
    "still": (
        {"student-3": moved(at=(slice(0, 9), 3), to=0)},
        "student-3, layer hidden_1: has not moved along rank 5 at step 1, so there is no ratio; "
        "leave this rank out",
    ),
    "finite": (
        {"half_lr-3": moved(at=(7, 2), to=np.inf)},
        f"half_lr-3, layer hidden_1: progress along rank 3 is inf at step {steps()[7]}: the "
        "training diverged; lower its learning rate",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_runs_that_cannot_be_compared_are_refused(name, tmp_path, capsys):
    changed, message = REFUSALS[name]
    runs, manifests = write_all(tmp_path, changed=changed)
    assert run_bias(tmp_path, "noisy", bias_spec(runs, SEEDS), manifests)[0] == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"disobey bias: {message}"
    assert not list((tmp_path / "results/small").rglob("*.nc*"))


def test_the_leading_direction_alone_is_refused(tmp_path, capsys):
    one = networks_progress(np.random.default_rng(0), steps())[:, :1]
    changed = {"reference-3": {"progress": one}}
    runs, manifests = write_all(tmp_path, changed=changed)
    assert run_bias(tmp_path, "noisy", bias_spec(runs, SEEDS), manifests)[0] == 2
    assert capsys.readouterr().err == (
        "disobey bias: reference-3, layer hidden_1: only the leading direction was tracked; track "
        "a second rank to compare\n"
    )


def test_warm_up_from_a_learning_rate_of_zero_is_no_movement_yet(tmp_path):
    still = moved(at=(slice(0, 2), slice(None)), to=0)
    runs, manifests = write_all(tmp_path, changed={"student-3": still})
    status, output = run_bias(tmp_path, "noisy", bias_spec(runs, SEEDS), manifests)
    assert status == 0
    layer = read_bias(read_manifest(output)).layers[LAYER]
    assert np.isfinite(layer.log_ratio_curve).all()
