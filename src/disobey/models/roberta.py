"""A RoBERTa sequence classifier from a `transformers` configuration, from scratch."""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from disobey.data.prepared import Prepared

# RoBERTa's position ids start after the padding index, which is 1 except in some tokenizers.
POSITIONS_BEFORE_TEXT = 2


def build(options: Mapping[str, Any], data: "Prepared") -> nn.Module:
    """Return RoBERTa with ``layers`` layers of width ``hidden``, for the data's vocabulary."""
    from transformers import RobertaConfig

    pad = int(data.attributes["pad"])
    before_text = max(POSITIONS_BEFORE_TEXT, pad + 1)
    config = RobertaConfig(
        vocab_size=int(data.attributes["vocabulary"]),
        pad_token_id=pad,
        max_position_embeddings=data.train.inputs.shape[1] + before_text,
        hidden_size=options["hidden"],
        intermediate_size=4 * options["hidden"],
        num_hidden_layers=options["layers"],
        num_attention_heads=options["heads"],
        hidden_dropout_prob=options["dropout"],
        attention_probs_dropout_prob=options["dropout"],
        num_labels=len(data.class_names),
        type_vocab_size=1,
    )
    return Classifier(config)


class Classifier(nn.Module):
    """`transformers`' sequence classifier as a map from tokens to logits."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        from transformers.models.roberta.modeling_roberta import RobertaForSequenceClassification

        logging.getLogger("transformers").setLevel(logging.ERROR)
        self.pad = config.pad_token_id
        self.roberta = RobertaForSequenceClassification(config)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens (batch, token) to logits (batch, class)."""
        mask = attention_mask(tokens, self.pad, square=tokens.is_cuda)
        return self.roberta(tokens, attention_mask=mask).logits


def attention_mask(tokens: torch.Tensor, pad: int, *, square: bool) -> torch.Tensor:
    """Return the mask of text tokens for `transformers`.

    It is int64 of shape (batch, token) or, if ``square``, bool of shape (batch, 1, token, token),
    for scaled dot product attention. With the first form, `transformers` checks in each step if the
    batch has padding, which waits for the GPU.
    """
    text = tokens != pad
    return text[:, None, None].expand(-1, -1, tokens.shape[1], -1) if square else text.long()
