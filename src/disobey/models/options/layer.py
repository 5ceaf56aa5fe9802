"""What can be tracked of a model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """A layer whose weights can be tracked along eigendirections of its input.

    Attributes
    ----------
    first : bool
        Whether its input is the data itself; else it is what a trained teacher's layers make of it.
    unit_norm : bool
        Whether batch normalisation follows, so that only the direction of a filter has an effect.
    kernel : int or None
        Side of a first convolution's kernel, in pixels; None where a row of weights is multiplied
        with the whole input.
    """

    first: bool = False
    unit_norm: bool = False
    kernel: int | None = None
