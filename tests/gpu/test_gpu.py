"""A GPU gives what the CPU gives, to rounding, and is one training's own."""

import functools
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from disobey.data.prepared import read_prepared
from disobey.models.registry import build_model
from disobey.seeds import torch_seed
from disobey.stores.layout import manifest_of
from disobey.stores.manifest import read_manifest
from disobey.stores.reader import read_arrays
from disobey.training.inputs import AugmentedImages
from disobey.training.predictions import trained_model
from disobey.training.weights import for_device

from ..training.conftest import raw_images
from ..training.distributed_runs import PATIENCE, Run, wait_until
from ..training.test_augmented import AUGMENT, Distilled, both_blocks
from ..training.test_distributed import assert_close, student_of_views, text_model
from .conftest import skip_without

pytestmark = pytest.mark.slow

RESNET = {"family": "cifar_resnet", "depth": 8, "widths": [4, 8, 8]}
# Sums in another order, over some steps of training; TF32 or a wrong statistic is further off.
CLOSE = {"rtol": 1e-3, "atol": 1e-4}


def weights_of(workplace, run):
    return load_file(workplace.path("runs", run) / "model.safetensors")


def both_devices(workplace, train):
    """Return the weights after ``train()`` on the device under test and on the CPU."""
    under_test, found = workplace.device, {}
    for where in (under_test, "cpu"):
        workplace.device = where
        run = train()
        found[where] = weights_of(workplace, run)
        (workplace.root / f"results/runs/{run}.json").unlink()  # else it need not be made again
    workplace.device = under_test
    return found[under_test], found["cpu"]


# --- equal to the CPU -------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_training_is_that_of_the_cpu(optimizer, workplace, monkeypatch):
    data = workplace.prepare(monkeypatch, raw_images())
    lr = {"sgd": 0.02, "adamw": 1e-3}[optimizer]
    recipe = {"optimizer": optimizer, "lr": lr, "epochs": 2, "batch": 16, "schedule": "cosine"}
    found, expected = both_devices(
        workplace, lambda: workplace.train(data, model=RESNET, recipe=recipe)
    )
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, **CLOSE, err_msg=name)
    torch.manual_seed(torch_seed(0, "initialisation"))
    start = build_model(RESNET, read_prepared(workplace.path("data", data), None)).state_dict()
    moved = expected["classifier.weight"] - start["classifier.weight"].numpy()
    assert np.abs(moved).max() > 30 * CLOSE["atol"]  # far enough for a difference to be seen


def test_a_training_of_encoded_images_is_that_of_the_cpu(workplace, photos):
    """They are decoded on the host, batch by batch."""
    data, _ = photos
    model = {"family": "small_resnet", "stem": 8, "widths": [8]}
    recipe = {"optimizer": "sgd", "lr": 0.02, "epochs": 2, "batch": 8, "schedule": "cosine"}
    found, expected = both_devices(
        workplace, lambda: workplace.train(data, model=model, recipe=recipe)
    )
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, **CLOSE, err_msg=name)


def test_logits_are_those_of_the_cpu(workplace, monkeypatch):
    under_test, workplace.device = workplace.device, "cpu"
    data = workplace.prepare(monkeypatch, raw_images())
    run = workplace.train(data, model=RESNET)
    logits = []
    for workplace.device in ("cpu", under_test):
        workplace.dump(run, data)
        logits.append(read_arrays(workplace.path("logits", run), "test", "logits")["logits"])
    np.testing.assert_allclose(logits[1], logits[0], rtol=1e-4, atol=1e-4)
    assert np.ptp(logits[0]) > 0.1


def test_bfloat16_trains_close_to_float32_and_keeps_float32_weights(workplace, monkeypatch):
    data = workplace.prepare(monkeypatch, raw_images())
    recipe = workplace.run_spec(data)["recipe"] | {"epochs": 3}
    losses = {}
    for precision in ("fp32", "bf16"):
        run = workplace.train(data, model=RESNET, recipe=recipe | {"precision": precision})
        losses[precision] = read_arrays(workplace.path("runs", run) / "history.nc")["train_loss"]
        assert {values.dtype for values in weights_of(workplace, run).values()} == {
            np.dtype("float32"), np.dtype("int64"),
        }  # fmt: skip
    assert not np.array_equal(losses["bf16"], losses["fp32"])
    np.testing.assert_allclose(losses["bf16"], losses["fp32"], rtol=0.05)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_memory_format_changes_no_number(precision, device, images_of_two_channels):
    torch.manual_seed(0)
    plain = build_model(RESNET, images_of_two_channels)
    inputs = torch.randn(6, 2, 16, 16)
    expected = plain(inputs)
    expected.square().sum().backward()
    gradient = plain.get_submodule("stem.convolution").weight.grad

    torch.manual_seed(0)
    plain_model = build_model(RESNET, images_of_two_channels)
    model = for_device(plain_model, torch.device(device), precision)
    weight = model.get_submodule("stem.convolution").weight
    last = weight.is_contiguous(memory_format=torch.channels_last)
    assert last == (device == "cpu" or precision == "bf16") and weight.device.type == device
    found = model(inputs.to(device, memory_format=torch.channels_last))  # as images are stored
    found.square().sum().backward()
    torch.testing.assert_close(found.cpu(), expected, **CLOSE)
    torch.testing.assert_close(weight.grad.cpu(), gradient, **CLOSE)


@pytest.fixture
def images_of_two_channels():
    split = SimpleNamespace(inputs=np.zeros((1, 16, 16, 2), np.uint8))
    return SimpleNamespace(train=split, class_names=tuple("abc"))


# --- what a student sees of its teacher -------------------------------------------------------


def test_stored_views_are_the_teacher_live_on_the_device(workplace, monkeypatch):
    distilled = Distilled(workplace, monkeypatch)
    both_blocks(distilled)
    device = torch.device(workplace.device)
    data = read_prepared(workplace.path("data", distilled.data), None)
    manifest = read_manifest(manifest_of(str(workplace.path("runs", distilled.teacher))))
    model = trained_model(manifest, data, device, ())
    inputs = AugmentedImages(data.train, data, device, None, AUGMENT, draw=0)
    stored = [read_arrays(distilled.block(block))["logits"] for block in (0, 1)]
    for slab, logits in enumerate(np.concatenate(stored)):
        inputs.show(slab)
        with torch.no_grad():
            live = model(inputs.batch(torch.arange(50))).cpu().numpy()
        np.testing.assert_allclose(logits, live, rtol=1e-4, atol=1e-4)
    assert slab == 17


def test_a_student_of_stored_views_is_that_of_the_live_teacher(workplace, monkeypatch):
    distilled = Distilled(workplace, monkeypatch)
    _, stored = distilled.student(*both_blocks(distilled))
    _, live = distilled.student(("runs", distilled.teacher), live=True)
    first, second = (weights_of(workplace, workplace.made(*call)) for call in (stored, live))
    for name, values in first.items():
        np.testing.assert_allclose(values, second[name], rtol=2e-3, atol=2e-4, err_msg=name)


# --- how it is run ----------------------------------------------------------------------------


def test_a_replayed_training_is_the_plain_one_bit_for_bit(workplace, monkeypatch):
    data = workplace.prepare(monkeypatch, raw_images())
    recipe = workplace.run_spec(data)["recipe"] | {"epochs": 4}
    plain, replayed = (
        weights_of(workplace, workplace.train(data, model=RESNET, recipe=recipe | changes))
        for changes in ({}, {"cuda_graph": True})
    )
    for name, values in plain.items():
        np.testing.assert_array_equal(replayed[name], values, err_msg=name)


def test_a_compiled_training_is_that_of_the_plain_model(workplace, monkeypatch):
    if workplace.device == "cpu":  # there need be no compiler of C++
        torch._dynamo.reset()
        monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    data = workplace.prepare(monkeypatch, raw_images())
    recipe = workplace.run_spec(data)["recipe"]
    plain, compiled = (
        weights_of(workplace, workplace.train(data, recipe=recipe | changes))
        for changes in ({}, {"compile": True})
    )
    assert list(compiled) == list(plain)
    for name, values in plain.items():
        np.testing.assert_allclose(compiled[name], values, **CLOSE, err_msg=name)


def multilayer(workplace, monkeypatch, epochs, seed=0):
    """A run without convolutions, whose sums a GPU takes in the same order each time."""
    data = workplace.prepare(monkeypatch, raw_images())
    recipe = {"optimizer": "sgd", "lr": 0.01, "momentum": 0.9, "epochs": epochs, "batch": 16,
              "schedule": "cosine"}  # fmt: skip
    model, seeds = {"family": "mlp", "hidden": [32]}, {"initialisation": seed, "order": seed}
    spec = workplace.run_spec(data, model=model, recipe=recipe, seeds=seeds)
    return Run(workplace, spec, ("data", data))


def test_what_was_stopped_ends_like_what_was_not(workplace, monkeypatch):
    run = multilayer(workplace, monkeypatch, epochs=2000)
    own = {"TMPDIR": str(workplace.root)}  # this very process may hold the GPU
    weights, history = run.made(**own)
    # A state after each step: what is left is long, on any machine, when the first is there.
    process = run.start(DISOBEY_SAVE_EVERY="0", **own)
    wait_until(lambda: run.saved() > 0, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 2
    resumed, again = run.made(**own)
    assert "resumed at step" in run.said()
    for name, values in weights.items():
        np.testing.assert_allclose(resumed[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(again["train_loss"], history["train_loss"], rtol=1e-5)


@pytest.mark.gpu
def test_a_training_waits_for_a_gpu_that_another_has(on_gpus, monkeypatch):
    skip_without(1)
    own = {"TMPDIR": str(on_gpus.root), "CUDA_VISIBLE_DEVICES": "0"}
    first = multilayer(on_gpus, monkeypatch, epochs=1_000_000)
    second = multilayer(on_gpus, monkeypatch, epochs=2, seed=1)
    second.log = on_gpus.root / "second"
    holder = first.start(**own)
    try:
        wait_until(lambda: "step/s" in first.said(), holder)
        waiting = second.start(**own)
        wait_until(lambda: "all 1 GPUs are taken" in second.said(), waiting)
        assert f"process {holder.pid} on " in second.said()
    finally:
        holder.kill()
    assert waiting.wait(PATIENCE) == 0
    assert "GPU 1 of 1" in second.said()


@pytest.mark.gpu
def test_two_gpus_are_not_had_where_one_is_seen(on_gpus, monkeypatch):
    skip_without(1)
    run = multilayer(on_gpus, monkeypatch, epochs=2)
    own = {"TMPDIR": str(on_gpus.root), "CUDA_VISIBLE_DEVICES": "0"}
    assert run.start(processes=2, **own).wait(PATIENCE) != 0
    assert run.said().count("gpus: 2, but a job sees 1 here") == 1


@pytest.mark.gpu
def test_two_gpus_train_images_as_one_does(on_gpus, monkeypatch):
    skip_without(2)
    run = student_of_views(on_gpus, monkeypatch, Run, RESNET)
    own = {"TMPDIR": str(on_gpus.root)}
    alone = run.made(**own)
    assert_close(run.made(processes=2, **own), alone, **CLOSE)
    assert "GPU 2 of " in run.said()


@pytest.mark.gpu
def test_two_gpus_train_texts_as_one_does(on_gpus, monkeypatch):
    skip_without(2)
    run = text_model(on_gpus, monkeypatch, 0.0, Run, optimizer="sgd", lr=0.1)
    own = {"TMPDIR": str(on_gpus.root)}
    alone = run.made(**own)
    assert_close(run.made(processes=2, **own), alone, **CLOSE)
