"""A step as a CUDA graph, by a stand-in on the CPU: it repeats operations on the same tensors.

As a real graph the stand-in computes nothing while it captures, and when it replays it knows only
the tensors that were there at the capture. A number that the host would ask the GPU for fails.
"""

from functools import partial

import pytest
import torch
from safetensors.numpy import load_file
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from disobey.errors import UserError
from disobey.training import compiled as graphed
from disobey.training.compiled import WARM_UP, GraphedTraining
from disobey.training.loop import Training
from disobey.training.objective import Targets
from disobey.training.schedules import distillation_weights

from .conftest import raw_images
from .test_augmented import Distilled, both_blocks

RESNET = {"family": "cifar_resnet", "depth": 8, "widths": [4, 8, 8]}
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal")


class Recorder(TorchDispatchMode):
    """Keeps every operation with its tensors."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert function.overloadpacket.__name__ not in WAITS, f"{function} waits for the GPU"
        made = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, made))
        return made

    def replay(self):
        for function, args, kwargs, made in self.operations:
            again = function(*args, **kwargs)
            for old, new in zip(tree_leaves(made), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@pytest.fixture
def graphs(monkeypatch):
    """Let trainings on the CPU go through the stand-in; the number of replays of each capture."""
    replays = []

    def capture(work):
        model, recorder = work.func.__self__.model, Recorder()
        kept = [buffer.clone() for buffer in model.buffers()]
        with recorder:
            found = work()
        for buffer, before in zip(model.buffers(), kept, strict=True):
            buffer.copy_(before)
        for result in found:
            result.fill_(-1)  # nothing was computed
        position = len(replays)
        replays.append(0)

        def replay():
            replays[position] += 1
            with torch.no_grad():
                recorder.replay()

        return found, replay

    def kind_of(spec, device, kind):
        assert kind is Training
        return partial(GraphedTraining, spec.get("distill", {}), capture=capture)

    monkeypatch.setattr(graphed, "graphed_training", kind_of)
    return replays


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert (found[name] == values).all(), name


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_training_is_the_plain_one(optimizer, graphs, workplace, monkeypatch):
    """50 images in batches of 16: three whole ones and one of two, which is never replayed."""
    data = workplace.prepare(monkeypatch, raw_images())
    recipe = {"optimizer": optimizer, "lr": 0.01, "epochs": 2, "batch": 16, "schedule": "cosine"}
    weights = []
    for changes in ({"cuda_graph": True}, {}):
        run = workplace.train(data, model=RESNET, recipe=recipe | changes)
        weights.append(load_file(workplace.path("runs", run) / "model.safetensors"))
    assert_equal(*weights)
    assert graphs == [2 * 3 - WARM_UP]


ONE_STUDENT = 12 * 3  # whole batches
SWITCH = {"order": "one_hot_first", "at": 0.5}


@pytest.mark.parametrize(
    ("distill", "expected"),
    [
        ({"weight": 0.5}, [ONE_STUDENT - WARM_UP]),
        ({"switch": SWITCH | {"unit": "steps"}}, 2 * [ONE_STUDENT // 2 - WARM_UP]),
        # Of 48 steps the first 13 have the weight 0 and the last 12 have 1: 10 and 9 whole batches.
        ({"switch": SWITCH | {"unit": "steps", "ramp": 0.5}}, [10 - WARM_UP, 9 - WARM_UP]),
    ],
    ids=["constant", "switch", "ramp"],
)
def test_a_student_of_stored_views_is_the_plain_one(
    distill, expected, graphs, workplace, monkeypatch
):
    distilled = Distilled(workplace, monkeypatch)
    blocks = both_blocks(distilled)
    weights = []
    for changes in ({"cuda_graph": True}, {}):
        length = {"epochs": 12} | changes
        _, student = distilled.student(*blocks, length=length, **distill)
        weights.append(distilled.weights(workplace.made(*student)))
    assert_equal(*weights)
    assert graphs == expected


def test_a_live_teacher_is_part_of_the_step(graphs, workplace, monkeypatch):
    distilled = Distilled(workplace, monkeypatch)
    weights = []
    for changes in ({"cuda_graph": True}, {}):
        length = {"epochs": 3} | changes
        teacher = ("runs", distilled.teacher)
        _, student = distilled.student(teacher, length=length, live=True)
        weights.append(distilled.weights(workplace.made(*student)))
    assert_equal(*weights)
    assert graphs == [9 - WARM_UP]


def test_the_cpu_trains_without_a_graph_and_says_so(workplace, monkeypatch, capsys):
    data = workplace.prepare(monkeypatch, raw_images())
    recipe = workplace.run_spec(data)["recipe"]
    monkeypatch.setattr(graphed, "captured", None)
    workplace.train(data, recipe=recipe | {"cuda_graph": True})
    assert "cuda_graph: true has no effect on the CPU" in capsys.readouterr().err


def test_several_processes_are_refused():
    with pytest.raises(UserError, match="needs a training on one GPU; write gpus: 1"):
        graphed.graphed_training({}, torch.device("cuda"), partial(Training))


def test_a_gpu_trains_with_a_graph_for_each_weight_of_distillation(toy):
    spec, targets = {"distill": {"weight": 0.8}}, Targets(toy.label)
    recipe = {"optimizer": "sgd", "lr": 0.1, "epochs": 2, "batch": 5, "schedule": "constant"}
    kind = graphed.graphed_training(spec, torch.device("cuda"), Training)
    found = kind(torch.nn.Linear(5, 3), toy.inputs, targets, None, recipe, 0)
    assert isinstance(found, GraphedTraining) and found._capture is graphed.captured
    assert found._weights.tolist() == 4 * [0.8]


def test_weights_before_each_step_are_those_of_the_switch():
    distill = {"weight": 0.8, "switch": {"order": "distillation_first", "at": 0.75}}
    # Before the fourth step .9 of the learning rates are spent, before the third .6.
    rates = torch.tensor([3.0, 3.0, 3.0, 1.0]).numpy()
    assert distillation_weights(distill, rates).tolist() == [0.8, 0.8, 0.8, 0.0]
    assert distillation_weights({"weight": 0.8}, rates).tolist() == 4 * [0.8]
    assert distillation_weights({}, rates).tolist() == 4 * [0]
