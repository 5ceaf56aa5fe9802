"""Functions for notebooks: they take arrays and import neither torch nor Snakemake.

``from disobey import compare, confidence_logit, exaggeration, linear_path``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from disobey.analysis import linear
from disobey.analysis.confidence import confidence_logit as _confidence_logit

if TYPE_CHECKING:
    from disobey.comparison.result import Comparison

# A model: an array of logits (example, class), one array per split, or a file of logits.
Model = ArrayLike | Mapping[str, ArrayLike] | str | Path

__all__ = ["compare", "confidence_logit", "exaggeration", "linear_path"]


def confidence_logit(logits: ArrayLike, chosen: ArrayLike | None = None) -> np.ndarray:
    """Return phi(p_c) = ln(p_c / (1 - p_c)), a model's confidence in one class of each example.

    Computed from logits, z[c] - logsumexp_{k != c} z[k], in float64 and at temperature 1: in
    float32 a probability rounds to 1 at a gap of 17 logits.

    Parameters
    ----------
    logits : array_like, shape (example, class)
        The scores before softmax; at least two classes.
    chosen : array_like of int, shape (example,), optional
        The class c of each example; by default the model's own prediction. The paper's plot uses
        the *teacher's* prediction for both teacher and student.

    Returns
    -------
    ndarray of float64, shape (example,)
        In logits (natural logarithm of the odds).

    Raises
    ------
    ValueError
        For fewer than two classes, shapes that do not fit, or classes that do not exist.

    Examples
    --------
    >>> confidence_logit([[2.0, 0.0], [0.0, 3.0]])
    array([2., 3.])
    >>> confidence_logit([[2.0, 0.0], [0.0, 3.0]], chosen=[0, 0])
    array([ 2., -3.])
    """
    if np.ma.is_masked(logits):
        raise ValueError("logits must not be masked; give all of them")
    z = np.asarray(logits)
    fits = z.ndim == 2 and z.shape[1] > 1
    classes = z.argmax(-1) if chosen is None and fits else np.asarray(chosen)
    if fits and classes.size and np.issubdtype(classes.dtype, np.integer):
        if classes.min() < 0 or classes.max() >= z.shape[1]:
            raise ValueError(
                f"chosen must be classes 0 to {z.shape[1] - 1}, got {classes.min()} to "
                f"{classes.max()}"
            )
    elif chosen is not None and not np.issubdtype(classes.dtype, np.integer):
        raise ValueError(f"chosen must be whole numbers, got {classes.dtype}")
    return _confidence_logit(z, classes)


def exaggeration(
    teacher: ArrayLike, student: ArrayLike, replicates: Sequence[ArrayLike]
) -> "Exaggeration":
    """Estimate how much a student exaggerates the confidence that teachers share.

    For each replicate r, with c the class that r predicts and phi the `confidence_logit` of c::

        A = cov(phi_student, phi_r) / cov(phi_teacher, phi_r),
        G(q) = mean(phi_student - phi_teacher) in decile q of phi_r,

    averaged over replicates. Conditioning on a third model removes the teacher's own noise: a
    student that behaves like another seed of the teacher has A = 1 and G = 0. The estimator is
    ours; the paper's plot is conditioned on the teacher.

    Parameters
    ----------
    teacher, student : array_like, shape (example, class)
        Logits over the same examples.
    replicates : sequence of array_like, shape (example, class)
        Teachers of other seeds: same data, label noise and recipe; at least one.

    Returns
    -------
    Exaggeration

    Raises
    ------
    UserError
        If there are no replicates, or for arrays that `compare` refuses.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shared = 3 * rng.normal(size=(20_000, 1))
    >>> def model(scale):
    ...     odds = scale * shared + rng.normal(size=shared.shape)
    ...     return np.hstack([odds, -odds]) / 2
    >>> exaggeration(model(1), model(1.2), [model(1)])
    Exaggeration(A = 1.19, G(bottom decile) = 0.05, G(top decile) = 1.14, replicates = 1)
    """
    from disobey.analysis.names import EXAGGERATION, GAPS, STUDENT
    from disobey.errors import UserError

    if not len(replicates):
        raise UserError(
            "replicates: at least one teacher of another seed is needed; without one the student's "
            "slope on its teacher shows the teacher's noise as much as the student"
        )
    found = compare(teacher, student, replicates=replicates, resamples=0)
    a, *gaps = (found.value(name, STUDENT) for name in (EXAGGERATION, *GAPS))
    return Exaggeration(a, np.array(gaps), found.replicates)


@dataclass(frozen=True, eq=False, repr=False)
class Exaggeration:
    """Result of `disobey.exaggeration`.

    Attributes
    ----------
    a : float
        A, a ratio: above 1 the student exaggerates. An estimate from one pair, with no interval.
    gaps : ndarray of float64, shape (10,)
        G of each decile of the replicates' confidence, in logits, least confident first.
    replicates : int
        Number of replicates averaged over.
    """

    a: float
    gaps: np.ndarray
    replicates: int

    def __repr__(self) -> str:
        return (
            f"Exaggeration(A = {self.a:.2f}, G(bottom decile) = {self.gaps[0]:z.2f}, "
            f"G(top decile) = {self.gaps[-1]:z.2f}, replicates = {self.replicates})"
        )


def compare(
    teacher: Model,
    student: Model,
    *,
    reference: Model | None = None,
    replicates: Sequence[Model] = (),
    pairs: Sequence[Sequence[Model]] = (),
    labels: Model | None = None,
    probabilities: bool = False,
    split: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> "Comparison":
    """Test the paper's claims about confidence for a teacher and its student, from their logits.

    Parameters
    ----------
    teacher, student : array_like of float, shape (example, class), mapping, or path
        Logits; a mapping with ``train`` and ``test`` for both splits, which may also hold
        ``train_label``, ``test_example_id`` and so on; or the path of a file of them.
    reference : like teacher, optional
        A model with the student's architecture, initialisation and batch order, trained on labels
        alone.
    replicates : sequence of the same
        Teachers of other seeds. Without any, A, G, A_z and B, and so most claims, have no value.
    pairs : sequence of (teacher, student) or (teacher, student, reference)
        Further pairs, one per seed: intervals are then over seeds, and there are verdicts. The
        teachers of the other pairs serve as replicates.
    labels : array_like of int, shape (example,), mapping, or path, optional
        Classes 0 to class - 1; needed if the models' files contain no labels.
    probabilities : bool
        Whether all models are given as probabilities: the logits are then ln p. Zeros are refused.
    split : str, optional
        The split of arrays that do not name one: ``test`` (the default) or ``train``.
    resamples : int
        Number of bootstrap resamples of the test examples.
    seed : int
        Seed of the resampling.

    Returns
    -------
    disobey.comparison.result.Comparison
        Its printed form shows the verdicts and what cannot be concluded.

    Raises
    ------
    disobey.errors.UserError
        For invalid input, naming the array and row; see ``disobey.comparison.alignment``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shared = 3 * rng.normal(size=(500, 4))
    >>> teacher, student, other = (shared + rng.normal(size=shared.shape) for _ in range(3))
    >>> found = compare(teacher, student, replicates=[other], labels=shared.argmax(1))
    >>> round(found.value("exaggeration"), 1), found.value("agreement") > 0.7
    (1.0, True)
    """
    from disobey.comparison.comparing import compare_models

    return compare_models(
        [(teacher, student) if reference is None else (teacher, student, reference), *pairs],
        replicates, labels, probabilities, split, resamples, seed,
    )  # fmt: skip


def linear_path(
    inputs: ArrayLike,
    targets: ArrayLike,
    times: ArrayLike,
    teacher_stop: float | Sequence[float] = (),
) -> "LinearPath":
    """Return the path of gradient flow from zero on 1/2 ||X b - y||^2, by eigendirection.

    With X = U S V', lambda_k = s_k^2, a teacher stopped at T and one round of distillation::

        one-hot:  b_k(t) = (u_k.y / s_k) (1 - e^(-lambda_k t)),
        student:  b_k(t) = (u_k.y / s_k) (1 - e^(-lambda_k t)) (1 - e^(-lambda_k T)).

    The paper's theorem: when both have made equal progress along direction 1, the student has made
    less progress along the others.

    Parameters
    ----------
    inputs : array_like, shape (example, feature)
        X.
    targets : array_like, shape (example,)
        y.
    times : array_like, shape (time,)
        Positive, in units of 1 / eigenvalue; gradient descent with a small step size eta reaches
        time t after t / eta steps.
    teacher_stop : float or sequence of float
        T, in the same unit; several for repeated distillation, empty for the one-hot path.

    Returns
    -------
    LinearPath

    Raises
    ------
    ValueError
        For shapes that do not fit, non-finite values or times that are not positive.

    Examples
    --------
    >>> path = linear_path(np.diag([2.0, 1.0]), [2.0, 1.0], times=[0.5, np.inf], teacher_stop=1.0)
    >>> path
    LinearPath(directions = 2, times = 2, teacher stopped at 1)
    >>> path.eigenvalues
    array([4., 1.])
    >>> path.progress.round(3)
    array([[0.849, 0.249],
           [0.982, 0.632]])
    """
    stops = tuple(np.atleast_1d(np.asarray(teacher_stop, float)).tolist())
    spectrum = linear.Spectrum.from_data(inputs, targets)
    moments = np.atleast_1d(np.asarray(times, float))
    along = linear.paths(spectrum, moments, stops)
    return LinearPath(
        spectrum.eigenvalues, spectrum.limit, moments, stops, along, along @ spectrum.directions
    )


@dataclass(frozen=True, eq=False, repr=False)
class LinearPath:
    """Result of `disobey.linear_path`.

    Attributes
    ----------
    eigenvalues : ndarray, shape (direction,)
        lambda_k of X'X, largest first.
    limit : ndarray, shape (direction,)
        u_k.y / s_k, where the one-hot path ends.
    times : ndarray, shape (time,)
    teacher_stops : tuple of float
        Empty for the one-hot path.
    along : ndarray, shape (time, direction)
        b_k(t) in the eigenbasis.
    weights : ndarray, shape (time, feature)
        b(t) in the coordinates of X.
    """

    eigenvalues: np.ndarray
    limit: np.ndarray
    times: np.ndarray
    teacher_stops: tuple[float, ...]
    along: np.ndarray
    weights: np.ndarray

    @property
    def progress(self) -> np.ndarray:
        """b_k(t) as a share of the one-hot limit, (time, direction); NaN where the limit is 0."""
        share = np.full_like(self.along, np.nan)
        return np.divide(self.along, self.limit, out=share, where=self.limit != 0)

    def __repr__(self) -> str:
        stops = ", ".join(f"{stop:g}" for stop in self.teacher_stops)
        how = f"teacher stopped at {stops}" if stops else "one-hot"
        return f"LinearPath(directions = {len(self.limit)}, times = {len(self.times)}, {how})"
