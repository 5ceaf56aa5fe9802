"""What a study file may say of a model; free of torch, so that a dry run stays fast.

Stages do not import this package: they get plain values out of their spec, so a new option here
makes nothing stale.
"""

from typing import Annotated

from pydantic import Field

from disobey.models.options.channel import ChannelLinear
from disobey.models.options.mobilenet import MobilenetV2
from disobey.models.options.pretrained import Pretrained
from disobey.models.options.residual import CifarResnet, Resnet
from disobey.models.options.roberta import Roberta
from disobey.models.options.small import Mlp, SmallResnet

ModelOptions = Annotated[
    Mlp | SmallResnet | CifarResnet | MobilenetV2 | Resnet | Roberta | Pretrained | ChannelLinear,
    Field(discriminator="family"),
]
