"""Logits of all examples: in order, and texts without needless padding."""

import numpy as np
import pytest
import torch

from disobey.errors import UserError
from disobey.training import predictions as module
from disobey.training.predictions import predictions


class Texts:
    """Tokens of made-up texts, cut behind the longest of a batch; counts what it hands out."""

    def __init__(self, length):
        self.length, self.read = np.asarray(length), 0
        self.tokens = torch.zeros(len(length), max(length), dtype=torch.long)
        for row, number in enumerate(length):
            self.tokens[row, :number] = row + 1

    def batch(self, index):
        width = int(self.length[index.numpy()].max())
        self.read += width * len(index)
        return self.tokens[index, :width]


def model(tokens):
    """Return logits that encode the identity and the length of each text."""
    return torch.stack([tokens.max(1).values, (tokens > 0).sum(1)], 1)


def gathered(inputs, examples):
    found = list(predictions(model, inputs, examples, "the test split"))
    rows = [row for part, _ in found for row in range(part.start, part.stop)]
    return rows, torch.cat([values for _, values in found])


@pytest.mark.parametrize("examples", [1, 7, 100])
def test_texts_keep_their_order_and_share_batches_with_texts_of_their_length(monkeypatch, examples):
    monkeypatch.setattr(module, "BATCH", 4)
    length = np.random.default_rng(0).integers(1, 40, examples)
    inputs = Texts(length)
    rows, logits = gathered(inputs, examples)
    assert rows == list(range(examples))
    assert logits[:, 0].tolist() == list(range(1, examples + 1))
    assert logits[:, 1].tolist() == length.tolist()
    monkeypatch.setattr(module, "SORTED", 1)
    alone = Texts(length)
    gathered(alone, examples)
    assert inputs.read <= alone.read and (examples < 100 or inputs.read < 0.8 * alone.read)


def test_a_logit_that_is_not_finite_ends_the_job():
    with pytest.raises(UserError, match="a logit of the test split is not finite"):
        list(predictions(lambda _: torch.full((3, 2), float("nan")), Texts([1, 2, 3]), 3,
                         "the test split"))  # fmt: skip
