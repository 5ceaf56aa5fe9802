"""The computed lines that lead: sentences and matrix, from rows of summary.csv."""

import pytest

from disobey.report.lead import matrix, sentences

COUNTS = ("settings", "holds", "contrary", "withheld")


def rows(claim, text, *counts, source="paper"):
    """Return rows of summary.csv: (split, reading, settings, holds, contrary, withheld) each."""
    return [
        {"claim": claim, "text": text, "source": source, "split": split, "reading": reading}
        | dict(zip(COUNTS, map(str, numbers), strict=True))
        for split, reading, *numbers in counts
    ]


UNDERFITS = rows(
    "low", "The student underfits",
    ("train", "paper", 16, 14, 0, 0),
    ("train", "second seed", 16, 12, 1, 0),
    ("train", "replicate", 16, 9, 0, 0),
    ("test", "paper", 16, 13, 0, 0),
    ("test", "second seed", 16, 1, 0, 0),
    ("test", "replicate", 16, 0, 3, 1),
)  # fmt: skip
COPIES = rows(
    "copies", "It copies", ("train", "replicate", 1, 1, 0, 0), ("test", "replicate", 1, 0, 0, 1),
    source="ours",
)  # fmt: skip


def plain(text):
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            UNDERFITS,
            "The student underfits: on train in 14 of 16 settings as in the paper, in 12 against a "
            "second seed (contrary 1), in 9 conditioned on a replicate; on test in 13, 1 and 0 "
            "(contrary 3, withheld 1).",
        ),
        # Readings or settings that differ between splits are said again.
        (
            [UNDERFITS[0], UNDERFITS[4] | {"settings": "3"}],
            "The student underfits: on train in 14 of 16 settings as in the paper; on test in 1 of "
            "3 settings against a second seed.",
        ),
        (
            rows("gain", "It is better", ("test", "", 1, 1, 0, 0)),
            "It is better: on test in 1 of 1 setting.",
        ),
        (
            rows("bias", "Bias is exaggerated: it is less", ("", "", 3, 0, 2, 0)),
            "Bias is exaggerated: in 0 of 3 settings (contrary 2).",
        ),
    ],
)  # fmt: skip
def test_a_sentence_says_settings_split_and_reading(given, sentence):
    assert [plain(line) for line in sentences(given)] == [sentence]


def test_only_claims_of_the_paper_have_a_sentence():
    assert len(sentences(UNDERFITS + COPIES)) == 1


def test_the_matrix_has_train_first_and_a_blank_where_a_claim_is_not_read_that_way():
    head, found = matrix(UNDERFITS[:3] + UNDERFITS[4:] + COPIES)
    assert head == [
        "claim", "train: paper", "train: second seed", "train: replicate", "test: second seed",
        "test: replicate",
    ]  # fmt: skip
    assert [[plain(cell) for cell in row] for row in found] == [
        ["The student underfits", "14 of 16", "12 of 16 (contrary 1)", "9 of 16", "1 of 16",
         "0 of 16 (contrary 3, withheld 1)"],
        ["It copies", "", "", "1 of 1", "", "0 of 1 (withheld 1)"],
    ]  # fmt: skip


def test_claims_without_a_reading_are_not_in_the_matrix():
    assert matrix(rows("gain", "It is better", ("test", "", 1, 1, 0, 0)))[1] == []
