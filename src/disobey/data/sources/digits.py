"""1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn: small enough for tests."""

import numpy as np

from disobey.data.raw import RawData, split_images
from disobey.data.sources import Source

SOURCE = Source(
    "scikit-learn's digits", "image", 1442, 355, 10, (8, 8, 1), "scikit-learn",
    "2d5b89b90e7e8908cc1529e739d228a011ae2c5a1054a5aa6042c87177c2cfed",
)  # fmt: skip

# scikit-learn's grey levels are 0 to 16; times 15 they fit a byte.
LEVEL = 15


def load(*unused: object) -> RawData:
    """Return 1,442 training and 355 test images of 8 x 8 pixels, 1 channel."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images * LEVEL).astype(np.uint8)[..., None]
    return SOURCE.checked(split_images(images, bunch.target, [str(digit) for digit in range(10)]))
