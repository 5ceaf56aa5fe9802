"""CLDR's names of things in 20 easily confused languages; the label is the language.

The names of territories, languages, currencies, scripts and variants come with the package Babel.
"""

import hashlib
from collections import defaultdict

import numpy as np

from disobey.data.raw import RawData, RawSplit, in_memory
from disobey.data.sources import Source

SOURCE = Source(
    "names of countries, currencies and the like in 20 languages",
    "text", 14_110, 3683, 20, (24,), "Babel",
    "8a516fb65de4001f337eaad03c1ef4120ccbf98a20b80653f701d987c1cf3a2a",
)  # fmt: skip

LANGUAGES = (
    "nb", "nn", "da", "sv", "is", "de", "nl", "af", "lb", "es",
    "pt", "gl", "ca", "it", "ro", "hr", "sl", "sk", "cs", "pl",
)  # fmt: skip
KINDS = ("territories", "languages", "currencies", "scripts", "variants")
# A name that more than two languages share has no information on the language.
MOST_LANGUAGES_PER_NAME = 2
TEST_SHARE = 5  # one concept in five


def load(*unused: object) -> RawData:
    """Return 14,110 training and 3,683 test names.

    The split is by CLDR key, such as territory NO, so that a concept is never in both splits.
    """
    rows = _names()
    languages_of = defaultdict(set)
    for _, language, name in rows:
        languages_of[name].add(language)
    kept = [row for row in rows if len(languages_of[row[2]]) <= MOST_LANGUAGES_PER_NAME]
    is_test = np.array([_is_test(concept) for concept, _, _ in kept])
    label = np.array([LANGUAGES.index(language) for _, language, _ in kept], np.int64)

    def chosen(where: np.ndarray) -> RawSplit:
        index = np.flatnonzero(where)
        return in_memory([kept[i][2] for i in index], label[index], index)

    return SOURCE.checked(RawData(chosen(~is_test), chosen(is_test), LANGUAGES))


def _names() -> list[tuple[str, str, str]]:
    """Return (concept, language, name) of every name in the CLDR, in a fixed order."""
    from babel import Locale

    return [
        (f"{kind}/{key}", language, name)
        for language in LANGUAGES
        for kind in KINDS
        for key, name in sorted(getattr(Locale.parse(language), kind).items())
    ]


def _is_test(concept: str) -> bool:
    """Return True for a test concept; it is drawn by a hash, so it does not depend on others."""
    return hashlib.sha256(concept.encode()).digest()[0] % TEST_SHARE == 0
