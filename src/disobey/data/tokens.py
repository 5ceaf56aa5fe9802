"""A byte-level BPE trained on the training rows, and the tokens it gives."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Texts = Sequence[str] | Sequence[tuple[str, str]]

# RoBERTa's special tokens, in RoBERTa's order: <pad> is 1.
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
PAD = SPECIAL.index("<pad>")


@dataclass(frozen=True)
class TrainedTokenizer:
    """A tokenizer as text, with the fingerprint that data and models are matched by.

    Attributes
    ----------
    json : str
        The tokenizer, as the package `tokenizers` saves it.
    max_tokens : int
        Longer texts are cut to this many tokens.
    """

    json: str
    max_tokens: int

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any token."""
        return hashlib.sha256(f"{self.max_tokens}:{self.json}".encode()).hexdigest()[:16]

    def encode(self, texts: Texts) -> np.ndarray:
        """Return the tokens of ``texts``: int32, shape (example, token), padded with `PAD`."""
        tokenizer = _tokenizers().Tokenizer.from_str(self.json)
        tokenizer.enable_truncation(self.max_tokens)
        tokenizer.enable_padding(pad_id=PAD, pad_token=SPECIAL[PAD], length=self.max_tokens)
        return np.array([row.ids for row in tokenizer.encode_batch(list(texts))], np.int32)


def train_tokenizer(texts: Iterable[str], vocabulary: int, max_tokens: int) -> TrainedTokenizer:
    """Train a byte-level BPE of at most ``vocabulary`` tokens on ``texts``."""
    library = _tokenizers()
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    begin, end = SPECIAL[0], SPECIAL[2]
    tokenizer.post_processor = library.processors.RobertaProcessing(
        (end, SPECIAL.index(end)), (begin, SPECIAL.index(begin)), trim_offsets=False
    )
    return TrainedTokenizer(tokenizer.to_str(), max_tokens)


def _tokenizers() -> Any:  # noqa: ANN401 - an untyped module
    # One thread: the jobs of a workflow run side by side already.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import tokenizers

    return tokenizers
