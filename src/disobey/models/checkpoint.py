"""A public checkpoint of `transformers`: its files and what its configuration says. No torch."""

import fnmatch
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from disobey.errors import UserError
from disobey.stores.layout import CONFIG

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.txt", "vocab.json", "merges.txt", "spm.model", "spiece.model",
    "sentencepiece.bpe.model", "tokenizer.model", "bpe.codes",
)  # fmt: skip
# What is read of a checkpoint, and nothing else: its content hash is over these.
FILES = (CONFIG, "model*.safetensors", "model.safetensors.index.json", *TOKENIZER_FILES)
PREPROCESSOR = "preprocessor_config.json"
# And of a classifier that is not trained further: how it wants its images.
CLASSIFIER_FILES = (*FILES, PREPROCESSOR, "processor_config.json")
# Pickles, which can run any code when they are read.
PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth")
# Position ids that start behind the padding index, as in RoBERTa's code.
BEHIND_PADDING = (
    "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "camembert", "xmod",
    "data2vec-text", "longformer", "mpnet",
)  # fmt: skip
# Where the configuration cannot be read before the checkpoint is fetched [FacebookAI/roberta-base].
ROBERTA_BASE: Mapping[str, Any] = {
    "model_type": "roberta", "hidden_size": 768, "intermediate_size": 3072,
    "num_hidden_layers": 12, "num_attention_heads": 12, "vocab_size": 50265,
    "max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1,
}  # fmt: skip
# The names that DistilBERT has for what the others call alike.
ALIASES = {"hidden_size": "dim", "intermediate_size": "hidden_dim",
           "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}  # fmt: skip


def checkpoint_files(folder: Path, files: Sequence[str] = FILES) -> list[Path]:
    """Return the files of a checkpoint that are read, in the order of their names.

    Parameters
    ----------
    folder : Path
    files : sequence of str
        Patterns of their names.

    Raises
    ------
    UserError
        When the configuration or the weights are not there, or only as a pickle.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder")
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    found = [name for name in names if any(fnmatch.fnmatchcase(name, form) for form in files)]
    if CONFIG not in found:
        raise UserError(f"{folder}: holds no {CONFIG}, so it is no checkpoint of transformers")
    if not any(name.endswith(".safetensors") for name in found):
        pickles = [name for name in names if any(fnmatch.fnmatch(name, form) for form in PICKLES)]
        raise UserError(
            f"{folder}: holds {without_weights(pickles)}; {convert(str(folder), folder)}"
        )
    return [folder / name for name in found]


def without_weights(pickles: list[str]) -> str:
    """Return in words what is there in place of weights in safetensors."""
    if not pickles:
        return "no model.safetensors"
    return f"its weights only as {pickles[0]}, a pickle, which can run any code when it is read"


def convert(name: str, folder: Path) -> str:
    """Return in words how to write a checkpoint in safetensors.

    Parameters
    ----------
    name : str
        Of a folder, or on the hub.
    folder : Path
        Where its configuration lies. It names the class that was saved: any other would lose the
        trained head.
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
    """Return a checkpoint's configuration; None where it cannot be read."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def number(config: Mapping[str, Any], name: str) -> int:
    """Return one of a configuration's sizes; that of roberta-base where it does not say."""
    value = config.get(name, config.get(ALIASES.get(name, name), ROBERTA_BASE[name]))
    return value if isinstance(value, int) else int(ROBERTA_BASE[name])


def positions_of(config: Mapping[str, Any]) -> int | None:
    """Return how many tokens a model has positions for; None where nothing limits them."""
    positions = config.get("max_position_embeddings", config.get("n_positions"))
    if not isinstance(positions, int):
        return None
    if config.get("model_type") in BEHIND_PADDING:
        positions -= int(config.get("pad_token_id") or 0) + 1
    return positions


def is_made_anew(weight: str) -> bool:
    """Return whether a weight that a checkpoint lacks belongs to a head, which is new anyway.

    Language models are saved without the layer that pools the first token for a classifier.
    """
    return weight.startswith("pooler.")
