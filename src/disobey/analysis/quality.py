"""How good a model is, and how faithful to its teacher: features whose means are the statistics."""

from dataclasses import dataclass

import numpy as np

from disobey.analysis.confidence import confidence_logit
from disobey.analysis.resampling import Means

ECE_BINS = 15
# The confidence logit beyond which a softmax in float32 gives a probability of 1.
SATURATION = 24 * np.log(2)
NAMES = (
    "accuracy",
    "clean_accuracy",
    "saturated",
    "nll",
    "brier",
    "given_label_confidence",
    "clean_label_confidence",
)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities in float64, (example, class)."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


@dataclass(frozen=True)
class Outputs:
    """What a block of a model's logits says; made by `read_outputs`.

    Attributes
    ----------
    logits, log_p, p : ndarray, shape (example, class)
        The logits, and log-probabilities and probabilities in float64.
    predicted : ndarray of int, shape (example,)
    phi_own : ndarray of float64, shape (example,)
        Confidence logit of the model's own prediction.
    """

    logits: np.ndarray
    log_p: np.ndarray
    p: np.ndarray
    predicted: np.ndarray
    phi_own: np.ndarray

    def confidence_logit(self, chosen: np.ndarray) -> np.ndarray:
        """Return the confidence logit of the classes ``chosen``, (example,)."""
        phi = self.phi_own.copy()
        others = np.flatnonzero(chosen != self.predicted)
        log_p = self.log_p[others, chosen[others]]
        # What is not predicted has a probability of 1/2 at most: nothing cancels in 1 - p.
        phi[others] = log_p - np.log1p(-np.exp(log_p))
        return phi


def read_outputs(logits: np.ndarray) -> Outputs:
    """Return what a block of logits, (example, class), says."""
    log_p, predicted = log_softmax(logits), logits.argmax(1)
    return Outputs(logits, log_p, np.exp(log_p), predicted, confidence_logit(logits, predicted))


class Quality:
    """Accuracy, NLL, Brier score, ECE, saturation, and confidence in both labels.

    NLL in nats; Brier as the squared distance to the one-hot label; ECE over 15 bins of equal width
    of the model's confidence in its own prediction; confidence in the given and in the clean label
    as a probability.
    """

    def __init__(self) -> None:
        self._means, self._gaps = Means(), Means()

    def add(
        self,
        counts: np.ndarray,
        outputs: Outputs,
        label: np.ndarray,
        clean_label: np.ndarray,
        where: np.ndarray,
    ) -> None:
        """Add a block of examples.

        Parameters
        ----------
        counts : ndarray of float64, shape (1 + resample, example)
        outputs : Outputs
        label, clean_label : ndarray of int, shape (example,)
            The given label, and the one before noise.
        where : ndarray of bool, shape (example, subset)
        """
        correct = outputs.predicted == label
        rows = np.arange(len(label))
        distance = outputs.p.copy()
        distance[rows, label] -= 1
        columns = {
            "accuracy": correct,
            "clean_accuracy": outputs.predicted == clean_label,
            "saturated": outputs.phi_own > SATURATION,
            "nll": -outputs.log_p[rows, label],
            "brier": (distance**2).sum(1),
            "given_label_confidence": outputs.p[rows, label],
            "clean_label_confidence": outputs.p[rows, clean_label],
        }
        self._means.add(counts, np.column_stack([columns[name] for name in NAMES]), where)
        confidence = 1 / (1 + np.exp(-outputs.phi_own))
        inside = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
        gap = (confidence - correct)[:, None] * (inside[:, None] == np.arange(ECE_BINS))
        self._gaps.add(counts, gap, where)

    def statistics(self) -> list[dict[str, np.ndarray]]:
        """Return the statistics of each subset by name, each of shape (1 + resample,)."""
        # ECE: sum over bins of the bin's share times |accuracy - confidence|
        ece = np.abs(self._gaps.values()).sum(2)
        means = np.moveaxis(self._means.values(), 1, 0)
        return [
            dict(zip(NAMES, of_subset.T, strict=True)) | {"ece": ece[:, subset]}
            for subset, of_subset in enumerate(means)
        ]


def entropy(outputs: Outputs) -> np.ndarray:
    """Return the entropy of each example's probabilities in nats, shape (example,)."""
    return -np.einsum("nc,nc->n", outputs.p, outputs.log_p)


def kl_divergence(teacher: Outputs, model: Outputs) -> np.ndarray:
    """Return KL(teacher || model) of each example in nats, shape (example,)."""
    return (teacher.p * (teacher.log_p - model.log_p)).sum(1)


class Fidelity:
    """Top-1 agreement, KL(teacher || model) in nats, and total variation."""

    def __init__(self) -> None:
        self._means = Means()

    def add(
        self,
        counts: np.ndarray,
        outputs: Outputs,
        teacher: Outputs,
        kl: np.ndarray,
        where: np.ndarray,
    ) -> None:
        """Add a block of examples.

        Parameters
        ----------
        counts : ndarray of float64, shape (1 + resample, example)
        outputs, teacher : Outputs
        kl : ndarray, shape (example,)
            Their divergence, see `kl_divergence`.
        where : ndarray of bool, shape (example, subset)
        """
        agree = outputs.predicted == teacher.predicted
        variation = np.abs(teacher.p - outputs.p).sum(1) / 2
        self._means.add(counts, np.column_stack([agree, kl, variation]), where)

    def statistics(self) -> list[dict[str, np.ndarray]]:
        """Return the statistics of each subset by name, each of shape (1 + resample,)."""
        names = ("agreement", "kl_from_teacher", "total_variation")
        means = np.moveaxis(self._means.values(), 1, 0)
        return [dict(zip(names, of_subset.T, strict=True)) for of_subset in means]
