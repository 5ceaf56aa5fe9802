"""ResNet-18, 34 and 50 for larger images, from scratch.

Those with normalisation after each convolution (He et al. 2015) are from `transformers`; those with
normalisation before it (He et al. 2016), as in the paper, are built here.
"""

import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from disobey.data.prepared import Prepared
from disobey.models.cifar_resnet import PreActivationBlock
from disobey.models.shapes import BOTTLENECK_FROM, RESNET_STAGES, RESNET_STEM, refuse_single_pixels


def build(options: Mapping[str, Any], data: "Prepared") -> nn.Module:
    """Return the network; ``small_images`` replaces its 7 x 7 stem and pooling by one 3 x 3.

    Raises
    ------
    UserError
        For images that are too small, see `disobey.models.shapes`.
    """
    from transformers import ResNetConfig

    if not options.get("small_images"):
        refuse_single_pixels(data, f"resnet{options['depth']}")
    if options.get("pre_activation"):
        return _before_activation(options, data)
    blocks, _, channels = RESNET_STAGES[options["depth"]]
    config = ResNetConfig(
        num_channels=data.train.inputs.shape[-1],
        embedding_size=RESNET_STEM,
        depths=list(blocks),
        layer_type="bottleneck" if options["depth"] >= BOTTLENECK_FROM else "basic",
        hidden_sizes=list(channels),
        num_labels=len(data.class_names),
    )
    return Classifier(config, small_images=options.get("small_images", False))


class Classifier(nn.Module):
    """`transformers`' image classifier as a map from images to logits."""

    def __init__(self, config: Any, *, small_images: bool) -> None:
        super().__init__()
        from transformers.models.resnet.modeling_resnet import ResNetForImageClassification

        logging.getLogger("transformers").setLevel(logging.ERROR)
        self.resnet = ResNetForImageClassification(config)
        if small_images:
            embedder = self.resnet.resnet.embedder
            stem = nn.Conv2d(config.num_channels, config.embedding_size, 3, 1, 1, bias=False)
            nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
            embedder.embedder.convolution, embedder.pooler = stem, nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (batch, channel, y, x) to logits (batch, class)."""
        logits: torch.Tensor = self.resnet(images).logits
        return logits


def _before_activation(options: Mapping[str, Any], data: "Prepared") -> nn.Module:
    """Return the network whose blocks normalise before each convolution."""
    small, depth = options.get("small_images", False), options["depth"]
    size, stride = (3, 1) if small else (7, 2)
    colours = data.train.inputs.shape[-1]
    stem = nn.Conv2d(colours, RESNET_STEM, size, stride, size // 2, bias=False)
    pool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
    layers = OrderedDict[str, nn.Module](
        stem=nn.Sequential(OrderedDict(convolution=stem, pool=pool))
    )
    before = RESNET_STEM
    for stage, (blocks, inner, outer) in enumerate(zip(*RESNET_STAGES[depth], strict=True), 1):
        layers[f"stage_{stage}"] = nn.Sequential()
        for number in range(1, blocks + 1):
            stride = 2 if number == 1 and stage > 1 else 1
            block = (
                PreActivationBlock(before, outer, stride)
                if depth < BOTTLENECK_FROM
                else PreActivationBottleneck(before, inner, outer, stride)
            )
            layers[f"stage_{stage}"].add_module(f"block_{number}", block)
            before = outer
    layers |= {"normalisation": nn.BatchNorm2d(before), "relu": nn.ReLU(inplace=True)}
    layers |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    layers["classifier"] = nn.Linear(before, len(data.class_names))
    model = nn.Sequential(layers)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


class PreActivationBottleneck(nn.Module):
    """Convolutions of 1 x 1, 3 x 3 and 1 x 1 pixels, each after normalisation and ReLU."""

    def __init__(self, channels: int, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.normalisation_1 = nn.BatchNorm2d(channels)
        self.convolution_1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.normalisation_2 = nn.BatchNorm2d(inner)
        self.convolution_2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.normalisation_3 = nn.BatchNorm2d(inner)
        self.convolution_3 = nn.Conv2d(inner, outer, 1, bias=False)
        changes = stride != 1 or channels != outer
        self.shortcut = nn.Conv2d(channels, outer, 1, stride, bias=False) if changes else None

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels, y, x) to (batch, outer, y / stride, x / stride)."""
        active = torch.relu_(self.normalisation_1(inputs))
        residual = self.convolution_1(active)
        residual = self.convolution_2(torch.relu_(self.normalisation_2(residual)))
        residual = self.convolution_3(torch.relu_(self.normalisation_3(residual)))
        return residual + (inputs if self.shortcut is None else self.shortcut(active))
