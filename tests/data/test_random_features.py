"""Random ReLU features: the distribution of their weights, and the store of a data set."""

import json

import netCDF4
import numpy as np
import pytest

from disobey.data.random_features import ROWS_AT_ONCE, RandomRelu
from disobey.data.sources import digits
from disobey.provenance import spec_id
from disobey.stages.command import main
from disobey.study.datasets import Builtin

OPTIONS = {"kind": "random_relu", "number": 400, "seed": 3, "scale": 0.5}


def prepare(folder, **options):
    """Call the stage on a built-in data set; return its store, open."""
    given = Builtin.model_validate({"source": "builtin", **options})
    spec = given.prepare_spec()
    store = folder / "results" / "data" / f"{spec_id('d', spec)}.nc"
    call = ["--spec", json.dumps(spec), "--inputs", "--output", f"{store}.json"]
    assert main("prepare", call) == 0
    return netCDF4.Dataset(store)


def weights_of(relu, dimensions):
    """Recover weights: the features of a unit vector and of its negative are their two parts."""
    unit = np.eye(dimensions)
    return (relu(unit).astype(float) - relu(-unit)) / relu.options["scale"]


def test_weights_are_normal_with_variance_one_over_the_number_of_inputs():
    weights = weights_of(RandomRelu(OPTIONS), 64)
    assert weights.shape == (64, 400)
    assert weights.mean() == pytest.approx(0, abs=4 / 8 / 160)
    assert 64 * weights.var() == pytest.approx(1, abs=0.04)
    assert (64**2 * weights**4).mean() == pytest.approx(3, abs=0.25)  # as of a normal law
    assert np.abs(np.corrcoef(weights.T)[np.triu_indices(400, 1)]).max() < 0.7


def test_features_are_the_scaled_positive_part_of_a_projection():
    relu, x = RandomRelu(OPTIONS), np.random.default_rng(0).normal(size=(5, 12))
    weights = weights_of(relu, 12)
    expected = [[0.5 * max(0.0, sum(w * v)) for w in weights.T] for v in x]
    assert relu(x).dtype == np.float32
    np.testing.assert_allclose(relu(x), expected, atol=1e-6)


def test_a_seed_names_the_draw():
    x = np.eye(6)
    assert np.array_equal(RandomRelu(OPTIONS)(x), RandomRelu(OPTIONS)(x))
    assert not np.allclose(RandomRelu(OPTIONS | {"seed": 4})(x), RandomRelu(OPTIONS)(x))


def test_the_store_holds_features_of_the_subset_s_pixels_between_0_and_1(tmp_path):
    subset = {"train": 30, "test": 20}
    with prepare(tmp_path, name="digits", subset=subset, features=OPTIONS) as store:
        assert "channel_mean" not in store.ncattrs()  # models read features
        weights = weights_of(RandomRelu(OPTIONS), 64)
        (given,) = digits.load({}, None).train.blocks()
        by_id = dict(zip(given.example_id.tolist(), given.inputs, strict=True))
        for split, examples in subset.items():
            group = store[split]
            assert group["feature"].shape == (examples, 400)
            pixels = np.asarray(group["image"][:]).reshape(examples, 64) / 255
            expected = 0.5 * np.maximum(np.einsum("ep,pf->ef", pixels, weights), 0)
            np.testing.assert_allclose(group["feature"][:], expected, atol=1e-5)
            assert (np.asarray(group["feature"][:]) > 0).mean() == pytest.approx(0.5, abs=0.1)
        for id, image in zip(store["train"]["example_id"][:], store["train"]["image"], strict=True):
            np.testing.assert_array_equal(image, by_id[int(id)])


def test_features_of_vectors_are_made_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setattr("disobey.data.random_features.ROWS_AT_ONCE", 7)
    assert ROWS_AT_ONCE > 7
    subset = {"train": 100, "test": 20}
    with prepare(tmp_path / "a", name="similar-classes", subset=subset) as store:
        before = {split: np.asarray(store[split]["feature"][:]) for split in subset}
    with prepare(tmp_path / "b", name="similar-classes", subset=subset, features=OPTIONS) as store:
        assert "direction" not in store.variables
        for split, given in before.items():
            expected = RandomRelu(OPTIONS)(given)
            np.testing.assert_allclose(store[split]["feature"][:], expected, atol=1e-6)
