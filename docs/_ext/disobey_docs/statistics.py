"""Statistics, models, subsets and claims, by the names that stores and tables have for them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from disobey.analysis.claims.claim import Claim
from disobey.analysis.claims.registry import CLAIMS
from disobey.analysis.meanings import MODELS, STATISTICS, SUBSETS
from disobey.analysis.names import FIDELITY, PLOTTED, PRIMARY, QUALITY

GROUPS = {
    "Conditioned on a replicate": (
        PRIMARY,
        "What the reading *replicate* decides by. Ours, not the paper's; they need two seeds, or a "
        "replicate.",
    ),
    "As the paper plots them": (
        PLOTTED,
        "Conditioned on the teacher, and so on its noise. The readings *paper* and *second seed* "
        "decide by slope and gaps; the others describe the plot.",
    ),
    "Fidelity to the teacher": (FIDELITY, "Of the student, and of the reference as its control."),
    "Quality of each model": (QUALITY, "Of the teacher, the reference and the student."),
}


def page() -> str:
    """Return the names with what they mean, as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    for head, (names, words) in GROUPS.items():
        yield from (f"## {head}", "", words, "")
        for name in names:
            of = STATISTICS[name]
            null = f"; {of.null} for one more teacher" if of.null else ""
            yield f"`{name}`{{#{_anchor('statistic', name)}}}"
            yield from (f": {_plain(of.words)} ({of.unit}{null})", "")
    yield from _names("Models", MODELS)
    yield from _names("Subsets", SUBSETS)


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
