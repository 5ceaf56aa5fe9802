"""Each family: the shape of its logits, its size by formula, and padding that changes nothing."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from disobey.errors import UserError
from disobey.models.registry import build_model
from disobey.models.roberta import attention_mask

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


def test_mlp_without_hidden_layers_is_linear_in_its_inputs():
    features = SimpleNamespace(
        train=SimpleNamespace(inputs=np.zeros((2, 12), np.float32)), class_names=tuple("abcde")
    )
    model = build_model({"family": "mlp", "hidden": []}, features)
    assert parameters(model) == 12 * 5 + 5
    x = torch.randn(3, 12, generator=torch.Generator().manual_seed(0))
    expected = x @ model.classifier.weight.T + model.classifier.bias
    torch.testing.assert_close(model(x), expected)


def test_glorot_uniform_weights_fill_their_range_and_biases_are_0():
    spec = {"family": "mlp", "hidden": [400], "initialisation": "glorot_uniform"}
    model = build_model(spec, IMAGES)
    for layer in (model.hidden_1, model.classifier):
        bound = (6 / sum(layer.weight.shape)) ** 0.5
        # the quantiles of a uniform law on (-bound, bound)
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            quantile = layer.weight.detach().flatten().quantile(share).item()
            assert quantile == pytest.approx((2 * share - 1) * bound, abs=0.1 * bound)
        assert layer.weight.abs().max() <= bound
        assert not layer.bias.any()


def test_small_resnet_has_a_stem_and_a_block_per_width():
    model = build_model({"family": "small_resnet", "stem": 4, "widths": [6, 8]}, IMAGES)

    def block(a, b):
        return 9 * a * b + 9 * b * b + a * b + 3 * 2 * b  # three convolutions, three BatchNorms

    assert parameters(model) == 9 * 4 + 2 * 4 + block(4, 6) + block(6, 8) + 8 * 5 + 5
    assert model(torch.zeros(3, 1, 28, 28)).shape == (3, 5)
    assert model[:-3](torch.zeros(1, 1, 28, 28)).shape == (1, 8, 4, 4)


LARGE = {
    # as published or counted over the published weights, at the usual number of classes
    "ResNet-20": ({"family": "cifar_resnet", "depth": 20, "widths": [16, 32, 64]}, 10, 0.27),
    "ResNet-56": ({"family": "cifar_resnet", "depth": 56, "widths": [16, 32, 64]}, 10, 0.86),
    "MobileNetV2": ({"family": "mobilenet_v2", "width": 1.0}, 1000, 3.5),
    "ResNet-18": ({"family": "resnet", "depth": 18}, 1000, 11.7),
    "ResNet-50": ({"family": "resnet", "depth": 50}, 1000, 25.6),
}


def images(size, classes):
    inputs = np.zeros((2, size, size, 3), np.uint8)
    return SimpleNamespace(train=SimpleNamespace(inputs=inputs), class_names=tuple(range(classes)))


@pytest.mark.parametrize("spec, classes, millions", LARGE.values(), ids=LARGE)
def test_a_known_network_has_its_published_number_of_parameters(spec, classes, millions):
    model = build_model(spec, images(32, classes))
    assert round(parameters(model) / 1e6, 2 if millions < 1 else 1) == millions


SMALL = {
    "cifar": (8, 8), "pre-activation": (8, 8), "mobilenet": (4, 4), "resnet": (4, 4),
    "resnet-pre": (4, 4), "bottleneck-pre": (4, 4),
}  # fmt: skip
SMALL_SPECS = {
    "cifar": {"family": "cifar_resnet", "depth": 8, "widths": [4, 5, 6]},
    "pre-activation": {
        "family": "cifar_resnet", "depth": 14, "widths": [4, 5, 6], "pre_activation": True,
    },
    "mobilenet": {"family": "mobilenet_v2", "width": 0.1, "small_images": True},
    "resnet": {"family": "resnet", "depth": 18, "small_images": True},
    "resnet-pre": {
        "family": "resnet", "depth": 18, "small_images": True, "pre_activation": True,
    },
    "bottleneck-pre": {
        "family": "resnet", "depth": 50, "small_images": True, "pre_activation": True,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "spec",
    [
        {"family": "resnet", "depth": 18},
        {"family": "resnet", "depth": 18, "pre_activation": True},
        {"family": "mobilenet_v2", "width": 0.1},
    ],
)
def test_images_that_would_shrink_to_a_pixel_are_refused(spec):
    said = r"images of 16 x 16 pixels shrink to a single one .*; write small_images: true"
    with pytest.raises(UserError, match=said):
        build_model(spec, images(16, 5))
    build_model(spec | {"small_images": True}, images(16, 5))
    build_model(spec, images(17, 5))


@pytest.mark.parametrize("name", SMALL)
def test_an_image_of_32_pixels_keeps_enough_of_them(name):
    """The classifier averages over the last maps: what they measure, and that all trains."""
    model = build_model(SMALL_SPECS[name], images(32, 5))
    seen = []
    for module in model.modules():
        if isinstance(module, torch.nn.AdaptiveAvgPool2d):
            module.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[2:]))
    logits = model(torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (3, 5) and tuple(seen[0]) == SMALL[name]
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_layers_that_can_be_tracked_are_there_and_have_a_matrix(name):
    from disobey.study.resources import MODEL
    from disobey.training.weights import weight_of

    options = MODEL.validate_python(SMALL_SPECS[name])
    model = build_model(SMALL_SPECS[name], images(32, 5))
    for name, layer in options.trackable().items():
        weight = weight_of(model, name)
        assert weight.flatten(1).ndim == 2
        assert layer.kernel is None or weight.shape[2:] == (layer.kernel, layer.kernel)
    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    matrices = {
        name
        for name, module in model.named_modules()
        if isinstance(module, kinds) and getattr(module, "groups", 1) == 1
    }
    assert set(options.trackable()) == matrices


def test_before_activation_a_network_has_a_norm_before_each_convolution_but_the_first():
    """ResNet-20: a first block in each stage, then two of 18 w^2 weights and 4 w of norms."""
    spec = {"family": "cifar_resnet", "depth": 20, "widths": [16, 32, 64], "pre_activation": True}

    def first(a, b):  # two convolutions, their norms, and a shortcut where the width changes
        return 9 * a * b + 9 * b * b + 2 * a + 2 * b + (a * b if a != b else 0)

    blocks = first(16, 16) + first(16, 32) + first(32, 64)
    blocks += sum(2 * (18 * w * w + 4 * w) for w in (16, 32, 64))
    expected = 9 * 3 * 16 + blocks + 2 * 64 + 64 * 10 + 10
    assert parameters(build_model(spec, images(32, 10))) == expected


def _blocks_before_activation():
    from disobey.models.cifar_resnet import PreActivationBlock
    from disobey.models.resnet import PreActivationBottleneck

    narrow, wide = PreActivationBlock(3, 3, 1), PreActivationBottleneck(3, 2, 3, 1)
    return [(narrow, narrow.convolution_2), (wide, wide.convolution_3)]


@pytest.mark.parametrize("which", [0, 1])
def test_before_activation_each_shortcut_carries_the_input_unchanged(which):
    """He et al. 2016: with residuals of zero the blocks of a stage are the identity."""
    block, last = _blocks_before_activation()[which]
    torch.nn.init.zeros_(last.weight)
    inputs = torch.randn(2, 3, 4, 4)
    assert torch.equal(block(inputs.clone()), inputs)


def test_both_masks_of_attention_give_roberta_the_same_logits():
    torch.manual_seed(0)
    model = build_model(ROBERTA, TEXTS).eval()
    tokens = torch.randint(5, 50, (3, 9))
    tokens[0, 4:] = tokens[1, 7:] = 1
    square = attention_mask(tokens, 1, square=True)
    assert square.shape == (3, 1, 9, 9) and square.dtype == torch.bool
    found = model.roberta(tokens, attention_mask=square).logits
    torch.testing.assert_close(found, model(tokens))
    everything = torch.ones_like(square)
    assert not torch.allclose(model.roberta(tokens, attention_mask=everything).logits, found)


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
