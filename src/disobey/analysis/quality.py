"""Quality of a model and fidelity to its teacher: mostly means over examples."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from disobey.analysis.confidence import confidence_logit
from disobey.analysis.names import NATS, PROBABILITY, SHARE, SQUARED_PROBABILITY, Statistic
from disobey.analysis.resampling import Averages, by_subset

ECE_BINS = 15
# The confidence logit beyond which a softmax in float32 returns a probability of 1.
SATURATION = 24 * np.log(2)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities in float64, (example, class)."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def softened(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(logits / temperature) over the last axis, in float64."""
    scaled = logits.astype(np.float64) / temperature
    exponential = np.exp(scaled - scaled.max(-1, keepdims=True))
    probabilities: np.ndarray = exponential / exponential.sum(-1, keepdims=True)
    return probabilities


class Outputs:
    """Probabilities and predictions of a block of a model's logits, (example, class).

    Attributes
    ----------
    logits, log_p, p : ndarray, shape (example, class)
        The logits, and log-probabilities and probabilities in float64.
    predicted : ndarray of int, shape (example,)
    phi_own : ndarray of float64, shape (example,)
        Confidence logit of the model's own prediction.
    """

    def __init__(self, logits: np.ndarray) -> None:
        self.logits, self.log_p, self.predicted = logits, log_softmax(logits), logits.argmax(1)
        self.p, self.phi_own = np.exp(self.log_p), confidence_logit(logits, self.predicted)

    def confidence_logit(self, chosen: np.ndarray) -> np.ndarray:
        """Return the confidence logit of the classes ``chosen``, (example,)."""
        phi = self.phi_own.copy()
        others = np.flatnonzero(chosen != self.predicted)
        log_p = self.log_p[others, chosen[others]]
        # Other classes have a probability of at most 1/2, so 1 - p does not cancel.
        phi[others] = log_p - np.log1p(-np.exp(log_p))
        return phi


def entropy(outputs: Outputs) -> np.ndarray:
    """Return the entropy of each example's probabilities in nats, shape (example,)."""
    return -np.einsum("nc,nc->n", outputs.p, outputs.log_p)


def kl_divergence(teacher: Outputs, model: Outputs) -> np.ndarray:
    """Return KL(teacher || model) of each example in nats, shape (example,)."""
    return (teacher.p * (teacher.log_p - model.log_p)).sum(1)


class Others(NamedTuple):
    """A teacher's replicates on a block of examples, as returned by `mean_teacher`.

    ``p``, (example, class), is the mean of their probabilities; ``predicted``, (teacher, example),
    contains the class that each of them predicts.
    """

    p: np.ndarray
    predicted: np.ndarray


def mean_teacher(replicates: Sequence[Outputs]) -> Others | None:
    """Combine a teacher's replicates into one; None if there are none."""
    if not replicates:
        return None
    p = np.mean([one.p for one in replicates], axis=0)
    return Others(p, np.array([one.predicted for one in replicates]))


@dataclass(frozen=True)
class Block:
    """The inputs of statistics that are means over examples, for one block of examples.

    Attributes
    ----------
    model, teacher : Outputs
        A teacher is its own teacher.
    kl : ndarray, shape (example,)
        KL(teacher || model); empty for a teacher.
    label, clean_label : ndarray of int, shape (example,)
        The given label, and the label before noise; empty if unknown.
    gains : ndarray, shape (example, 4)
        `disobey.analysis.payoff.gains_of`; empty for a teacher, and without labels.
    others : Others or None
        The teacher's replicates; None if there are none.
    """

    model: Outputs
    teacher: Outputs
    kl: np.ndarray
    label: np.ndarray
    clean_label: np.ndarray
    gains: np.ndarray = field(default_factory=lambda: np.empty(0))
    others: Others | None = None

    @property
    def correct(self) -> np.ndarray:
        """True for examples where the model predicts the given label, shape (example,)."""
        return self.model.predicted == self.label


def at(values: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return the value in column ``label`` of each row, shape (example,)."""
    return values[np.arange(len(label)), label]


def _brier(block: Block) -> np.ndarray:
    distance = block.model.p.copy()
    distance[np.arange(len(block.label)), block.label] -= 1
    return np.asarray((distance**2).sum(1))


# Statistics of the student, and of the reference as its control.
FIDELITY = (
    Statistic(
        "agreement", "how many examples m and t put into the same class", SHARE,
        label="agreement with the teacher",
        of=lambda block: block.model.predicted == block.teacher.predicted,
    ),
    Statistic(
        "kl_from_teacher", "mean of KL(t || m), at temperature 1", NATS,
        label="KL divergence from the teacher", of=lambda block: block.kl,
    ),
    Statistic(
        "total_variation", "mean of half the sum over classes of |p_t - p_m|", SHARE,
        of=lambda block: np.abs(block.teacher.p - block.model.p).sum(1) / 2,
    ),
)  # fmt: skip
# Statistics of each model, if there are labels.
QUALITY = (
    Statistic(
        "accuracy", "how many examples are put into the class of their given label", SHARE,
        percent=True, of=lambda block: block.correct,
    ),
    Statistic(
        "clean_accuracy", "into the class of the label before noise", SHARE,
        of=lambda block: block.model.predicted == block.clean_label,
    ),
    Statistic(
        "nll", "mean of -ln p of the given label", NATS,
        of=lambda block: -at(block.model.log_p, block.label),
    ),
    Statistic(
        "brier", "mean squared distance of p to the one-hot given label", SQUARED_PROBABILITY,
        of=_brier,
    ),
    Statistic("ece", f"expected calibration error, {ECE_BINS} bins of equal width", SHARE,
              label="expected calibration error"),
    Statistic(
        "saturated", "how many examples have a p that a softmax in float32 gives as 1", SHARE,
        of=lambda block: block.model.phi_own > SATURATION,
    ),
    Statistic(
        "given_label_confidence", "mean p of the given label", PROBABILITY,
        label="mean probability of the given label", short="p(label)", percent=True,
        of=lambda block: at(block.model.p, block.label),
    ),
    Statistic(
        "clean_label_confidence", "mean p of the label before noise", PROBABILITY,
        of=lambda block: at(block.model.p, block.clean_label),
    ),
)  # fmt: skip


def binned_gap(confidence: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Return each example's gap in the column of its confidence bin, shape (example, ECE_BINS)."""
    inside = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    return np.where(inside[:, None] == np.arange(ECE_BINS), gap[:, None], 0.0)


def example_means(statistics: Sequence[Statistic]) -> Averages:
    """Return `Averages`, by subset, of those ``statistics`` that are means over examples.

    A block is added as a `Block` and the subsets, bool of shape (example, subset).
    """
    averaged = {one.name: one.of for one in statistics if one.of is not None}
    return by_subset(
        lambda block: np.column_stack([of(block) for of in averaged.values()]),
        lambda means: dict(zip(averaged, means.T, strict=True)),
    )


def calibration() -> Averages:
    """Return `Averages` of the expected calibration error (ECE); blocks as in `example_means`.

    ECE is the sum over bins of the bin's share of examples times |accuracy - confidence|, with bins
    of equal width of the model's confidence in its own prediction.
    """

    def gaps(block: Block) -> np.ndarray:
        confidence = 1 / (1 + np.exp(-block.model.phi_own))
        return binned_gap(confidence, confidence - block.correct)

    return by_subset(gaps, lambda means: {"ece": np.abs(means).sum(1)})
