"""All claims, in the order of tables and page."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from disobey.analysis.claims import bias, confidence, noise, switching
from disobey.analysis.claims.claim import NAN, WITHHELD, Claim, Finding
from disobey.analysis.claims.degenerate import why_degenerate
from disobey.analysis.claims.summary import Summary, summarise
from disobey.analysis.intervals import TWO_SEEDS
from disobey.analysis.store import Analysis

Finder = Callable[[Claim, Mapping[str, Analysis]], Iterator[Finding]]

SUBJECTS: tuple[tuple[tuple[Claim, ...], Finder], ...] = (
    (confidence.CLAIMS, confidence.findings),
    (bias.CLAIMS, bias.findings),
    (noise.CLAIMS, noise.findings),
    (switching.CLAIMS, switching.findings),
)
CLAIMS = tuple(claim for claims, _ in SUBJECTS for claim in claims)


def findings(analyses: Mapping[str, Analysis]) -> list[Finding]:
    """Hold every claim against the settings that it is about, see `settings_of_claims`.

    Verdicts of degenerate settings are withheld; those on two seeds bear a warning.
    """
    held = settings_of_claims(analyses)
    reasons = {name: why_degenerate(analysis) for name, analysis in held.items()}
    return [
        _checked(finding, reasons[finding.setting])
        for claims, find_all in SUBJECTS
        for claim in claims
        for finding in find_all(claim, held)
    ]


def _checked(found: Finding, degenerate: str) -> Finding:
    """Withhold a verdict for a reason, if there is one; warn of two seeds."""
    if degenerate:
        remark = "; ".join(filter(None, (degenerate, found.remark)))
        return replace(found, verdict=WITHHELD, p=NAN, remark=remark)
    if found.seeds == 2 and found.verdict != WITHHELD:
        return replace(found, remark="; ".join(filter(None, (found.remark, TWO_SEEDS))))
    return found


def settings_of_claims(analyses: Mapping[str, Analysis]) -> dict[str, Analysis]:
    """Leave out what is no setting of its own.

    That are analyses at an epoch before the last (``about.epoch``), and the ends of a sweep over
    switch points: where nothing is distilled the student *is* the reference, and where everything
    is it is the student of the setting without a switch.
    """
    return {
        name: analysis
        for name, analysis in analyses.items()
        if "epoch" not in analysis.about and not switching.is_an_end(analysis, analyses.values())
    }


def summaries(found: list[Finding]) -> list[Summary]:
    """Count the verdicts of each claim, split and reading that was held against a setting."""
    counted = {claim: [f for f in found if f.claim == claim and f.counted] for claim in CLAIMS}
    return [summarise(claim, of_claim) for claim, of_claim in counted.items() if of_claim]
