"""Names and meanings of statistics, models, subsets and claims."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from disobey.analysis.claims.claim import Claim
from disobey.analysis.claims.registry import CLAIMS
from disobey.analysis.names import MODEL_WORDS, SUBSET_WORDS
from disobey.analysis.statistics import GROUPS

# Heading and introduction of each group of statistics, in order.
HEADS = {
    "Conditioned on a replicate": "The statistics of the reading *replicate*. They are ours, not "
    "the paper's, and need two seeds, or a replicate.",
    "As the paper plots them": "Statistics conditioned on the teacher, and so on its noise. The "
    "readings *paper* and *second seed* use slope and gaps; the others describe the plot.",
    "Other readings": "Statistics at the label's class instead of the teacher's, for mislabelled "
    "and clean points separately, and in four panels by who predicts the given label.",
    "Fidelity to the teacher": "Measures of the student, and of the reference as its control.",
    "Quality of each model": "Measures of the teacher, the reference and the student.",
    "Pay-off": "Whether deviating from the teacher pays; y is the one-hot label. [The science]"
    "(../science.md#does-it-pay-to-disobey) has the formulas of this section and the next three.",
    "Pay-off of parts": "The same in deciles of a replicate's confidence, and by who is right.",
    "Calibration towards each other": "Of two models, without labels; o are the other teachers.",
    "Inherited mistakes": "Where two teachers differ, which of them the model goes with.",
    "Leak and memory": "Of settings with a `student_share`, on the split `held_out`; the leak is "
    "the student's number minus the reference's. [The science](../science.md#leak-and-memory).",
}


def page() -> str:
    """Return the names and their meanings as Markdown."""
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
    """Return every claim with its source and the intervals that decide it, by reading and split."""
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
            f"  - {f'*{claim.reading}*: ' if claim.reading else ''}holds if the interval of "
            f"`{claim.statistic}` of *{claim.model}* is {claim.side} {claim.null:g}; {where}"
        )
    yield ""


def _whose(claim: Claim) -> str:
    return "the paper's" if claim.source == "paper" else "ours"


def _plain(text: str) -> str:
    """Return text with the characters escaped that Markdown would read as HTML or emphasis."""
    return text.replace("<", r"\<").replace("_", r"\_").replace("|", r"\|")


def _anchor(kind: str, name: str) -> str:
    return f"{kind}-{name.replace('_', '-')}"
