"""How good a model is, and how faithful to its teacher: features whose means are the statistics."""

from collections.abc import Callable

import numpy as np

from disobey.analysis.confidence import BLOCK
from disobey.analysis.resampling import Resamples

ECE_BINS = 15
# The confidence logit beyond which a float32 probability rounds to 1.
SATURATION = 24 * np.log(2)
OF_PROBABILITIES = ("nll", "brier", "given_label_confidence", "clean_label_confidence")


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities in float64, (example, class)."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def blockwise(function: Callable[..., np.ndarray], *arrays: np.ndarray) -> np.ndarray:
    """Apply a row-wise ``function`` to blocks of rows, so that memory stays small."""
    return np.concatenate(
        [
            function(*(array[start : start + BLOCK] for array in arrays))
            for start in range(0, len(arrays[0]), BLOCK)
        ]
    )


def quality(
    resamples: Resamples,
    logits: np.ndarray,
    label: np.ndarray,
    clean_label: np.ndarray,
    phi_own: np.ndarray,
    where: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return accuracy, NLL, Brier score, ECE, saturation, and confidence in both labels.

    Parameters
    ----------
    resamples : Resamples
    logits : ndarray, shape (example, class)
    label, clean_label : ndarray of int, shape (example,)
        The given label, and the one before noise.
    phi_own : ndarray, shape (example,)
        Confidence logit of the model's own prediction.
    where : ndarray of bool, shape (example,)
        The subset.

    Returns
    -------
    dict of str to ndarray, shape (1 + resample,)
        NLL in nats; Brier as the squared distance to the one-hot label; ECE over 15 bins of equal
        width of the model's confidence in its own prediction; confidence in the given and in the
        clean label as a probability.
    """
    of_probabilities = blockwise(_of_probabilities, logits, label, clean_label)
    predicted = logits.argmax(1)
    correct = predicted == label
    columns = [correct, predicted == clean_label, phi_own > SATURATION, *of_probabilities.T]
    means = resamples.means(np.column_stack(columns), where).T
    names = ("accuracy", "clean_accuracy", "saturated", *OF_PROBABILITIES)
    return dict(zip(names, means, strict=True)) | {
        "ece": _ece(resamples, 1 / (1 + np.exp(-phi_own)), correct, where)
    }


def _of_probabilities(logits: np.ndarray, label: np.ndarray, clean_label: np.ndarray) -> np.ndarray:
    """Return the columns `OF_PROBABILITIES`."""
    log_p = log_softmax(logits)
    rows = np.arange(len(label))
    given, clean = log_p[rows, label], log_p[rows, clean_label]
    distance = np.exp(log_p)
    distance[rows, label] -= 1
    brier = (distance**2).sum(1)
    return np.column_stack([-given, brier, np.exp(given), np.exp(clean)])


def _ece(
    resamples: Resamples, confidence: np.ndarray, correct: np.ndarray, where: np.ndarray
) -> np.ndarray:
    """Return sum over bins of the bin's share times |accuracy - confidence|."""
    inside = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    gap = (confidence - correct)[:, None] * (inside[:, None] == np.arange(ECE_BINS))
    return np.abs(resamples.means(gap, where)).sum(1)


def fidelity(
    resamples: Resamples, logits: np.ndarray, teacher: np.ndarray, where: np.ndarray
) -> dict[str, np.ndarray]:
    """Return top-1 agreement, KL(teacher || model) in nats, and total variation.

    Parameters
    ----------
    resamples : Resamples
    logits, teacher : ndarray, shape (example, class)
    where : ndarray of bool, shape (example,)

    Returns
    -------
    dict of str to ndarray, shape (1 + resample,)
    """
    means = resamples.means(blockwise(_distances, logits, teacher), where).T
    return dict(zip(("agreement", "kl_from_teacher", "total_variation"), means, strict=True))


def _distances(logits: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    log_m, log_t = log_softmax(logits), log_softmax(teacher)
    p_t = np.exp(log_t)
    agree = logits.argmax(1) == teacher.argmax(1)
    kl = (p_t * (log_t - log_m)).sum(1)
    return np.column_stack([agree, kl, np.abs(p_t - np.exp(log_m)).sum(1) / 2])
