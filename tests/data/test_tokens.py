"""Tokens of texts and of pairs: one interface for trained tokenizers and those of checkpoints."""

import json

import numpy as np
import pytest
import tokenizers

from disobey.data.tokens import PAD, TextTokenizer, plain_tokenizer, train_tokenizer
from disobey.errors import UserError
from tests.checkpoints import tokenizer_of

TEXTS = ["Nord-Amerika", "Sør-Amerika", "verden", "Österreich"] * 20


def bert(max_tokens, **names):
    made, known = tokenizer_of("bert")
    known |= names
    return TextTokenizer(made.to_str(), max_tokens, known["pad_token"], known["sep_token"])


def test_a_tokenizer_is_the_same_twice_and_gives_the_text_back():
    first, second = (train_tokenizer(TEXTS, 300, 40) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    rows = first.encode(TEXTS[:4])
    assert rows.shape == (4, 40) and rows.dtype == np.int32
    decoder = tokenizers.Tokenizer.from_str(first.json)
    for text, row in zip(TEXTS, rows, strict=False):
        assert decoder.decode([token for token in row if token != PAD]).strip() == text
    assert train_tokenizer(TEXTS, 300, 5).encode(["Österreich"]).shape == (1, 5)


def test_a_fingerprint_changes_with_what_decides_a_token():
    made = train_tokenizer(TEXTS, 300, 40)
    others = [
        train_tokenizer(TEXTS, 262, 40),
        train_tokenizer(TEXTS, 300, 39),
        bert(40),
        bert(40, pad_token="[UNK]"),
    ]
    assert len({other.fingerprint for other in [made, *others]}) == 5


def test_a_tokenizer_without_special_tokens_has_a_fingerprint_of_its_own():
    """Nothing is put around its texts, so the same words are other tokens."""
    made, names = tokenizer_of("bert")
    plain = json.loads(made.to_str()) | {"post_processor": None}
    bare = TextTokenizer(json.dumps(plain), 12, names["pad_token"], names["sep_token"])
    assert bare.encode(["cat"])[0, 0] == bert(12).encode(["cat"])[0, 1]
    assert bare.fingerprint != bert(12).fingerprint


def test_a_fingerprint_does_not_change_with_how_a_tokenizer_was_saved():
    made, names = tokenizer_of("bert")
    before = bert(12).fingerprint
    made.enable_truncation(7)
    made.enable_padding(length=7)
    assert plain_tokenizer(made.to_str()) == tokenizer_of("bert")[0].to_str()
    assert TextTokenizer(made.to_str(), 12, names["pad_token"], names["sep_token"]).fingerprint == (
        before
    )


def test_attributes_name_the_tokens_that_models_need():
    trained = train_tokenizer(TEXTS, 300, 40).attributes
    assert (trained["pad"], trained["separator"]) == (1, 2) and trained["vocabulary"] <= 300
    made = bert(12).attributes
    assert (made["pad"], made["separator"]) == (0, 3)
    assert made["vocabulary"] == tokenizer_of("bert")[0].get_vocab_size()


def test_of_a_pair_the_longer_text_is_cut_first():
    made, words = bert(9), tokenizer_of("bert")[0].get_vocab()
    (row,) = made.encode([("cat dog", "a b c d e sat on")])
    expected = ["[CLS]", "cat", "dog", "[SEP]", "a", "b", "c", "d", "[SEP]"]
    assert row.tolist() == [words[word] for word in expected]


def test_a_trained_tokenizer_takes_pairs_as_roberta_does():
    pairs = [("ab", "cd"), ("a", "d")] * 5
    made = train_tokenizer(pairs, 270, 12)
    (row,) = made.encode([("a", "d")])
    words = tokenizers.Tokenizer.from_str(made.json)
    ends = words.token_to_id("</s>")
    (first, second, last) = np.flatnonzero(row == ends)
    assert second == first + 1 and last > second and row[0] == words.token_to_id("<s>")


@pytest.mark.parametrize("made", [bert(8), train_tokenizer(TEXTS, 300, 40)], ids=["bert", "bpe"])
def test_a_special_token_that_somebody_wrote_is_text(made):
    """Otherwise the first separator might not mark the end of the first text."""
    (row,) = made.encode([f"a {made.separator_token} b"])
    assert (row == made.attributes["separator"]).sum() == 1


def test_no_room_beside_the_special_tokens_is_refused():
    assert bert(3).encode(["a b"]).shape == (1, 3)
    with pytest.raises(UserError, match=r"3 of max_tokens \(3\) are special ones"):
        bert(3).encode([("a", "b")])
