"""Images that a network for large ones would shrink to nothing."""

from typing import TYPE_CHECKING

from disobey.errors import UserError

if TYPE_CHECKING:
    from disobey.data.prepared import Prepared

# Pixels that become one before the last strided layer: ResNet and MobileNetV2 halve four times.
BEFORE_THE_LAST = 16


def refuse_single_pixels(data: "Prepared", what: str) -> None:
    """Refuse images of which nothing but one pixel would reach a network's last strided layer.

    Nothing is left there to be learnt; and in torch 2.13 the gradient of a strided 3 x 3
    convolution of a single pixel is wrong, and often not finite, in bf16 on CPUs with AMX.

    Parameters
    ----------
    data : Prepared
    what : str
        The network, for the error.

    Raises
    ------
    UserError
    """
    _, height, width, _ = data.train.inputs.shape
    if min(height, width) <= BEFORE_THE_LAST:
        raise UserError(
            f"{what}: images of {height} x {width} pixels shrink to a single one before its last "
            f"stage; write small_images: true in the model"
        )
