"""torch.compile by option: one compilation, the same training, weights under their own names."""

import functools

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from disobey.training import compiled
from disobey.training.inputs import device_inputs
from disobey.training.loop import Training
from disobey.training.objective import Targets, build_objective

from .conftest import raw_images

CPU = torch.device("cpu")
RECIPE = {"optimizer": "sgd", "lr": 0.05, "epochs": 3, "batch": 8, "schedule": "cosine"}


@pytest.fixture
def counter(monkeypatch):
    """Count compilations; what is compiled runs as it is, so that no compiler is needed."""
    torch._dynamo.reset()
    counted = CompileCounterWithBackend("eager")
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=counted))
    yield counted
    torch._dynamo.reset()


def trained(model, data, *, through_compile):
    targets = Targets(torch.from_numpy(data.train.label))
    inputs = device_inputs(data.train, data, CPU)
    forward = None
    if through_compile:
        varying = inputs.length is not None
        forward = compiled.compiled_forward(model, RECIPE["batch"], varying=varying)
    objective = build_objective({"recipe": RECIPE}, targets)
    Training(model, inputs, targets, objective, RECIPE, 0, forward=forward).run()
    return model.state_dict()


def test_images_are_compiled_once_though_the_last_batch_is_smaller(images, counter):
    """26 images in batches of 8: three whole ones and one of two."""

    def model():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32, 3))

    found = trained(model(), images, through_compile=True)
    expected = trained(model(), images, through_compile=False)
    assert counter.frame_count == 1
    assert list(found) == list(expected)  # no _orig_mod. before the names
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_texts_of_all_lengths_are_compiled_once(texts, counter):
    class Bag(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.classifier = torch.nn.Embedding(30, 4), torch.nn.Linear(4, 3)

        def forward(self, tokens):
            return self.classifier(self.embedding(tokens).mean(1))

    trained(Bag(), texts, through_compile=True)
    assert counter.frame_count == 1


def test_the_stage_compiles_where_the_recipe_says_so(workplace, monkeypatch, counter):
    data = workplace.prepare(monkeypatch, raw_images())
    recipe = workplace.run_spec(data)["recipe"]
    plain = workplace.train(data)
    assert counter.frame_count == 0
    run = workplace.train(data, recipe=recipe | {"compile": True})
    assert counter.frame_count == 1
    from safetensors.torch import load_file

    found, expected = (
        load_file(workplace.path("runs", id) / "model.safetensors") for id in (run, plain)
    )
    assert list(found) == list(expected)
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values)
