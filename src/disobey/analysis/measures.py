"""Other measures than confidence logits: probability, entropy, and divergence from the teacher."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from disobey.analysis.density import CELLS, Points, binned_means
from disobey.analysis.intervals import crossed_interval
from disobey.analysis.names import CURVES, MEASURES


@dataclass(frozen=True)
class Measured:
    """What one model says of each example, of the class that the teacher predicts.

    Attributes
    ----------
    confidence_logit, entropy : ndarray, shape (example,)
        The entropy in nats.
    """

    confidence_logit: np.ndarray
    entropy: np.ndarray

    @property
    def probability(self) -> np.ndarray:
        """Probability of the class that the teacher predicts, shape (example,)."""
        # From the side of the smaller power, which cannot overflow.
        power = np.exp(-np.abs(self.confidence_logit))
        return np.where(self.confidence_logit < 0, power, 1) / (1 + power)


def measures(
    teachers: Sequence[Measured],
    models: Mapping[str, Sequence[Measured]],
    kl: Mapping[str, Sequence[np.ndarray]],
    classes: int,
) -> xr.Dataset:
    """Plot probability and entropy against the teacher's, and KL against three of its measures.

    Parameters
    ----------
    teachers : sequence of Measured
        One for each seed.
    models : mapping of str to sequence of Measured
        The same of each model that is compared with its teacher.
    kl : mapping of str to sequence of ndarray, shape (example,)
        KL(teacher || model) of each of them, in nats.
    classes : int
        Bounds the entropy.

    Returns
    -------
    xarray.Dataset
        ``measure_density``, ``measure_edge``, ``curve_teacher``, ``curve_model`` and of the latter
        ``curve_estimate``, ``curve_low``, ``curve_high``; see `disobey.analysis.store`.
    """
    per_seed = [
        _curves(teacher, [of[i] for of in models.values()], [of[i] for of in kl.values()])
        for i, teacher in enumerate(teachers)
    ]
    of_teacher, of_model = (np.stack(found, -1) for found in zip(*per_seed, strict=True))
    estimate, low, high = crossed_interval(np.moveaxis(of_model, -1, 0)[:, None])
    densities, edges = zip(*(_density(m, teachers, models, classes) for m in MEASURES), strict=True)
    curve = ("curve", "compared", "quantile")
    cells = ("measure", "compared", "teacher_bin", "model_bin")
    return xr.Dataset(
        {
            "measure_density": (cells, np.stack(densities)),
            "measure_edge": (("measure", "edge"), np.stack(edges)),
            "curve_teacher": (("curve", "quantile", "seed"), of_teacher),
            "curve_model": ((*curve, "seed"), of_model),
            "curve_estimate": (curve, estimate),
            "curve_low": (curve, low),
            "curve_high": (curve, high),
        },
        coords={"measure": list(MEASURES), "curve": list(CURVES), "compared": list(models)},
    )


def _curves(
    teacher: Measured, models: Sequence[Measured], kl: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the binned means of one seed: (curve, quantile) and (curve, compared, quantile)."""
    number = len(models)
    # The probability orders the examples as its logit does, but for what rounds to 1.
    logit, probability, *rest = binned_means(
        teacher.confidence_logit,
        [teacher.confidence_logit, teacher.probability, *(m.probability for m in models), *kl],
    )
    probabilities, kl_by_logit = rest[:number], rest[number:]
    entropy, *rest = binned_means(
        teacher.entropy, [teacher.entropy, *(m.entropy for m in models), *kl]
    )
    entropies, kl_by_entropy = rest[:number], rest[number:]
    across = [probability, entropy, logit, probability, entropy]
    return np.array(across), np.array(
        [probabilities, entropies, kl_by_logit, kl_by_logit, kl_by_entropy]
    )


def _density(
    measure: str,
    teachers: Sequence[Measured],
    models: Mapping[str, Sequence[Measured]],
    classes: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return counts of all seeds, (compared, teacher_bin, model_bin), and the edges of cells."""
    highest = 1.0 if measure == "probability" else float(np.log(classes))
    edges = np.linspace(0, highest, CELLS + 1)

    def pooled(of: Sequence[Measured]) -> np.ndarray:
        # Rounding may take an entropy beyond its bounds.
        return np.concatenate([getattr(one, measure) for one in of]).clip(0, highest)

    points = Points(pooled(teachers), [pooled(of) for of in models.values()], edges)
    return points.density()[:, 0], edges
