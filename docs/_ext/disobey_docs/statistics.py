"""Statistics, models, subsets and claims, by the names that stores and tables have for them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from disobey.analysis.claims.claim import Claim
from disobey.analysis.claims.registry import CLAIMS
from disobey.analysis.names import MODEL_WORDS, SUBSET_WORDS
from disobey.analysis.statistics import GROUPS

# Of the groups of statistics, in their order: a heading, and what is said below it.
HEADS = {
    "Conditioned on a replicate": "What the reading *replicate* decides by. Ours, not the paper's; "
    "they need two seeds, or a replicate.",
    "As the paper plots them": "Conditioned on the teacher, and so on its noise. The readings "
    "*paper* and *second seed* decide by slope and gaps; the others describe the plot.",
    "Other readings": "The label's class in place of the teacher's, mislabelled points beside "
    "clean ones, and the plot in four panels by who predicts the given label.",
    "Fidelity to the teacher": "Of the student, and of the reference as its control.",
    "Quality of each model": "Of the teacher, the reference and the student.",
    "Pay-off": "Whether deviating from the teacher pays: y is the one-hot label. [The science]"
    "(../science.md#does-it-pay-to-disobey) has the formulas of this section and the next three.",
    "Pay-off of parts": "In tenths by a replicate's confidence, and in four cells by who is right.",
    "Calibration towards each other": "Of two models, without labels; o are the other teachers.",
    "Inherited mistakes": "Where teachers differ, which of them the model goes with.",
}


def page() -> str:
    """Return the names with what they mean, as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    for (head, words), group in zip(HEADS.items(), GROUPS, strict=True):
        yield from (f"## {head}", "", words, "")
        for of in group:
            null = "" if of.null is None else f"; {of.null:g} for one more teacher"
            yield f"`{of.name}`{{#{_anchor('statistic', of.name)}}}"
            yield from (f": {_plain(of.words)} ({of.unit}{null})", "")
    yield from _names("Models", MODEL_WORDS)
    yield from _names("Subsets", SUBSET_WORDS)


def _names(head: str, meanings: Mapping[str, str]) -> Iterator[str]:
    yield from (f"## {head}", "")
    for name, words in meanings.items():
        yield from (f"`{name}`", f": {words}", "")


def claims() -> str:
    """Return every claim: whose it is, and which intervals decide it, by reading and split."""
    by_name = groupby(CLAIMS, key=lambda claim: claim.name)
    return "\n".join(line for _, variants in by_name for line in _claim(list(variants)))


def _claim(variants: Sequence[Claim]) -> Iterator[str]:
    first = variants[0]
    yield f"`{first.name}`{{#{_anchor('claim', first.name)}}} ({_whose(first)})"
    yield f": {_plain(first.text)}. The paper: {_plain(first.paper)}."
    yield ""
    splits: dict[Claim, list[str]] = {}
    for claim in variants:
        splits.setdefault(replace(claim, split=""), []).append(claim.split)
    for claim, names in splits.items():
        where = f"{claim.subset} examples of {' and of '.join(names)}" if any(names) else "weights"
        yield (
            f"  - {f'*{claim.reading}*: ' if claim.reading else ''}holds where the interval of "
            f"`{claim.statistic}` of *{claim.model}* lies {claim.side} {claim.null:g}; {where}"
        )
    yield ""


def _whose(claim: Claim) -> str:
    return "the paper's" if claim.source == "paper" else "ours"


def _plain(text: str) -> str:
    """Return words in which Markdown finds no HTML and no emphasis."""
    return text.replace("<", r"\<").replace("_", r"\_").replace("|", r"\|")


def _anchor(kind: str, name: str) -> str:
    return f"{kind}-{name.replace('_', '-')}"
