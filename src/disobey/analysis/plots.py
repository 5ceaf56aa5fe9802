"""Data for plots of a model against its teacher: counts in cells, and means within bins."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from disobey.analysis.confidence import quantile_bin
from disobey.analysis.intervals import crossed_interval
from disobey.analysis.names import CLEAN, CURVES, MEASURES, MISLABELLED, PANELS, TEACHER
from disobey.analysis.readings import Kept

CELLS = 60
QUANTILES = 20
# This share of the points in each tail is outside the axes; these points are only counted.
TAIL = 0.001


class Points:
    """The points of a plot: a quantity of each model against the same quantity of its teacher.

    All arrays have shape (point,), with seeds concatenated. ``edges``, (CELLS + 1,), are the cell
    edges on both axes; by default they enclose all points except the tails.
    """

    def __init__(
        self,
        teacher: np.ndarray,
        models: Sequence[np.ndarray],
        edges: np.ndarray | None = None,
    ) -> None:
        self.teacher, self.models = teacher, models
        self.edges = _edges(np.concatenate([teacher, *models])) if edges is None else edges
        # Cells are numbered from 0 to CELLS^2 - 1; points outside all cells have number -1.
        # np.histogram2d would take more memory than the rest of the analysis.
        row, outside, self._cell = _side(teacher, self.edges), np.int16(-1), []
        for model in models:
            column = _side(model, self.edges)
            number = row * np.int16(CELLS) + column
            self._cell.append(np.where((row >= 0) & (column >= 0), number, outside))

    def density(self, groups: Sequence[np.ndarray] | None = None, number: int = 1) -> np.ndarray:
        """Count the points in each cell: int32, (compared, group, teacher_bin, model_bin).

        ``groups`` contains, for each model, the group of each point, 0 to ``number`` - 1.
        """
        found = []
        for k, cell in enumerate(self._cell):
            inside = cell >= 0
            place = cell[inside].astype(np.int64)
            if groups is not None:
                place += groups[k][inside].astype(np.int64) * CELLS**2
            counts = np.bincount(place, minlength=number * CELLS**2)
            found.append(counts.reshape(number, CELLS, CELLS))
        return np.array(found, np.int32)

    def binned(self, where: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return means of teacher and models within the teacher's quantile bins.

        Both arrays have shape (compared, quantile). ``where``, (point,), selects the points to bin;
        the quantiles are those of the selected points.
        """
        chosen = slice(None) if where is None else where
        teacher, models = self.teacher[chosen], [model[chosen] for model in self.models]
        of_teacher, *of_models = binned_means(teacher, [teacher, *models])
        return np.array([of_teacher] * len(models)), np.array(of_models)


def binned_means(order: np.ndarray, values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean of each of ``values`` within quantile bins of ``order``, (value, bin).

    NaN for empty bins.
    """
    inside = quantile_bin(order, np.ones(len(order), bool), QUANTILES)
    number = np.bincount(inside, minlength=QUANTILES)
    with np.errstate(invalid="ignore"):
        return np.array([np.bincount(inside, each, QUANTILES) / number for each in values])


def student_teacher_plot(compared: Sequence[str], points: Points) -> xr.Dataset:
    """Return the data of the student-teacher plot of the ``compared`` models' confidence logits."""
    counts = points.density()[:, 0]
    of_teacher, of_model = points.binned()
    return xr.Dataset(
        {
            "density": (("compared", "teacher_bin", "model_bin"), counts),
            "density_outside": ("compared", len(points.teacher) - counts.sum((1, 2))),
            "confidence_edge": ("edge", points.edges),
            "binned_teacher": (("compared", "quantile"), of_teacher),
            "binned_model": (("compared", "quantile"), of_model),
        },
        coords={"compared": list(compared)},
    )


def _edges(points: np.ndarray) -> np.ndarray:
    """Return cell edges that enclose all points except the tails; reorders ``points`` in place."""
    low, high = np.quantile(points, [TAIL, 1 - TAIL], overwrite_input=True)
    margin = 0.02 * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, CELLS + 1)


def _side(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the cell of each value along one axis, -1 outside; the last cell is closed."""
    side = (np.searchsorted(edges, values, side="right") - 1).astype(np.int16)
    side[values == edges[-1]] = CELLS - 1
    side[side >= CELLS] = -1
    return side


# --- probability, entropy, and divergence from the teacher ------------------------------------


def probability(confidence_logit: np.ndarray) -> np.ndarray:
    """Return the probabilities of confidence logits."""
    # The exponent is never positive, so the power cannot overflow.
    power = np.exp(-np.abs(confidence_logit))
    return np.where(confidence_logit < 0, power, 1) / (1 + power)


def _measures(kept: Kept, phi: Mapping[str, np.ndarray], classes: int) -> xr.Dataset:
    """Return the data of plots of probability, entropy and KL against the teacher's measures."""
    compared = [role for role in phi if role != TEACHER]
    per_seed = [_curves(kept, phi, seed) for seed in range(len(phi[TEACHER]))]
    of_teacher, of_model = (np.stack(found, -1) for found in zip(*per_seed, strict=True))
    estimate, low, high = crossed_interval(np.moveaxis(of_model, -1, 0)[:, None])
    densities, edges = zip(*(_density(one, kept, phi, classes) for one in MEASURES), strict=True)
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
        coords={"measure": list(MEASURES), "curve": list(CURVES), "compared": compared},
    )


def _curves(kept: Kept, phi: Mapping[str, np.ndarray], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the binned means of one seed: (curve, quantile) and (curve, compared, quantile)."""
    kl = [of_model[seed] for of_model in kept.kl.values()]
    number = len(kl)
    # Probabilities order the examples as their logits do, except for those that round to 1.
    order = phi[TEACHER][seed]
    values = [order, *(probability(of_role[seed]) for of_role in phi.values()), *kl]
    logit, by_probability, *rest = binned_means(order, values)
    probabilities, kl_by_logit = rest[:number], rest[number:]
    values = [*(kept.entropy[role][seed] for role in phi), *kl]
    by_entropy, *rest = binned_means(values[0], values)
    entropies, kl_by_entropy = rest[:number], rest[number:]
    across = [by_probability, by_entropy, logit, by_probability, by_entropy]
    models = [probabilities, entropies, kl_by_logit, kl_by_logit, kl_by_entropy]
    return np.array(across), np.array(models)


def _density(
    measure: str, kept: Kept, phi: Mapping[str, np.ndarray], classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return counts over all seeds, (compared, teacher_bin, model_bin), and the cell edges."""
    highest = 1.0 if measure == "probability" else float(np.log(classes))
    edges = np.linspace(0, highest, CELLS + 1)
    is_probability = measure == "probability"
    # Seed by seed, to save memory; rounding may move an entropy beyond its bounds.
    teacher, *models = (
        np.concatenate([probability(one) if is_probability else one for one in of_role]).clip(
            0, highest
        )
        for of_role in (phi if is_probability else kept.entropy).values()
    )
    return Points(teacher, models, edges).density()[:, 0], edges


# --- everything ------------------------------------------------------------------------------


def plots(
    kept: Kept, phi: Mapping[str, np.ndarray], clean: np.ndarray | None, classes: int
) -> xr.Dataset:
    """Return the data of the paper's plot and all its variants; see `disobey.analysis.store`.

    Parameters
    ----------
    kept : Kept
    phi : mapping of str to ndarray, shape (seed, example)
        Confidence logits of the class that each seed's teacher predicts, by role, teacher first.
    clean : ndarray of bool, shape (example,), or None
        True for examples whose label was not changed by noise; None if no label was.
    classes : int
    """
    compared = [role for role in phi if role != TEACHER]
    seeds = range(len(phi[TEACHER]))
    points = Points(phi[TEACHER].ravel(), [phi[role].ravel() for role in compared])
    found = [student_teacher_plot(compared, points)]
    if kept.right:
        panels = [np.concatenate([kept.panel(role, i) for i in seeds]) for role in compared]
        found += [_dissected(points, panels), _at_the_label(kept, compared, len(seeds))]
    if clean is not None:
        found.append(_by_noise(points, np.tile(clean, len(seeds))))
    found.append(_measures(kept, phi, classes))
    return xr.merge(found)


def _dissected(points: Points, panels: Sequence[np.ndarray]) -> xr.Dataset:
    counts = points.density(panels, len(PANELS))
    cells = ("compared", "panel", "teacher_bin", "model_bin")
    return xr.Dataset({"dissected_density": (cells, counts)}, coords={"panel": list(PANELS)})


def _at_the_label(kept: Kept, compared: Sequence[str], seeds: int) -> xr.Dataset:
    """Return the plot at the given label's class, with the prefix ``label_`` on its variables."""
    phi = [kept.label_phi[role][:seeds].ravel() for role in (TEACHER, *compared)]
    plot = student_teacher_plot(compared, Points(phi[0], phi[1:]))
    return plot.rename({name: f"label_{name}" for name in plot.data_vars})


def _by_noise(points: Points, clean: np.ndarray) -> xr.Dataset:
    """Return the plot separately for clean and mislabelled points."""
    kinds = {CLEAN: clean, MISLABELLED: ~clean}
    number = len(points.models)
    per_kind = [points.binned(where) for where in kinds.values()]
    of_teacher, of_model = (np.stack(of, 1) for of in zip(*per_kind, strict=True))
    return xr.Dataset(
        {
            "noise_density": (
                ("compared", "noise", "teacher_bin", "model_bin"),
                points.density([~clean] * number, len(kinds)),
            ),
            "noise_binned_teacher": (("compared", "noise", "quantile"), of_teacher),
            "noise_binned_model": (("compared", "noise", "quantile"), of_model),
        },
        coords={"noise": list(kinds)},
    )
