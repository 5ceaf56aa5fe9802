"""Fetch a public checkpoint: its encoder's weights, configuration and tokenizer in one store."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from disobey.data.tokens import plain_tokenizer
from disobey.errors import UserError
from disobey.job import Job
from disobey.models.checkpoint import SAFELY, fetched, is_made_anew, readable
from disobey.stores.layout import CONFIG, TOKENIZER, TOKENS, WEIGHTS


def run(job: "Job") -> None:
    """Write the checkpoint that the spec names by its name on the hub or by its content.

    The store is a checkpoint of `transformers` itself, in float32, without any head.
    """
    folder = fetched(job)
    with readable(folder):
        config, weights = _encoder(folder)
        tokenizer, tokens = _tokenizer(folder)
    from safetensors.torch import save_file

    with job.write(job.store / CONFIG) as path:
        path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    with job.write(job.store / WEIGHTS) as path:
        save_file(weights, path)
    with job.write(job.store / TOKENIZER) as path:
        path.write_text(tokenizer, encoding="utf-8")
    with job.write(job.store / TOKENS) as path:
        path.write_text(json.dumps(tokens, indent=1) + "\n", encoding="utf-8")


def _encoder(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return configuration and weights of an encoder, without those of a head."""
    import torch
    from transformers import AutoModelForSequenceClassification

    model, found = AutoModelForSequenceClassification.from_pretrained(
        folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **SAFELY
    )
    prefix = f"{model.base_model_prefix}."
    missing = {name.removeprefix(prefix) for name in found["missing_keys"] if
               name.startswith(prefix)}  # fmt: skip
    lost = sorted(name for name in missing if not is_made_anew(name))
    if lost:
        raise UserError(
            f"{folder}: its weights lack {lost[0]} ({len(lost)} such), so they are not those of "
            f"a {model.config.model_type}; is {CONFIG} another model's?"
        )
    weights = {
        name: weight.contiguous()
        for name, weight in model.base_model.state_dict().items()
        if name not in missing
    }
    _refuse_ties(folder, weights)
    return model.config.to_dict(), weights


def _refuse_ties(folder: Path, weights: Mapping[str, Any]) -> None:
    """Refuse weights that share memory: safetensors cannot store them, and encoders have none."""
    first: dict[int, str] = {}
    for name, weight in weights.items():
        known = first.setdefault(weight.data_ptr(), name)
        if known != name:
            raise UserError(
                f"{folder}: {known} and {name} are one weight under two names, as in models with "
                f"a decoder, which are not supported; choose an encoder such as RoBERTa"
            )


def _tokenizer(folder: Path) -> tuple[str, dict[str, str]]:
    """Return the tokenizer as text, and its padding and separator tokens by name."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, **SAFELY)
    names = {"pad_token": tokenizer.pad_token, "sep_token": tokenizer.sep_token}
    lacking = [name for name, token in names.items() if token is None]
    if lacking or not tokenizer.is_fast:
        what = f"no {' and no '.join(lacking)}" if lacking else "no tokenizer.json"
        raise UserError(f"{folder}: its tokenizer has {what}; choose another checkpoint")
    return plain_tokenizer(tokenizer.backend_tokenizer.to_str()), names
