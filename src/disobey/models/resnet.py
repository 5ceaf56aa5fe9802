"""ResNet-18, 34 and 50 for large images, as `transformers` builds them, from scratch."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from disobey.models.shapes import BOTTLENECK_FROM, RESNET_STAGES, RESNET_STEM, refuse_single_pixels

if TYPE_CHECKING:
    from disobey.data.prepared import Prepared


def build(options: Mapping[str, Any], data: "Prepared") -> nn.Module:
    """Return the network; ``small_images`` replaces its 7 x 7 stem and pooling by one 3 x 3.

    Raises
    ------
    UserError
        For images that are too small without it, see `disobey.models.shapes`.
    """
    from transformers import ResNetConfig

    if not options.get("small_images"):
        refuse_single_pixels(data, f"resnet{options['depth']}")
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
    """`transformers`' image classifier, from images to logits alone."""

    def __init__(self, config: Any, *, small_images: bool) -> None:  # noqa: ANN401 - untyped
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
