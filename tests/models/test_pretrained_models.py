"""Models of a checkpoint's shape: sizes as published, tokens as `transformers` reads them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from disobey.data.prepared import Prepared, Split
from disobey.data.tokens import plain_tokenizer, stored_tokenizer
from disobey.errors import UserError
from disobey.models.options import encoder_cost
from disobey.models.pretrained import _drop, build, load_checkpoint, token_types
from disobey.models.shapes import Shape
from disobey.stages.pretrained import _encoder
from tests.checkpoints import save_checkpoint, tokenizer_of

# config.json of FacebookAI/roberta-base, but for what has no effect on its shape.
ROBERTA_BASE = {
    "architectures": ["RobertaForMaskedLM"], "attention_probs_dropout_prob": 0.1,
    "bos_token_id": 0, "eos_token_id": 2, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
    "hidden_size": 768, "initializer_range": 0.02, "intermediate_size": 3072,
    "layer_norm_eps": 1e-05, "max_position_embeddings": 514, "model_type": "roberta",
    "num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 1, "type_vocab_size": 1,
    "vocab_size": 50265,
}  # fmt: skip
# distilbert/distilroberta-base differs in this alone.
DISTILROBERTA = ROBERTA_BASE | {"num_hidden_layers": 6}
TINY_BERT = {
    "model_type": "bert", "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2,
    "intermediate_size": 12, "max_position_embeddings": 16, "vocab_size": 30, "pad_token_id": 0,
}  # fmt: skip
TINY_GPT = TINY_BERT | {"num_key_value_heads": 2, "vocab_size": 40}
TOKENS = 12


@pytest.fixture
def store(tmp_path):
    """A pretrained store with some configuration and a tiny tokenizer, of BERT's kind or not."""

    def make(config, style="roberta"):
        folder = tmp_path / "p"
        folder.mkdir(exist_ok=True)
        tokenizer, names = tokenizer_of(style)
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "tokenizer.json").write_text(plain_tokenizer(tokenizer.to_str()))
        (folder / "tokenizer_config.json").write_text(json.dumps(names))
        file = lambda name: tmp_path / name  # noqa: E731
        return SimpleNamespace(id="p", record={"stage": "pretrained"}, file=file)

    return make


def data_for(store, tokens=TOKENS, classes=2):
    """Data with the store's own tokens."""
    attributes = stored_tokenizer(store, tokens).attributes
    zeros = np.zeros(1, np.int64)
    split = Split(np.zeros((1, tokens), np.int32), zeros, zeros, zeros)
    return Prepared(split, split, tuple("abcdef"[:classes]), attributes)


def built(store, **options):
    with torch.device("meta"):
        return build({"pretrained": "p", **options}, data_for(store), [store])


@pytest.mark.parametrize(
    ("config", "options", "millions"),
    [
        (ROBERTA_BASE, {}, 124.6),
        (DISTILROBERTA, {}, 82.1),
        # roberta-base without nine of its layers, each of 7.09 million
        (ROBERTA_BASE, {"layers": 3}, 60.9),
    ],
    ids=["base", "medium", "small"],
)
def test_sizes_of_the_papers_models_are_the_published_ones(store, config, options, millions):
    model = built(store(config), **options)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert round(counted / 1e6, 1) == millions
    assert encoder_cost(config, options.get("layers"), Shape((128,), 2)).parameters == counted


def test_parameters_of_bert_are_those_of_the_formula(store):
    model = built(store(TINY_BERT, "bert"))
    counted = sum(parameter.numel() for parameter in model.parameters())
    config = TINY_BERT | {"type_vocab_size": 2}
    assert encoder_cost(config, None, Shape((TOKENS,), 2)).parameters == counted


@pytest.mark.parametrize("config", [ROBERTA_BASE, TINY_BERT], ids=["roberta", "bert"])
def test_layers_that_can_be_tracked_are_those_of_the_encoder(store, config, tmp_path):
    from disobey.models.options import Pretrained

    made = store(config, "bert" if config is TINY_BERT else "roberta")
    model = built(made, layers=2)
    options = Pretrained(family="pretrained", folder=str(tmp_path / "p"), layers=2)
    encoder = {
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and ".encoder." in name
    }
    assert set(options.trackable()) == encoder and len(encoder) == 12


def test_an_architecture_of_unknown_names_has_nothing_to_track(tmp_path):
    from disobey.models.options import Pretrained

    folder = save_checkpoint(tmp_path / "c", "distilbert")
    assert Pretrained(family="pretrained", folder=str(folder)).trackable() == {}


def test_more_layers_than_there_are_are_refused(store):
    with pytest.raises(UserError, match="p has 3 layers, fewer than layers: 4"):
        built(store(TINY_BERT, "bert"), layers=4)


def test_a_model_whose_layers_have_types_loses_the_types_of_those_cut_away(store):
    """Its configuration has the type of attention of each layer."""
    types = ["full_attention", "sliding_attention", "full_attention"]
    config = TINY_GPT | {"model_type": "qwen2", "layer_types": types, "use_sliding_window": True}
    model = built(store(config, "bert"), layers=2)
    assert model.network.config.layer_types == types[:2]
    assert len(model.network.base_model.layers) == 2


def test_a_model_without_a_padding_token_takes_the_data_s(store):
    """It reads the class off the last token that is none, so padding changes no logit."""
    made = store(TINY_GPT | {"model_type": "qwen2", "pad_token_id": None}, "bert")
    data = data_for(made)
    model = build({"pretrained": "p"}, data, [made]).eval()
    pad = data.attributes["pad"]
    assert model.network.config.pad_token_id == pad
    short = torch.tensor([[2, 7, 9, 3]])
    padded = torch.nn.functional.pad(short, (0, 5), value=pad)
    with torch.no_grad():
        torch.testing.assert_close(model(padded), model(short))
        batch = model(torch.cat([padded, torch.full_like(padded, 8)]))
        torch.testing.assert_close(batch[:1], model(short))


def test_a_model_is_not_built_without_its_checkpoint_s_store(store):
    made = store(TINY_BERT, "bert")
    other = SimpleNamespace(id="p", record={"stage": "train"}, file=made.file)
    with pytest.raises(UserError, match="the model needs p, which is not among --inputs"):
        build({"pretrained": "p"}, data_for(made), [other])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("encoder.layer.1.output.dense.bias"),
         r"p lacks encoder.layer.1.output.dense.bias \(1 such weights\)"),
        (lambda weights: weights.update({"decoder.weight": torch.zeros(1)}),
         r"p holds, for no layer, decoder.weight \(1 such weights\)"),
        (lambda weights: weights.pop("pooler.dense.weight"), None),
        (lambda weights: weights.pop("encoder.layer.2.output.dense.bias"), None),
    ],
    ids=["lacking", "left over", "of the head", "cut away"],
)  # fmt: skip
def test_weights_of_a_store_are_all_those_of_the_layers_that_are_kept(
    store, tmp_path, change, message
):
    made, options = store(TINY_BERT, "bert"), {"pretrained": "p", "layers": 2}
    whole = build({"pretrained": "p"}, data_for(made), [made])
    weights = dict(whole.network.base_model.state_dict())
    change(weights)
    save_file(weights, tmp_path / "p/model.safetensors")
    model = build(options, data_for(made), [made])
    if message is not None:
        with pytest.raises(UserError, match=message):
            load_checkpoint(model, options, [made])
        return
    load_checkpoint(model, options, [made])
    kept = model.network.base_model.encoder.layer
    assert len(kept) == 2
    name = "encoder.layer.1.output.dense.weight"
    assert torch.equal(kept[1].output.dense.weight, whole.network.base_model.state_dict()[name])


def test_dropout_reaches_every_module(store):
    model = built(store(TINY_BERT, "bert"), dropout=0.25)
    rates = {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)}
    assert rates == {0.25}


def test_dropout_of_a_model_without_any_is_refused():
    config = SimpleNamespace(model_type="dry", hidden_size=8)
    with pytest.raises(UserError, match=r"p \(a dry\) has no dropout to set; remove dropout"):
        _drop(config, 0.5, "p")


def test_tokens_of_another_tokenizer_are_refused(store):
    data = data_for(store(TINY_BERT, "bert"))
    with pytest.raises(UserError, match="the data holds tokens of another tokenizer"):
        build({"pretrained": "p"}, data, [store(TINY_BERT, "roberta")])


@pytest.mark.parametrize(
    ("config", "style", "positions"),
    [(TINY_BERT, "bert", 16), (ROBERTA_BASE | {"max_position_embeddings": 16}, "roberta", 14)],
    ids=["bert", "roberta"],
)
def test_more_tokens_than_positions_are_refused(store, config, style, positions):
    made = store(config, style)
    with torch.device("meta"):
        build({"pretrained": "p"}, data_for(made, positions), [made])
    with pytest.raises(UserError, match=f"has positions for {positions}; write max_tokens"):
        build({"pretrained": "p"}, data_for(made, positions + 1), [made])


def test_token_types_by_hand():
    #                      [CLS] a [SEP] b  b [SEP] pad
    tokens = torch.tensor([[2, 9, 3, 7, 8, 3, 0], [2, 9, 8, 7, 3, 0, 0]])
    expected = [[0, 0, 0, 1, 1, 1, 0], [0] * 7]
    assert token_types(tokens, pad=0, separator=3).tolist() == expected


SINGLES = ["a cat sat on the mat", "dog", "two birds fly away from here and saw the mat on a dog"]
PAIRS = [("a cat sat", "the dog saw two birds fly away from here"), ("b", "c"),
         ("two birds fly away from here and saw the mat", "a dog")]  # fmt: skip


@pytest.mark.parametrize("texts", [SINGLES, PAIRS], ids=["singles", "pairs"])
@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "deberta-v2", "electra"])
def test_logits_are_those_of_transformers_own_tokenizer_and_model(tmp_path, kind, texts, store):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    # weights so large that a wrong token shows in the logits
    sizes = {"initializer_range": 0.5} | ({"type_vocab_size": 1} if kind == "roberta" else {})
    folder = save_checkpoint(tmp_path / "c", kind, **sizes)
    config, _ = _encoder(folder)
    made = store(config, "roberta" if kind == "roberta" else "bert")
    data = data_for(made, classes=3)
    tokens = torch.from_numpy(stored_tokenizer(made, TOKENS).encode(texts)).long()
    model = build({"pretrained": "p"}, data, [made]).eval()

    columns = [texts] if texts is SINGLES else [[a for a, _ in texts], [b for _, b in texts]]
    theirs = AutoTokenizer.from_pretrained(folder)(
        *columns, truncation=True, max_length=TOKENS, padding="max_length", return_tensors="pt",
        return_token_type_ids=kind in ("bert", "electra"),
    )  # fmt: skip
    assert torch.equal(tokens, theirs["input_ids"])
    assert (tokens != data.attributes["pad"]).all(1).any()  # one is cut
    reference = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3).eval()
    reference.load_state_dict(model.network.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), reference(**theirs).logits)
        if kind in ("bert", "electra") and texts is PAIRS:
            without = reference(tokens, attention_mask=theirs["attention_mask"]).logits
            assert not torch.allclose(model(tokens), without, atol=1e-4)
