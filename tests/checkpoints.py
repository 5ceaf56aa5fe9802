"""Small checkpoints of real architectures with random weights, as saved by `transformers`."""

import json
from pathlib import Path

import tokenizers
import torch
import transformers

WORDS = [
    "a", "b", "c", "d", "e", "cat", "dog", "sat", "on", "the", "mat", "and", "saw", "two",
    "birds", "fly", "away", "from", "here",
]  # fmt: skip
SPECIAL = {
    "bert": ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    "roberta": ("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
}
SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
         "intermediate_size": 20, "max_position_embeddings": 40}  # fmt: skip


def tokenizer_of(style, words=WORDS):
    """Return a tokenizer of whole words, with the special tokens of BERT or of RoBERTa."""
    special = SPECIAL[style]
    begin, end, unknown = (special[2], special[3], special[1]) if style == "bert" else (
        special[0], special[2], special[3]
    )  # fmt: skip
    vocabulary = {word: index for index, word in enumerate([*special, *words])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unknown))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.add_special_tokens(list(special))
    between = end if style == "bert" else f"{end} {end}"
    typed = ":1" if style == "bert" else ""
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {between} $B{typed} {end}{typed}",
        special_tokens=[(begin, vocabulary[begin]), (end, vocabulary[end])],
    )
    return made, {"pad_token": "[PAD]" if style == "bert" else "<pad>", "sep_token": end}


def save_tokenizer(folder, style, words=WORDS):
    """Write the tokenizer files of a checkpoint; return the number of tokens and the padding."""
    made, names = tokenizer_of(style, words)
    made.save(str(folder / "tokenizer.json"))
    about = names | {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 40}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return made.get_vocab_size(), made.token_to_id(names["pad_token"])


def save_checkpoint(folder: Path, kind="bert", model="AutoModel", words=WORDS, seed=0, **sizes):
    """Write a checkpoint with random weights of an architecture; return its folder."""
    folder.mkdir(parents=True)
    style = "roberta" if kind == "roberta" else "bert"
    vocabulary, pad = save_tokenizer(folder, style, words)
    given = SIZES | {"vocab_size": vocabulary, "pad_token_id": pad} | sizes
    config = transformers.AutoConfig.for_model(kind, **given)
    torch.manual_seed(seed)
    getattr(transformers, model).from_config(config).save_pretrained(folder)
    return folder
