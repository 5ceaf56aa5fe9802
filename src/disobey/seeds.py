"""Named, independent streams of random numbers from one seed."""

import numpy as np


def stream(seed: int, name: str, *position: int) -> np.random.Generator:
    """Return the generator of stream ``name`` at a position, such as an epoch.

    Each position has its own generator, so a resumed run needs no saved state of a generator.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, *position, *name.encode()]))


def torch_seed(seed: int, name: str, *position: int) -> int:
    """Return a seed for torch's own generator, from the same streams."""
    return int(stream(seed, name, *position).integers(2**62))
