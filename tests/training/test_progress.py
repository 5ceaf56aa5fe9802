"""Progress along eigendirections, its basis, switching and snapshots."""

import netCDF4
import numpy as np
import pytest
import torch
from torch import nn

from disobey.errors import UserError
from disobey.models.options import Mlp, Roberta, SmallResnet
from disobey.models.registry import build_model
from disobey.provenance import spec_id
from disobey.training.eigenbasis import Moments, eigenbasis, input_rows, layer_moments
from disobey.training.inputs import device_inputs
from disobey.training.loop import Training
from disobey.training.objective import Targets, build_objective
from disobey.training.progress import (
    POINTS,
    Basis,
    LayerTracker,
    TrackedLayer,
    default_ranks,
)
from disobey.training.schedules import distillation_weights, logarithmic_steps
from disobey.training.teachers import StoredLogits
from disobey.training.weights import weight_of
from tests.training.conftest import raw_images

CPU = torch.device("cpu")


def basis_of(vectors, mean=None):
    count = len(vectors)
    return Basis(np.arange(1, count + 1), np.arange(count, 0, -1.0), vectors, mean, 10.0)


# --- basis -----------------------------------------------------------------------------------


def test_moments_by_blocks_equal_the_covariance_of_all_rows():
    rows = 1e3 + np.random.default_rng(0).normal(size=(101, 7)) * np.geomspace(1, 1e-3, 7)
    moments = Moments()
    for block in torch.tensor(rows).split(9):
        moments.add(block)
    mean, covariance = moments.covariance()
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(rows.T, bias=True), rtol=1e-9, atol=1e-13)


def test_eigendirections_are_those_of_numpy_and_a_missing_direction_is_left_out():
    rows = np.random.default_rng(1).normal(size=(50, 6)) @ np.diag([5, 4, 3, 2, 1, 0])
    rows -= rows.mean(0)
    covariance = np.cov(rows.T, bias=True)
    found = eigenbasis(torch.zeros(6, dtype=torch.float64), torch.tensor(covariance))
    expected = np.linalg.eigvalsh(covariance)[::-1]
    assert len(found.eigenvalue) == 5  # the sixth column never varies
    np.testing.assert_allclose(found.eigenvalue, expected[:5], rtol=1e-9)
    along = (rows @ found.eigenvector.numpy().T).var(0)
    np.testing.assert_allclose(along, expected[:5], rtol=1e-9)
    assert found.mean_direction is None


def test_mean_direction_of_uncentred_input_is_kept_apart():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(400, 5)) @ np.diag([3, 2, 1, 1, 1]) + [0, 0, 7, 0, 0]
    found = eigenbasis(torch.tensor(rows.mean(0)), torch.tensor(np.cov(rows.T, bias=True)))
    direction = rows.mean(0) / np.linalg.norm(rows.mean(0))
    np.testing.assert_allclose(found.mean_direction, direction)
    assert len(found.eigenvalue) == 4
    np.testing.assert_allclose(found.eigenvector @ torch.tensor(direction), 0, atol=1e-9)


@pytest.mark.parametrize("mean_apart", [True, False])
@pytest.mark.parametrize("count", [12, 60])
def test_directions_of_few_rows_are_those_of_their_covariance(count, mean_apart):
    """Fewer rows than features are decomposed without the covariance, in the same directions."""
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(count, 30)) * np.geomspace(3, 0.3, 30) + rng.normal(size=30)
    moments = Moments()
    for block in torch.tensor(rows).split(5):
        moments.add(block)
    found = moments.eigenbasis(mean_apart=mean_apart)
    centred = rows - rows.mean(0)
    if mean_apart:
        direction = rows.mean(0) / np.linalg.norm(rows.mean(0))
        np.testing.assert_allclose(found.mean_direction, direction)
        centred -= np.outer(centred @ direction, direction)
    else:
        assert found.mean_direction is None
    rank = min(count - 1, 30 - mean_apart)
    values = np.linalg.eigvalsh(np.cov(centred.T, bias=True))[::-1][:rank]
    np.testing.assert_allclose(found.eigenvalue, values, rtol=1e-9)
    vectors = found.eigenvector.numpy()
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(rank), atol=1e-9)
    np.testing.assert_allclose((centred @ vectors.T).var(0), values, rtol=1e-9)
    assert moments.variance() == pytest.approx(rows.var(0).sum())


def test_a_layer_that_takes_no_part_in_its_model_is_refused(toy):
    model = nn.Sequential(nn.Linear(5, 3))
    model[0].unused = nn.Linear(3, 3)
    found = layer_moments(model.eval(), ["0", "0.unused"], toy.inputs, 10)
    assert found["0"].rows == 10
    for asked in (found["0.unused"].eigenbasis, found["0.unused"].variance):
        with pytest.raises(UserError, match="was never called: it takes no part in the model"):
            asked()


@pytest.mark.parametrize("variance", [0.0, float("nan")])
def test_input_that_does_not_vary_is_refused(variance):
    with pytest.raises(UserError, match="variance"):
        eigenbasis(torch.zeros(2), torch.full((2, 2), variance))


def test_rows_of_a_convolution_are_what_its_weights_multiply():
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False).double()
    images = torch.randn(70, 2, 5, 5, dtype=torch.float64)
    rows = torch.cat(list(input_rows(layer, images, [])))
    found = rows @ layer.weight.flatten(1).T
    np.testing.assert_allclose(
        found.detach(), layer(images).detach().permute(0, 2, 3, 1).reshape(-1, 3), atol=1e-12
    )


def test_padding_of_texts_is_no_input(roberta, texts):
    inputs = device_inputs(texts.train, texts, CPU)
    layer = "roberta.roberta.encoder.layer.0.attention.self.query"
    moments = layer_moments(roberta.eval(), [layer], inputs, 40, pad=1)[layer]
    assert moments.rows == (texts.train.inputs != 1).sum()


def test_first_layers_see_images_without_their_mean(images):
    inputs = device_inputs(images.train, images, CPU, "pixel")
    gathered = inputs.batch(torch.arange(26)).numpy()
    np.testing.assert_allclose(gathered.mean(0), 0, atol=1e-6)
    model = build_model({"family": "mlp", "hidden": [4]}, images)
    moments = layer_moments(model, ["hidden_1"], inputs, 26)["hidden_1"]
    pixels = images.train.inputs / 255 / images.attributes["channel_std"]
    flat = pixels.transpose(0, 3, 1, 2).reshape(26, -1)
    np.testing.assert_allclose(moments.covariance()[1], np.cov(flat.T, bias=True), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "data"),
    [
        (Mlp(family="mlp", hidden=[5, 4]), "images"),
        (Mlp(family="mlp", hidden=[]), "images"),
        (SmallResnet(family="small_resnet", stem=4, widths=[6, 5]), "images"),
        (Roberta(family="roberta", hidden=16, layers=2, heads=2), "texts"),
    ],
)
def test_a_study_may_name_just_the_layers_that_a_model_has(options, data, request):
    model = build_model(options.model_dump(), request.getfixturevalue(data))
    matrices = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    }
    assert set(options.trackable()) == set(matrices)
    modules = list(model.modules())
    for name, layer in options.trackable().items():
        follows = modules[modules.index(matrices[name]) + 1 :][:1]
        assert layer.unit_norm == (bool(follows) and isinstance(follows[0], nn.BatchNorm2d))


# --- progress --------------------------------------------------------------------------------


def test_progress_is_the_length_of_the_way_along_each_direction():
    rng = np.random.default_rng(3)
    vectors = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    layer = nn.Linear(4, 3, bias=False)
    tracked = TrackedLayer(layer.weight, basis_of(vectors[:2], vectors[2]), unit_norm=False)
    start = layer.weight.detach().numpy().astype(float).copy()
    with torch.no_grad():
        layer.weight += torch.tensor(rng.normal(size=(3, 4)), dtype=torch.float32)
    tracked.measure()
    way = layer.weight.detach().numpy() - start
    expected = [np.linalg.norm(way @ v) for v in vectors[:3]]
    np.testing.assert_allclose(tracked.record.progress[0], expected[:2], rtol=1e-6)
    np.testing.assert_allclose(tracked.record.mean_progress[0], expected[2], rtol=1e-6)
    for found, weight in (
        (tracked.norm_start, start),
        (tracked.record.norm[0], layer.weight.detach().numpy().astype(float)),
    ):
        expected = [np.linalg.norm(weight @ v) for v in vectors[:2]]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_length_of_a_filter_before_batch_normalisation_is_no_progress():
    layer = nn.Conv2d(1, 3, 2, bias=False)
    tracked = TrackedLayer(layer.weight, basis_of(np.eye(4)), unit_norm=True)
    with torch.no_grad():
        layer.weight *= 3
    tracked.measure()
    np.testing.assert_allclose(tracked.record.progress[0], 0, atol=1e-7)


def test_steps_are_logarithmically_spaced_from_the_first_to_the_last():
    steps = logarithmic_steps(5000, POINTS)
    assert steps[0] == 1 and steps[-1] == 5000 and (np.diff(steps) > 0).all()
    late = steps[steps > 100]
    ratio = late[1:] / late[:-1]
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=0.02)
    assert logarithmic_steps(1, POINTS).tolist() == [1]


def test_default_directions_are_one_and_one_more_than_each_power_of_two():
    eigenvalue = np.ones(100)
    assert default_ranks(eigenvalue) == [1, 2, 3, 5, 9, 17, 33, 65]
    steep = np.array([0.6, 0.395, 0.004, 0.001])
    assert default_ranks(steep) == [1, 2]
    assert default_ranks(np.array([1.0])) == [1]


def test_a_layer_without_a_matrix_is_refused_by_naming_those_with_one(images):
    model = build_model({"family": "mlp", "hidden": [4]}, images)
    with pytest.raises(UserError, match="this model has: hidden_1, classifier"):
        weight_of(model, "relu_1")
    with pytest.raises(UserError, match="'hidden_7'"):
        weight_of(model, "hidden_7")


def test_a_restored_tracker_goes_on_with_what_was_recorded():
    def tracker():
        torch.manual_seed(0)
        layer = nn.Linear(3, 2)
        return layer, LayerTracker(
            {"a": TrackedLayer(layer.weight, basis_of(np.eye(3)), unit_norm=False)}, 5, "basis"
        )

    layer, whole = tracker()
    for step in range(1, 6):
        with torch.no_grad():
            layer.weight += 1
        whole.after_step(step)
        if step == 2:
            state, weight = whole.state(), layer.weight.detach().clone()
            state = {
                name: {k: list(v) for k, v in record.items()} for name, record in state.items()
            }
    other, resumed = tracker()
    resumed.restore(state)
    with torch.no_grad():
        other.weight.copy_(weight)
    for step in range(3, 6):
        with torch.no_grad():
            other.weight += 1
        resumed.after_step(step)
    again, record = resumed.layers["a"].record, whole.layers["a"].record
    assert (again.progress, again.norm) == (record.progress, record.norm)
    assert len(record.norm) == len(whole.steps)


# --- the stages --------------------------------------------------------------------------------


@pytest.fixture
def tracked(workplace, monkeypatch):
    """A tracked training with snapshots; returns the folder's caller, the data and the run."""
    data = workplace.prepare(monkeypatch, raw_images())
    model = {"family": "mlp", "hidden": [6]}
    spec = {"data": data, "centre": "pixel", "model": model, "layers": ["hidden_1"]}
    basis = workplace.made("basis", "basis", spec_id("basis", spec), spec, ("data", data))
    recipe = {
        "optimizer": "sgd", "lr": 0.1, "epochs": 4, "batch": 16, "schedule": "constant",
        "snapshots": [1, 3],
    }  # fmt: skip
    progress = {"basis": basis, "layers": {"hidden_1": {}}, "directions": [1, 2, 4]}
    spec = workplace.run_spec(data, model=model, recipe=recipe, centre="pixel", progress=progress)
    inputs = (("data", data), ("basis", basis))
    run = workplace.made("train", "runs", spec_id("run", spec), spec, *inputs)
    return workplace, data, run


def test_history_holds_progress_that_weights_and_basis_explain(tracked):
    from safetensors.numpy import load_file

    workplace, _, run = tracked
    folder = workplace.path("runs", run)
    with netCDF4.Dataset(folder / "history.nc") as history:
        history.set_auto_mask(False)
        group = history["progress"]["hidden_1"]
        basis_id = history["progress"].basis
        steps, progress = group["step"][:], group["progress"][:]
        norm, norm_start = group["norm"][:], group["norm_start"][:]
        assert group["rank"][:].tolist() == [1, 2, 4]
    assert steps[0] == 1 and steps[-1] == 4 * 4
    with netCDF4.Dataset(workplace.path("basis", basis_id)) as store:
        store.set_auto_mask(False)
        vectors = store["hidden_1"]["eigenvector"][:][[0, 1, 3]]
    # The way between two kept states bounds what lies between the recorded progress of both.
    end, kept = (load_file(folder / f"{n}.safetensors") for n in ("model", "snapshot-3"))
    way = end["hidden_1.weight"].astype(float) - kept["hidden_1.weight"]
    step = np.linalg.norm(way @ vectors.T, axis=0)
    before = progress[steps.tolist().index(12)]
    assert (np.abs(progress[-1] - before) <= step + 1e-6).all()
    assert (progress[-1] > 0).all()
    along = np.linalg.norm(end["hidden_1.weight"].astype(float) @ vectors.T, axis=0)
    np.testing.assert_allclose(norm[-1], along, rtol=1e-12)
    # The way from the start is as long as the two ends are apart, or longer.
    assert (np.abs(norm - norm_start) <= progress + 1e-9).all() and (norm_start > 0).all()


def test_directions_of_a_deeper_layer_are_those_of_the_trained_teacher(workplace, monkeypatch):
    from safetensors.numpy import load_file

    data = workplace.prepare(monkeypatch, raw_images())
    model = {"family": "mlp", "hidden": [12, 5]}
    run = workplace.train(data, model=model, centre="pixel")
    spec = {"data": data, "centre": "pixel", "model": model, "layers": ["hidden_2"], "run": run}
    inputs = (("data", data), ("runs", run))
    basis = workplace.made("basis", "basis", spec_id("basis", spec), spec, *inputs)
    with netCDF4.Dataset(workplace.path("data", data)) as store:
        pixels = store["train"]["image"][...].data.reshape(50, -1) / 255
    weights = load_file(workplace.path("runs", run) / "model.safetensors")
    shown = (pixels - pixels.mean(0)) / pixels.std()
    rows = np.maximum(shown @ weights["hidden_1.weight"].T + weights["hidden_1.bias"], 0)
    mean = rows.mean(0)
    direction = mean / np.linalg.norm(mean)
    covariance = np.cov(rows.T, bias=True)
    apart = np.eye(12) - np.outer(direction, direction)
    expected = np.linalg.eigvalsh(apart @ covariance @ apart)[:0:-1]  # not that of the mean
    with netCDF4.Dataset(workplace.path("basis", basis)) as store:
        group = store["hidden_2"]
        found = {name: values[...].data for name, values in group.variables.items()}
    assert found["rank"].tolist() == list(range(1, len(found["rank"]) + 1))
    np.testing.assert_allclose(found["mean"], mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["mean_direction"], direction, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["total_variance"], np.trace(covariance), rtol=1e-4)
    np.testing.assert_allclose(found["eigenvalue"], expected, rtol=1e-3)
    np.testing.assert_allclose(found["eigenvector"] @ direction, 0, atol=1e-5)


def test_a_snapshot_is_dumped_like_a_run(tracked):
    workplace, data, run = tracked
    spec = {"run": run, "data": data, "epoch": 3}
    early = workplace.made("dump", "logits", f"{run}@3", spec, ("runs", run), ("data", data))
    workplace.dump(run, data)
    stores = (netCDF4.Dataset(workplace.path("logits", id)) for id in (early, run))
    with next(stores) as a, next(stores) as b:
        assert a.run == f"{run}@3"
        assert not np.allclose(a["test"]["logits"][:], b["test"]["logits"][:])


def test_a_direction_beyond_the_rank_is_refused_before_training(workplace, monkeypatch, capsys):
    data = workplace.prepare(monkeypatch, raw_images())
    model = {"family": "mlp", "hidden": [6]}
    spec = {"data": data, "centre": "pixel", "model": model, "layers": ["hidden_1"]}
    basis = workplace.made("basis", "basis", spec_id("basis", spec), spec, ("data", data))
    progress = {"basis": basis, "layers": {"hidden_1": {}}, "directions": [1, 1000]}
    spec = workplace.run_spec(data, model=model, centre="pixel", progress=progress)
    inputs = (("data", data), ("basis", basis))
    assert workplace.call("train", "runs", spec_id("run", spec), spec, *inputs) == 2
    assert "direction 1000 of layer hidden_1: its input has rank 49" in capsys.readouterr().err


# --- switching ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "expected"),
    [("distillation_first", [0.8, 0.8, 0, 0]), ("one_hot_first", [0, 0, 0.8, 0.8])],
)
def test_a_hard_switch_changes_the_weight_at_once(order, expected):
    switch = {"order": order, "at": 0.5}
    weights = distillation_weights({"weight": 0.8, "switch": switch}, np.ones(1000))
    assert weights[[0, 499, 500, 990]].tolist() == expected


def test_a_ramp_is_linear_and_centred_on_the_switch_point():
    switch = {"order": "one_hot_first", "at": 0.5, "ramp": 0.2}
    weights = distillation_weights({"weight": 1.0, "switch": switch}, np.ones(100))
    found = weights[[39, 40, 45, 50, 60, 70]]
    np.testing.assert_allclose(found, [0, 0, 0.25, 0.5, 1, 1], atol=1e-12)


@pytest.mark.parametrize("order", ["distillation_first", "one_hot_first"])
def test_a_switched_students_loss_is_the_one_on_its_side_of_the_switch(order):
    generator = torch.Generator().manual_seed(5)
    logits, teacher = (torch.randn(4, 3, generator=generator) for _ in range(2))
    targets = Targets(torch.tensor([0, 1, 2, 0]), StoredLogits(teacher))
    distill = {"teacher": "t", "temperature": 2.0, "weight": 0.7}
    plain = {"distill": distill, "recipe": {}}
    recipe = {"lr": 0.1, "schedule": "constant", "steps": 2, "batch": 4}
    switched = {"distill": distill | {"switch": {"order": order, "at": 0.5}}, "recipe": recipe}
    index = torch.tensor([3, 1, 2])
    sides = [build_objective(plain, targets), build_objective({"recipe": {}}, targets)]
    before, after = sides if order == "distillation_first" else reversed(sides)
    found = build_objective(switched, targets)
    for step, side in ((0, before), (1, after)):
        expected = side(logits[index], index, step)
        torch.testing.assert_close(found(logits[index], index, step), expected)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "linear"])
def test_a_switch_in_steps_changes_the_loss_at_its_share_of_the_steps(toy, schedule):
    """Ten examples in batches of 2 are 5 steps an epoch, 20 in all; under any schedule."""
    recipe = {"optimizer": "sgd", "lr": 0.1, "epochs": 4, "batch": 2, "schedule": schedule}
    teacher = torch.randn(10, 3, generator=torch.Generator().manual_seed(6))
    targets = Targets(toy.label, StoredLogits(teacher))
    distill = {"teacher": "t", "temperature": 2.0, "weight": 1.0}
    of_label = build_objective({"recipe": {}}, targets)
    of_teacher = build_objective({"distill": distill, "recipe": {}}, targets)

    def weights(**switch):
        """Return w of every step, out of three losses of each batch."""
        spec = {"recipe": recipe, "distill": distill | {"switch": switch}}
        objective, found = build_objective(spec, targets), []

        def watched(logits, index, step):
            loss = objective(logits, index, step)
            label, soft = (one(logits, index, step) for one in (of_label, of_teacher))
            found.append(((loss - label) / (soft - label)).item())
            return loss

        torch.manual_seed(0)
        Training(nn.Linear(5, 3), toy.inputs, targets, watched, recipe, 0).run()
        return found

    hard = weights(order="one_hot_first", at=0.25, unit="steps")
    np.testing.assert_allclose(hard, [0] * 5 + [1] * 15, atol=1e-4)
    ramped = weights(order="distillation_first", at=0.5, ramp=0.2, unit="steps")
    np.testing.assert_allclose(ramped, [1] * 9 + [0.75, 0.5, 0.25] + [0] * 8, atol=1e-4)
