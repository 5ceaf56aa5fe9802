"""Any sequence classifier of `transformers`, with the architecture of a public checkpoint."""

import json
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from disobey.data.prepared import Prepared
from disobey.data.tokens import stored_tokenizer
from disobey.errors import UserError
from disobey.models.checkpoint import is_made_anew, positions_of
from disobey.stores.layout import CONFIG, WEIGHTS
from disobey.stores.manifest import Manifest

DEPTH = re.compile(r"\.(\d+)\.")  # a layer's number in a weight's name


def build(options: Mapping[str, Any], data: Prepared, inputs: Iterable[Manifest]) -> "Classifier":
    """Return the classifier of the checkpoint's ``config.json``, with random weights.

    Parameters
    ----------
    options : mapping
        ``pretrained``, the id of the store, and optionally ``layers`` and ``dropout``.
    data : Prepared
    inputs : iterable of Manifest
        The job's inputs, which include the store's manifest.

    Raises
    ------
    UserError
        If the data holds another tokenizer's tokens or texts with more tokens than the model has
        positions, or an option does not fit the architecture.
    """
    from transformers import AutoConfig

    pretrained = store_of(options, inputs)
    _check_tokenizer(pretrained, data)
    content = json.loads(pretrained.file(f"{pretrained.id}/{CONFIG}").read_text(encoding="utf-8"))
    _check_positions(pretrained, content, data)
    config = AutoConfig.for_model(**content)
    config.num_labels = len(data.class_names)
    if config.pad_token_id is None:
        config.pad_token_id = int(data.attributes["pad"])
    if "layers" in options:
        _cut(config, options["layers"], pretrained.id)
    if "dropout" in options:
        _drop(config, options["dropout"], pretrained.id)
    return Classifier(config, int(data.attributes["pad"]), int(data.attributes["separator"]))


def store_of(options: Mapping[str, Any], inputs: Iterable[Manifest]) -> Manifest:
    """Return the manifest of the checkpoint's store among a job's inputs.

    Raises
    ------
    UserError
        If the store is not among the inputs.
    """
    for manifest in inputs:
        if manifest.id == options["pretrained"] and manifest.record["stage"] == "pretrained":
            return manifest
    raise UserError(f"the model needs {options['pretrained']}, which is not among --inputs")


def _check_tokenizer(pretrained: Manifest, data: Prepared) -> None:
    tokens = data.train.inputs.shape[1]
    own, given = stored_tokenizer(pretrained, tokens), data.attributes["tokenizer_fingerprint"]
    if own.fingerprint != given:
        raise UserError(
            f"the data holds tokens of another tokenizer (fingerprint {given}) than that of "
            f"{pretrained.id} ({own.fingerprint}), to which they would mean other words; name "
            f"this model in the data set's tokenizer: {{of: ..., max_tokens: {tokens}}}"
        )


def _check_positions(pretrained: Manifest, config: Mapping[str, Any], data: Prepared) -> None:
    positions, tokens = positions_of(config), data.train.inputs.shape[1]
    if positions is not None and tokens > positions:
        raise UserError(
            f"the data has {tokens} tokens a text, but {pretrained.id} has positions for "
            f"{positions}; write max_tokens: {positions}"
        )


def _cut(config: Any, layers: int, name: str) -> None:
    """Set the configuration's number of layers, so that only the first ones are kept."""
    known = config.num_hidden_layers
    if layers > known:
        raise UserError(f"{name} has {known} layers, fewer than layers: {layers}; remove layers")
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]


def _drop(config: Any, dropout: float, name: str) -> None:
    named = [
        key
        for key, value in vars(config).items()
        if ("dropout" in key or "pdrop" in key) and isinstance(value, float | int | None)
    ]
    if not named:
        raise UserError(f"{name} (a {config.model_type}) has no dropout to set; remove dropout")
    for key in named:
        setattr(config, key, dropout)


class Classifier(nn.Module):
    """`transformers`' sequence classifier as a map from tokens to logits.

    Parameters
    ----------
    config : transformers.PreTrainedConfig
    pad, separator : int
        The padding token, and the token that ends each text of a pair.
    """

    def __init__(self, config: Any, pad: int, separator: int) -> None:
        super().__init__()
        from transformers import AutoModelForSequenceClassification

        logging.getLogger("transformers").setLevel(logging.ERROR)
        self.pad, self.separator = pad, separator
        self.typed = getattr(config, "type_vocab_size", 0) > 1
        self.network = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens (batch, token) to logits (batch, class)."""
        given = {"attention_mask": (tokens != self.pad).long()}
        if self.typed:
            given["token_type_ids"] = token_types(tokens, self.pad, self.separator)
        logits: torch.Tensor = self.network(tokens, **given).logits
        return logits


def token_types(tokens: torch.Tensor, pad: int, separator: int) -> torch.Tensor:
    """Return BERT's token types: 1 after the first separator, 0 up to it and on padding.

    Parameters
    ----------
    tokens : Tensor of int, shape (batch, token)
    pad, separator : int
    """
    separators = (tokens == separator).long()
    before = separators.cumsum(1) - separators
    return ((before > 0) & (tokens != pad)).long()


def load_checkpoint(
    model: Classifier, options: Mapping[str, Any], inputs: Iterable[Manifest]
) -> None:
    """Replace the encoder's random weights by the checkpoint's; the head keeps its random weights.

    Raises
    ------
    UserError
        If a weight is unused or missing, except for weights of layers that were cut off.
    """
    pretrained = store_of(options, inputs)
    weights = load_file(pretrained.file(f"{pretrained.id}/{WEIGHTS}"))
    if "layers" in options:
        weights = {name: w for name, w in weights.items() if not _is_cut(name, options["layers"])}
    found = model.network.base_model.load_state_dict(weights, strict=False)
    missing = [name for name in found.missing_keys if not is_made_anew(name)]
    for what, names in (("lacks", missing), ("holds, for no layer,", found.unexpected_keys)):
        if names:
            raise UserError(f"{pretrained.id} {what} {names[0]} ({len(names)} such weights)")


def _is_cut(name: str, layers: int) -> bool:
    depth = DEPTH.search(f".{name}")
    return depth is not None and int(depth[1]) >= layers
