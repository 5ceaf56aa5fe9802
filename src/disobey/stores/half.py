"""Numbers of 16 bits in netCDF, which has no type for them: their bits, as unsigned integers."""

import numpy as np

from disobey.errors import UserError

HALF = "float16"
BITS_OF = "bits_of"  # the attribute of a variable that holds such bits


def half_bits(values: np.ndarray) -> np.ndarray:
    """Round to float16 and return the bits: uint16, of the same shape.

    Raises
    ------
    UserError
        For a value that float16 cannot hold, above 65,504.
    """
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise UserError(
            f"a logit of {np.abs(values).max():.3g} is too large for {HALF}; write in the study "
            f"file views: {{dtype: float32}}"
        )
    return rounded.view(np.uint16)


def from_half_bits(bits: np.ndarray) -> np.ndarray:
    """Return the numbers of `half_bits`: float32, exact."""
    return bits.view(np.float16).astype(np.float32)
