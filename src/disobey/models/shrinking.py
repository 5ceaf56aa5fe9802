"""Images that a network for large ones would shrink to nothing."""

from typing import TYPE_CHECKING

from disobey.errors import UserError

if TYPE_CHECKING:
    from disobey.data.prepared import Prepared

# Pixels that become one before the last strided layer: ResNet and MobileNetV2 halve four times.
BEFORE_THE_LAST = 16


def single_pixels(height: int, width: int) -> str | None:
    """Return what is wrong where one pixel alone would reach a network's last strided layer.

    Nothing is left there to be learnt; and in torch 2.13 the gradient of a strided 3 x 3
    convolution of a single pixel is wrong, and often not finite, in bf16 on CPUs with AMX.
    None for images that are large enough.
    """
    if min(height, width) > BEFORE_THE_LAST:
        return None
    return (
        f"images of {height} x {width} pixels shrink to a single one before its last stage; "
        f"write small_images: true in the model"
    )


def refuse_single_pixels(data: "Prepared", what: str) -> None:
    """Refuse them where only the prepared images tell how large they are.

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
    wrong = single_pixels(height, width)
    if wrong is not None:
        raise UserError(f"{what}: {wrong}")
