"""Any image classifier of the package timm, from scratch."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from disobey.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from disobey.data.prepared import Prepared


def build(options: Mapping[str, Any], data: "Prepared") -> "nn.Module":
    """Return timm's model named ``model``, for the channels and classes of the data.

    Raises
    ------
    UserError
        If timm cannot be imported or does not have the model.
    """
    try:
        create_model = importlib.import_module("timm").create_model
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision of another torch
        raise UserError(
            f"family timm: the package cannot be imported: {error}; pip install 'disobey[timm]', "
            f"with the torchvision of this torch"
        ) from error
    try:
        model: nn.Module = create_model(
            options["model"],
            pretrained=False,
            num_classes=len(data.class_names),
            in_chans=data.train.inputs.shape[-1],
            **options.get("options", {}),
        )
    except (RuntimeError, TypeError) as error:
        raise UserError(f"timm cannot make {options['model']}: {error}") from error
    return model
