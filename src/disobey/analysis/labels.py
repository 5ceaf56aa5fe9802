"""Confidence in the label's class, and mislabelled points beside clean ones.

The label is nobody's prediction: taking its class selects on no model's noise, but the order of the
examples still does, unless a replicate gives it. Words: t is a student's teacher, m the model
compared with it (student or reference), o whoever ranks the examples, t itself or a replicate; phi
is the confidence logit.
"""

import numpy as np

from disobey.analysis.confidence import QUARTER, TENTH, centre_of, quantile_of, spread
from disobey.analysis.names import LABEL
from disobey.analysis.resampling import Means

NAMES = LABEL[: len(LABEL) // 2]


class LabelClass:
    """Slope, gaps and the share below the diagonal at one class of each example.

    The slope is cov(phi_m, phi_o) / cov(phi_t, phi_o): least squares where the teacher ranks, A
    where a replicate does. Gaps are means of phi_m - phi_t in the subset's lowest and highest tenth
    of phi_o; the share of phi_m < phi_t is of the examples that belong to the lowest quarter of the
    whole split, so that subsets are compared where a model is equally unsure.

    Parameters
    ----------
    phi_model, phi_teacher, phi_order : ndarray, shape (example,)
        Confidence logits of m, t and o in the label's class.
    where : ndarray of bool, shape (example,)
        The subset.
    """

    def __init__(
        self,
        phi_model: np.ndarray,
        phi_teacher: np.ndarray,
        phi_order: np.ndarray,
        where: np.ndarray,
    ) -> None:
        self._phi = phi_model, phi_teacher, phi_order
        self._where = where
        self._centre = [centre_of(phi, where) for phi in self._phi]
        self._bottom, self._top = (
            quantile_of(phi_order, where, share) for share in (TENTH, 1 - TENTH)
        )
        self._quarter = quantile_of(phi_order, np.ones(len(where), bool), QUARTER)
        self._moments, self._gaps = Means(), Means()

    def add(self, counts: np.ndarray, rows: slice) -> None:
        """Add a block of examples; see `disobey.analysis.resampling.Gathered`."""
        where = self._where[rows]
        phi_m, phi_t, phi_o = (phi[rows] for phi in self._phi)
        m, t, o = (phi[rows] - by for phi, by in zip(self._phi, self._centre, strict=True))
        self._moments.add(counts, np.column_stack([m, t, o, m * o, t * o]), where[:, None])
        gap = phi_m - phi_t
        parts = (phi_o <= self._bottom, phi_o >= self._top, phi_o <= self._quarter)
        inside = np.column_stack([where & part for part in parts])
        self._gaps.add(counts, np.column_stack([gap, gap < 0]), inside)

    def statistics(self) -> dict[str, np.ndarray]:
        """Return the statistics by name, each of shape (1 + resample,)."""
        m, t, o, mo, to = self._moments.values()[:, 0].T
        bottom, top, quarter = np.moveaxis(self._gaps.values(), 1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            slope = (mo - m * o) / spread(to, t * o)
        return dict(zip(NAMES, (slope, bottom[:, 0], top[:, 0], quarter[:, 1]), strict=True))


class MislabelledAUC:
    """The chance that a mislabelled point's gap is lower than a clean one's.

    Of the examples in the lowest quarter of phi_o: the area under the ROC curve of phi_m - phi_t,
    equal gaps counting half. A model that behaves like one more teacher seed has 1/2 where a
    replicate ranks, since its gaps are as often positive as negative at either kind of point. A
    tenth in place of the quarter would hold hardly a clean point where a fifth of the labels is
    wrong.

    Parameters
    ----------
    phi_model, phi_teacher, phi_order : ndarray, shape (example,)
        Confidence logits of one class of each example.
    mislabelled : ndarray of bool, shape (example,)
        Whose label was moved to another class.

    Notes
    -----
    Resamples use the placements of the full sample: the AUC's linear part, whose variance is that
    of DeLong, DeLong and Clarke-Pearson (1988).
    """

    def __init__(
        self,
        phi_model: np.ndarray,
        phi_teacher: np.ndarray,
        phi_order: np.ndarray,
        mislabelled: np.ndarray,
    ) -> None:
        unsure = phi_order <= quantile_of(phi_order, np.ones(len(phi_order), bool), QUARTER)
        self._where = np.column_stack([unsure & mislabelled, unsure & ~mislabelled])
        gap = phi_model - phi_teacher
        wrong, clean = (gap[where] for where in self._where.T)
        self._placement = np.zeros(len(gap))
        if wrong.size and clean.size:
            self._placement[self._where[:, 0]] = 1 - _placed(wrong, clean)
            self._placement[self._where[:, 1]] = _placed(clean, wrong)
        self._means = Means()

    def add(self, counts: np.ndarray, rows: slice) -> None:
        """Add a block of examples; see `disobey.analysis.resampling.Gathered`."""
        self._means.add(counts, self._placement[rows, None], self._where[rows])

    def statistics(self) -> np.ndarray:
        """Return the AUC, shape (1 + resample,); NaN without a point of either kind."""
        wrong, clean = self._means.values()[..., 0].T
        # On the full sample both means are the AUC.
        return wrong + clean - wrong[0]


def _placed(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which share of ``others`` is below each value, equal ones counting half."""
    ordered = np.sort(others)
    below, up_to = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (below + up_to) / (2 * len(others))
