"""Logits with known truth: a signal shared by all models plus each model's own noise."""

import numpy as np

EXAMPLES, CLASSES = 300, 4


def scaled_seeds(*scales, examples=EXAMPLES, classes=CLASSES, seed=0):
    """Return one model per scale of the shared signal; models of equal scale are seeds."""
    rng = np.random.default_rng(seed)
    signal = 3 * rng.normal(size=(examples, classes))
    return [scale * signal + rng.normal(size=signal.shape) for scale in scales]


def two_classes(*scales, examples=20_000, seed=0):
    """Return models of two classes, whose phi is linear in the logits: scales carry over."""
    rng = np.random.default_rng(seed)
    signal = 3 * rng.normal(size=examples)
    odds = [scale * signal + rng.normal(size=examples) for scale in scales]
    return [np.column_stack([z / 2, -z / 2]) for z in odds]


def softmax(logits):
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)
