"""The student-teacher plot in four panels, by who predicts the given label."""

import numpy as np

from disobey.analysis.names import DISSECTED, PANELS
from disobey.analysis.resampling import Means


def panel_of(teacher_right: np.ndarray, model_right: np.ndarray) -> np.ndarray:
    """Return the panel of each example as an index of `disobey.analysis.names.PANELS`.

    Parameters
    ----------
    teacher_right, model_right : ndarray of bool, shape (example,)
        Whether each predicts the given label.
    """
    return (~teacher_right + 2 * ~model_right).astype(np.int8)


class Dissection:
    """The share of the examples in each panel, the mean gap there and how many are below.

    Parameters
    ----------
    phi_model, phi_teacher : ndarray, shape (example,)
        Confidence logits of the class that the *teacher* predicts.
    panel : ndarray of int, shape (example,)
        Made by `panel_of`.
    where : ndarray of bool, shape (example,)
        The subset.
    """

    def __init__(
        self,
        phi_model: np.ndarray,
        phi_teacher: np.ndarray,
        panel: np.ndarray,
        where: np.ndarray,
    ) -> None:
        self._gap = phi_model - phi_teacher
        self._panel, self._where = panel, where
        self._shares, self._gaps = Means(), Means()

    def add(self, counts: np.ndarray, rows: slice) -> None:
        """Add a block of examples; see `disobey.analysis.resampling.Gathered`."""
        where = self._where[rows, None]
        inside = where & (self._panel[rows, None] == np.arange(len(PANELS)))
        self._shares.add(counts, inside, where)
        gap = self._gap[rows]
        self._gaps.add(counts, np.column_stack([gap, gap < 0]), inside)

    def statistics(self) -> dict[str, np.ndarray]:
        """Return the statistics by name, each of shape (1 + resample,)."""
        gap, below = np.moveaxis(self._gaps.values(), 2, 0)
        found = zip(self._shares.values()[:, 0].T, gap.T, below.T, strict=True)
        return {
            f"{panel}_{name}": values
            for panel, of_panel in zip(PANELS, found, strict=True)
            for name, values in zip(DISSECTED, of_panel, strict=True)
        }
