"""Fetch a public checkpoint: its encoder's weights, configuration and tokenizer in one store."""

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from disobey.data.tokens import plain_tokenizer
from disobey.errors import UserError
from disobey.models.checkpoint import (
    FILES,
    checkpoint_files,
    convert,
    is_made_anew,
    without_weights,
)
from disobey.stores.contents import read_content
from disobey.stores.layout import CONFIG, TOKENIZER, TOKENS, WEIGHTS

if TYPE_CHECKING:
    from disobey.stages.job import Job

# Short enough to be typed, and no more weights than needed.
ROUGHLY = ("*.json", "*.txt", "*.model", "model*.safetensors")


def run(job: "Job") -> None:
    """Write the checkpoint that the spec names by its name on the hub or by its content.

    The store is a checkpoint of `transformers` itself, in float32, without any head.
    """
    folder = _on_the_hub(job) if "checkpoint" in job.spec else _on_disk(job)
    with _readable(folder):
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


def _on_disk(job: "Job") -> Path:
    """Return the folder of a checkpoint that holds what the study was planned with."""
    if job.source is None:
        raise UserError("the spec names a content, not a place; add --source FOLDER")
    folder = Path(job.source)
    found = read_content(checkpoint_files(folder))
    if found != job.spec["content"]:
        raise UserError(
            f"{folder}: has changed since the study was planned (content {found[:12]}…, planned "
            f"{job.spec['content'][:12]}…); call snakemake again"
        )
    return folder


def _on_the_hub(job: "Job") -> Path:
    """Return the folder of the hub's cache that holds the checkpoint; fetch what is not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, revision = job.spec["checkpoint"], job.spec.get("revision")
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    except RevisionNotFoundError:
        raise UserError(f"{name} has no revision '{revision}' on the hub; correct it") from None
    except GatedRepoError:
        raise UserError(f"{name}: its terms must be accepted on the hub first") from None
    except RepositoryNotFoundError:
        raise UserError(f"{name}: the hub has no such checkpoint; correct the name") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, ConnectionError) as error:
        raise UserError(_offline(job, name, revision, error)) from None
    print(f"{name} is at commit {folder.name}")
    try:
        checkpoint_files(folder)
    except UserError:
        raise UserError(f"{name} holds {without_weights([])}; {convert(name)}") from None
    return folder


def _offline(job: "Job", name: str, revision: str | None, error: Exception) -> str:
    """Return in words how to bring a checkpoint to a machine without a network."""
    at = f" --revision {revision}" if revision else ""
    wanted = " ".join(f"--include '{form}'" for form in ROUGHLY)
    return (
        f"{name} is not in the hub's cache of this machine and cannot be fetched "
        f"({type(error).__name__}). Where there is a network and the same home folder, call\n"
        f"  hf download {name}{at} {wanted}\n"
        f"or make the store itself there, in this folder:\n"
        f"  python -m disobey pretrained --spec '{json.dumps(job.spec)}' --code {job.code} "
        f"--output {job.output}"
    )


@contextlib.contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Turn what `transformers` says of a checkpoint that it cannot read into one line."""
    from safetensors import SafetensorError
    from transformers.utils import logging as its_logging

    logging.getLogger("transformers").setLevel(logging.ERROR)
    its_logging.disable_progress_bar()
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        first = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{folder}: transformers cannot read it as a sequence classifier: {first}"
        ) from error


def _encoder(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return configuration and weights, without those of a head and without what is missing."""
    import torch
    from transformers import AutoModelForSequenceClassification

    model, found = AutoModelForSequenceClassification.from_pretrained(
        folder,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        dtype=torch.float32,
        output_loading_info=True,
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
    """Refuse two names of one weight, which safetensors cannot store; encoders have none."""
    first: dict[int, str] = {}
    for name, weight in weights.items():
        known = first.setdefault(weight.data_ptr(), name)
        if known != name:
            raise UserError(
                f"{folder}: {known} and {name} are one weight under two names, as in models with "
                f"a decoder, which are not supported; choose an encoder such as RoBERTa"
            )


def _tokenizer(folder: Path) -> tuple[str, dict[str, str]]:
    """Return the tokenizer as text, and the names of its padding and its separator."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        folder, trust_remote_code=False, local_files_only=True
    )
    names = {"pad_token": tokenizer.pad_token, "sep_token": tokenizer.sep_token}
    lacking = [name for name, token in names.items() if token is None]
    if lacking or not tokenizer.is_fast:
        what = f"no {' and no '.join(lacking)}" if lacking else "no tokenizer.json"
        raise UserError(f"{folder}: its tokenizer has {what}; choose another checkpoint")
    return plain_tokenizer(tokenizer.backend_tokenizer.to_str()), names
