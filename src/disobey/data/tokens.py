"""Texts or pairs of texts as tokens, from a BPE trained on the training rows or a checkpoint's.

A tokenizer is JSON in the format of the package `tokenizers`, with the names of two of its tokens.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from disobey.errors import UserError
from disobey.job import Job
from disobey.stores.layout import TOKENIZER, TOKENS
from disobey.stores.manifest import Manifest

# RoBERTa's special tokens, in RoBERTa's order, in which <pad> is 1.
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
BEGIN, PAD_TOKEN, END = SPECIAL[:3]
PAD = SPECIAL.index(PAD_TOKEN)
# The parts of a tokenizer that determine the tokens of a text.
DECIDING = ("normalizer", "pre_tokenizer", "model", "post_processor")

Text = str | tuple[str, str]


@dataclass(frozen=True)
class TextTokenizer:
    """A tokenizer with the maximum length of texts.

    Attributes
    ----------
    json : str
        The tokenizer, in the format of the package `tokenizers`.
    max_tokens : int
        Longer texts are cut to this many tokens, including special ones; the longer text of a pair
        is cut first.
    pad_token, separator_token : str
        The padding token, and the token that ends each text.
    """

    json: str
    max_tokens: int
    pad_token: str = PAD_TOKEN
    separator_token: str = END

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes of a data store of tokens.

        ``vocabulary`` is the largest token plus one; ``pad`` and ``separator`` are tokens.
        """
        return {
            "tokenizer": self.json,
            "tokenizer_fingerprint": self.fingerprint,
            "vocabulary": max(self._tokenizer.get_vocab().values()) + 1,
            "pad": self._tokenizer.token_to_id(self.pad_token),
            "separator": self._tokenizer.token_to_id(self.separator_token),
        }

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change if any text could get other tokens."""
        content = json.loads(self.json)
        deciding = {key: content[key] for key in DECIDING}
        if deciding["post_processor"]:  # affects only a token's position in the text
            deciding["post_processor"].pop("trim_offsets", None)
        deciding["added"] = [(token["id"], token["content"]) for token in content["added_tokens"]]
        deciding |= {"max_tokens": self.max_tokens, "pad": self.pad_token}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:16]

    def encode(self, texts: Sequence[Text]) -> np.ndarray:
        """Return the tokens of texts or of pairs of texts.

        A special token's name inside a text is treated as ordinary text.

        Returns
        -------
        ndarray of int32, shape (example, token)
            Tokens, padded with ``pad`` after the text.

        Raises
        ------
        UserError
            If ``max_tokens`` leaves no room for tokens other than special ones.
        """
        tokenizer, pad = self._tokenizer, self.attributes["pad"]
        special = tokenizer.num_special_tokens_to_add(any(not isinstance(t, str) for t in texts))
        if special >= self.max_tokens:
            raise UserError(
                f"tokenizer: {special} of max_tokens ({self.max_tokens}) are special ones; write "
                f"max_tokens: 128"
            )
        tokenizer.encode_special_tokens = True
        tokenizer.enable_truncation(self.max_tokens, strategy="longest_first")
        tokenizer.enable_padding(pad_id=pad, pad_token=self.pad_token, length=self.max_tokens)
        return np.array([row.ids for row in tokenizer.encode_batch(list(texts))], np.int32)

    @cached_property
    def _tokenizer(self) -> Any:
        return _tokenizers().Tokenizer.from_str(self.json)


def tokenizer_of(job: "Job", texts: Iterable[Text]) -> TextTokenizer:
    """Return the tokenizer that a data set's spec requests: a checkpoint's, or a trained one.

    Parameters
    ----------
    job : Job
        Its spec must have ``tokenizer``.
    texts : iterable of str or of pairs of str
        The texts of the training rows.
    """
    spec = job.spec["tokenizer"]
    if "pretrained" in spec:
        return stored_tokenizer(job.input(spec["pretrained"], "pretrained"), spec["max_tokens"])
    return train_tokenizer(texts, spec["vocabulary"], spec["max_tokens"])


def stored_tokenizer(pretrained: "Manifest", max_tokens: int) -> TextTokenizer:
    """Return the tokenizer of a pretrained model's store."""
    text = pretrained.file(f"{pretrained.id}/{TOKENIZER}").read_text(encoding="utf-8")
    about = json.loads(pretrained.file(f"{pretrained.id}/{TOKENS}").read_text(encoding="utf-8"))
    return TextTokenizer(text, max_tokens, about["pad_token"], about["sep_token"])


def train_tokenizer(texts: Iterable[Text], vocabulary: int, max_tokens: int) -> TextTokenizer:
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
    single = (text for row in texts for text in ([row] if isinstance(row, str) else row))
    tokenizer.train_from_iterator(single, trainer)
    tokenizer.post_processor = library.processors.RobertaProcessing(
        (END, SPECIAL.index(END)), (BEGIN, SPECIAL.index(BEGIN)), trim_offsets=False
    )
    return TextTokenizer(tokenizer.to_str(), max_tokens)


def plain_tokenizer(text: str) -> str:
    """Return a saved tokenizer without its saved truncation and padding."""
    tokenizer = _tokenizers().Tokenizer.from_str(text)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    saved: str = tokenizer.to_str()
    return saved


def _tokenizers() -> Any:
    # One thread, since the jobs of a workflow already run in parallel.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import tokenizers

    return tokenizers
