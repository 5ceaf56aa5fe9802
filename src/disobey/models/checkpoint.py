"""A public checkpoint of `transformers`: its files and configuration, on disk or on the hub.

This module does not import torch.
"""

import contextlib
import fnmatch
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from disobey.errors import UserError
from disobey.job import Job
from disobey.stores.contents import read_content
from disobey.stores.layout import CONFIG

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.txt", "vocab.json", "merges.txt", "spm.model", "spiece.model",
    "sentencepiece.bpe.model", "tokenizer.model", "bpe.codes",
)  # fmt: skip
# The files of a checkpoint that are read; its content hash covers these.
FILES = (CONFIG, "model*.safetensors", "model.safetensors.index.json", *TOKENIZER_FILES)
PREPROCESSOR = "preprocessor_config.json"
# A classifier that is not trained further also has a file on the preprocessing of images.
CLASSIFIER_FILES = (*FILES, PREPROCESSOR, "processor_config.json")
# The first bytes of the pointer that replaces a large file in a clone without Git LFS.
POINTER = b"version https://git-lfs"
# Pickles, which can run arbitrary code when they are read.
PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth")
# Architectures whose position ids start after the padding index, as in RoBERTa's code.
BEHIND_PADDING = (
    "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "camembert", "xmod",
    "data2vec-text", "longformer", "mpnet",
)  # fmt: skip
# The assumed configuration of a checkpoint that is not fetched yet [FacebookAI/roberta-base].
ROBERTA_BASE: Mapping[str, Any] = {
    "model_type": "roberta", "hidden_size": 768, "intermediate_size": 3072,
    "num_hidden_layers": 12, "num_attention_heads": 12, "vocab_size": 50265,
    "max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1,
}  # fmt: skip
# DistilBERT's names of options that have the same names in all other architectures.
ALIASES = {"hidden_size": "dim", "intermediate_size": "hidden_dim",
           "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}  # fmt: skip


def checkpoint_files(folder: Path, files: Sequence[str] = FILES) -> list[Path]:
    """Return the files of a checkpoint whose names match ``files``, sorted by name.

    Parameters
    ----------
    folder : Path
    files : sequence of str
        Patterns of file names.

    Raises
    ------
    UserError
        If the configuration or the weights in safetensors are missing or unreadable.
    """
    if not os.path.isdir(folder):  # a name may be too long
        raise UserError(f"{folder}: there is no such folder")
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    found = [name for name in names if any(fnmatch.fnmatchcase(name, form) for form in files)]
    if CONFIG not in found:
        raise UserError(f"{folder}: holds no {CONFIG}, so it is not a checkpoint of transformers")
    if read_config(folder) is None:
        raise UserError(f"{folder / CONFIG}: is not a JSON object in UTF-8; save it as one")
    for name in found:
        with open(folder / name, "rb") as stream:
            if stream.read(len(POINTER)) == POINTER:
                raise UserError(f"{folder / name}: only names a file of Git LFS; git lfs pull")
    if not any(name.endswith(".safetensors") for name in found):
        pickles = [name for name in names if any(fnmatch.fnmatch(name, form) for form in PICKLES)]
        raise UserError(
            f"{folder}: holds {without_weights(pickles)}; {convert(str(folder), folder)}"
        )
    return [folder / name for name in found]


def without_weights(pickles: list[str]) -> str:
    """Return a phrase on the files of a checkpoint without safetensors, for error messages."""
    if not pickles:
        return "no model.safetensors"
    return f"its weights only as {pickles[0]}, a pickle, which can run any code when it is read"


def convert(name: str, folder: Path) -> str:
    """Return instructions for saving a checkpoint in safetensors, for error messages.

    Parameters
    ----------
    name : str
        A folder, or a name on the hub.
    folder : Path
        Folder of the configuration, which names the class of the saved model; another class would
        lose the trained head.
    """
    classes = (read_config(folder) or {}).get("architectures") or ["AutoModel"]
    saved = [kind for kind in map(str, classes) if kind.isidentifier()][:1] or ["AutoModel"]
    names = [path.name for path in folder.iterdir()]
    if any(fnmatch.fnmatchcase(file, form) for file in names for form in TOKENIZER_FILES):
        saved.append("AutoTokenizer")
    if PREPROCESSOR in names:
        saved.append("AutoImageProcessor")
    steps = (f"t.{kind}.from_pretrained(n).save_pretrained('converted')" for kind in saved)
    return (
        f'if you trust it, convert it once and name the new folder: python -c "import transformers '
        f"as t; n = '{name}'; {'; '.join(steps)}\""
    )


def read_config(folder: Path) -> dict[str, Any] | None:
    """Return a checkpoint's configuration; None if it cannot be read."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def number(config: Mapping[str, Any], name: str) -> int:
    """Return one of a configuration's sizes; that of roberta-base if it is missing."""
    value = config.get(name, config.get(ALIASES.get(name, name), ROBERTA_BASE[name]))
    return value if isinstance(value, int) else int(ROBERTA_BASE[name])


def positions_of(config: Mapping[str, Any]) -> int | None:
    """Return the maximum number of tokens of a model's input; None if unlimited."""
    positions = config.get("max_position_embeddings", config.get("n_positions"))
    if not isinstance(positions, int):
        return None
    if config.get("model_type") in BEHIND_PADDING:
        positions -= int(config.get("pad_token_id") or 0) + 1
    return positions


def is_made_anew(weight: str) -> bool:
    """Return True if a weight belongs to the pooling layer of a classifier.

    Checkpoints of language models lack this layer, which is then newly initialised like the head.
    """
    return weight.startswith("pooler.")


# Options for loading: without code of the repository, and without network.
SAFELY = {"trust_remote_code": False, "local_files_only": True}
# Patterns for the download command in messages: short to type, and only the needed weights.
ROUGHLY = ("*.json", "*.txt", "*.model", "model*.safetensors")


def fetched(job: "Job", files: Sequence[str] = FILES) -> Path:
    """Return the folder of the checkpoint that a job's spec names by content or by its hub name.

    Parameters
    ----------
    job : Job
    files : sequence of str
        Patterns of the names of the files that are read.

    Raises
    ------
    UserError
        If the folder has changed since the study was planned, or if the hub does not have the
        checkpoint or cannot be reached.
    """
    return _on_the_hub(job, files) if "checkpoint" in job.spec else _on_disk(job, files)


def _on_disk(job: "Job", files: Sequence[str]) -> Path:
    """Return the folder of a checkpoint; UserError if its content changed since planning."""
    if job.source is None:
        raise UserError("the spec names a content, not a place; add --source FOLDER")
    folder = Path(job.source)
    found = read_content(checkpoint_files(folder, files))
    if found != job.spec["content"]:
        raise UserError(
            f"{folder}: has changed since the study was planned (content {found[:12]}…, planned "
            f"{job.spec['content'][:12]}…); call snakemake again"
        )
    return folder


def _on_the_hub(job: "Job", files: Sequence[str]) -> Path:
    """Return the checkpoint's folder in the hub's cache, after fetching missing files."""
    from huggingface_hub import errors, snapshot_download

    name, revision = job.spec["checkpoint"], job.spec.get("revision")
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(files)))
    except errors.RevisionNotFoundError:
        raise UserError(f"{name} has no revision '{revision}' on the hub; correct it") from None
    except errors.GatedRepoError:
        raise UserError(f"{name}: its terms must be accepted on the hub first") from None
    except errors.RepositoryNotFoundError:
        raise UserError(f"{name}: the hub has no such checkpoint; correct the name") from None
    except (errors.LocalEntryNotFoundError, errors.HfHubHTTPError, ConnectionError) as error:
        raise UserError(_offline(job, name, revision, error)) from None
    print(f"{name} is at commit {folder.name}")
    try:
        checkpoint_files(folder)
    except UserError:
        raise UserError(f"{name} holds {without_weights([])}; {convert(name, folder)}") from None
    return folder


def _offline(job: "Job", name: str, revision: str | None, error: Exception) -> str:
    """Return instructions for copying a checkpoint to a machine without network."""
    at = f" --revision {revision}" if revision else ""
    wanted = " ".join(f"--include '{form}'" for form in ROUGHLY)
    return (
        f"{name} is not in the hub's cache of this machine and cannot be fetched "
        f"({type(error).__name__}). Where there is a network and the same home folder, call\n"
        f"  hf download {name}{at} {wanted}\n"
        f"or make the store itself there, in this folder:\n"
        f"  python -m disobey {job.stage} --spec '{json.dumps(job.spec)}' --code {job.code} "
        f"--output {job.output}"
    )


@contextlib.contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Context that turns `transformers`' errors on an unreadable checkpoint into a `UserError`."""
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
