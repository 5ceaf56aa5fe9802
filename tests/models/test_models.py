"""Each family: the shape of its logits, its size by formula, and padding that changes nothing."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from disobey.models.registry import build_model

IMAGES = SimpleNamespace(
    train=SimpleNamespace(inputs=np.zeros((2, 28, 28, 1), np.uint8)), class_names=tuple("abcde")
)
TEXTS = SimpleNamespace(
    train=SimpleNamespace(inputs=np.zeros((2, 9), np.int32)),
    class_names=tuple("abcde"),
    attributes={"vocabulary": 50, "pad": 1},
)
ROBERTA = {"family": "roberta", "hidden": 8, "layers": 2, "heads": 2, "dropout": 0.1}


def parameters(model):
    return sum(tensor.numel() for tensor in model.parameters())


def test_mlp_has_the_layers_of_its_widths():
    model = build_model({"family": "mlp", "hidden": [6, 7]}, IMAGES)
    assert parameters(model) == (784 * 6 + 6) + (6 * 7 + 7) + (7 * 5 + 5)
    assert model(torch.zeros(3, 1, 28, 28)).shape == (3, 5)


def test_small_resnet_has_a_stem_and_a_block_per_width():
    model = build_model({"family": "small_resnet", "stem": 4, "widths": [6, 8]}, IMAGES)

    def block(a, b):
        return 9 * a * b + 9 * b * b + a * b + 3 * 2 * b  # three convolutions, three BatchNorms

    assert parameters(model) == 9 * 4 + 2 * 4 + block(4, 6) + block(6, 8) + 8 * 5 + 5
    assert model(torch.zeros(3, 1, 28, 28)).shape == (3, 5)
    assert model[:-3](torch.zeros(1, 1, 28, 28)).shape == (1, 8, 4, 4)


def test_padding_changes_no_logit_of_roberta():
    torch.manual_seed(0)
    model = build_model(ROBERTA, TEXTS).eval()
    tokens = torch.tensor([[0, 7, 9, 2], [0, 8, 2, 1]])
    padded = torch.cat([tokens, torch.ones(2, 4, dtype=torch.int64)], 1)
    with torch.no_grad():
        assert model(tokens).shape == (2, 5)
        torch.testing.assert_close(model(padded), model(tokens), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("spec", [{"family": "mlp", "hidden": [6]}, ROBERTA])
def test_the_seed_decides_the_initialisation(spec):
    data = TEXTS if spec is ROBERTA else IMAGES
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        weights.append(torch.cat([p.flatten() for p in build_model(spec, data).parameters()]))
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
