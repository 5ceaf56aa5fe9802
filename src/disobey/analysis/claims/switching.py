"""Claims that contrast settings: on switching, and on teachers that do or do not interpolate."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from disobey.analysis.claims.claim import (
    ABOVE,
    CLEAR_OF,
    NAN,
    Claim,
    Finding,
    Number,
    contrast,
    examples_of,
    number_of,
    why_degenerate,
)
from disobey.analysis.names import EFFECT, STUDENT, TEACHER
from disobey.analysis.store import Analysis

STATISTIC = "accuracy"
INTERPOLATING, NON_INTERPOLATING = "interpolating", "non_interpolating"
# A teacher interpolates when it fits at least this share of its given training labels [C].
FITTED = 0.995

SWITCHING = Claim(
    "switching",
    "Switching between distillation and one-hot labels within one training makes the student more "
    "accurate than distilling throughout",
    "ours",
    "late distillation keeps much of the gain; a short one-hot end may add to it, a long one loses "
    "it (first version); no number",
    STATISTIC,
    "switched - unswitched",
    0.0, ABOVE,
)  # fmt: skip
BETWEEN_TEACHERS = "non-interpolating - interpolating"
SWITCHING_DEPENDS = Claim(
    "switching_depends_on_teacher",
    "What switching does to the student's accuracy depends on whether the teacher interpolates its "
    "training labels",
    "paper",
    "acts differently (later version, second-hand); no number",
    STATISTIC, BETWEEN_TEACHERS, 0.0, CLEAR_OF,
)  # fmt: skip
GAIN_DEPENDS = Claim(
    "gain_depends_on_teacher",
    "What distillation does to accuracy depends on whether the teacher interpolates its training "
    "labels", "paper",
    "it does (later version, second-hand); no number",
    STATISTIC, BETWEEN_TEACHERS, 0.0, CLEAR_OF,
)  # fmt: skip
CLAIMS = (SWITCHING, SWITCHING_DEPENDS, GAIN_DEPENDS)


def findings(claim: Claim, analyses: Mapping[str, Analysis]) -> Iterator[Finding]:
    """Evaluate one claim in every contrast of settings to which it applies."""
    everything = list(analyses.values())
    if claim is SWITCHING:
        for switched in everything:
            if "switch" in switched.about:
                yield _switching(claim, switched, everything)
        return
    switches = claim is SWITCHING_DEPENDS
    for analysis in everything:
        fits = analysis.about.get("teacher_fits") == NON_INTERPOLATING
        if fits and ("switch" in analysis.about) == switches:
            yield from _between_teachers(claim, analysis, everything)


def _alike(analysis: Analysis, others: Iterable[Analysis], but: tuple[str, ...]) -> list[Analysis]:
    """Return the other settings whose ``about`` is the same except for the entries ``but``."""

    def rest(about: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in about.items() if name not in but}

    wanted = rest(analysis.about)
    return [other for other in others if other is not analysis and rest(other.about) == wanted]


def is_an_end(analysis: Analysis, everything: Iterable[Analysis]) -> bool:
    """Return True if a switch point makes the setting one-hot, or a duplicate of another setting.

    The duplicate is a switch point with distillation throughout, if the study also contains the
    setting without a switch.
    """
    switch = analysis.about.get("switch")
    if switch is None or "ramp" in switch or 0 < switch["at"] < 1:
        return False
    distils = (switch["order"] == "distillation_first") == (switch["at"] == 1)
    return not distils or bool(_unswitched(analysis, everything))


# --- switched against unswitched -------------------------------------------------------------


def _unswitched(switched: Analysis, everything: Iterable[Analysis]) -> list[Analysis]:
    alike = _alike(switched, everything, ("switch",))
    return [other for other in alike if "switch" not in other.about]


def _switching(claim: Claim, switched: Analysis, everything: list[Analysis]) -> Finding:
    base = _unswitched(switched, everything)
    if len(base) != 1:
        which = ", ".join(other.setting for other in base)
        remark = (
            f"several settings are the same without the switch ({which}): keep one of them"
            if base
            else "no setting of the study is the same without the switch: add it"
        )
        nothing = Number(NAN, NAN, NAN, NAN, NAN, switched.splits["test"].sizes["seed"])
        return Finding.of(
            claim, switched.setting, nothing, examples_of(switched), withheld=True, remark=remark
        )
    number = contrast([(1, switched), (-1, base[0])], STATISTIC, STUDENT)
    said = switch_words(switched.about)
    missed = teacher_misses(switched)
    return Finding.of(
        claim, switched.setting, number, examples_of(switched), withheld=bool(missed),
        control_name=f"{STATISTIC} of {base[0].setting}",
        control=number_of(base[0], STATISTIC, STUDENT).estimate,
        remark=f"{said}; {missed}" if missed else said,
    )  # fmt: skip


def switch_words(about: Mapping[str, Any]) -> str:
    """Describe a switch, and whether its teacher interpolates, in words."""
    switch = about["switch"]
    order = switch["order"].replace("_", " ").replace("one hot", "one-hot")
    unit = switch.get("unit", "learning rate")
    words = f"{order}, switched at {switch['at']:g} of the {unit}"
    if "ramp" in switch:
        words += f" over {switch['ramp']:g}"
    fits = about.get("teacher_fits")
    return f"{words}, {fits.replace('_', '-')} teacher" if fits else words


# --- between teachers ------------------------------------------------------------------------


def _beside_another_teacher(analysis: Analysis, everything: Iterable[Analysis]) -> list[Analysis]:
    """Return the settings that differ only in that their teacher interpolates.

    If some of them have a teacher of the same architecture, only these are returned.
    """
    of_teacher = ("teacher_fits", "teacher", "teacher_recipe", "trained")
    alike = _alike(analysis, everything, of_teacher)
    alike = [other for other in alike if other.about.get("teacher_fits") == INTERPOLATING]
    same = [other for other in alike if other.about.get("teacher") == analysis.about.get("teacher")]
    return same or alike


def _between_teachers(
    claim: Claim, analysis: Analysis, everything: list[Analysis]
) -> Iterator[Finding]:
    """Yield contrasts with equal settings whose teachers interpolate; only the first counts."""
    for index, other in enumerate(_beside_another_teacher(analysis, everything)):
        terms = [(1, analysis), (-1, other)]
        if claim is SWITCHING_DEPENDS:
            bases = [_unswitched(setting, everything) for setting in (analysis, other)]
            if any(len(base) != 1 for base in bases):
                continue  # the claim on switching says what is missing
            terms += [(-1, bases[0][0]), (1, bases[1][0])]
        yield replace(_contrast_of_teachers(claim, terms), counted=index == 0)


def _contrast_of_teachers(claim: Claim, terms: list[tuple[int, Analysis]]) -> Finding:
    """Return the finding on a contrast; its part with the interpolating teacher is the control."""
    (_, analysis), (_, other) = terms[:2]
    model = STUDENT if claim is SWITCHING_DEPENDS else EFFECT
    number = contrast(terms, STATISTIC, model)
    control = contrast([(-sign, a) for sign, a in terms[1::2]], STATISTIC, model)
    remarks = [*map(teacher_misses, (analysis, other))]
    if reason := why_degenerate(other):
        remarks.append(f"{other.setting}: {reason}")
    remarks = [words for words in remarks if words]
    withheld = bool(remarks)
    if claim is SWITCHING_DEPENDS:
        remarks.insert(0, switch_words({"switch": analysis.about["switch"]}))
    return Finding.of(
        claim, analysis.setting, number, examples_of(analysis), withheld=withheld,
        control_name=other.setting, control=control.estimate, remark="; ".join(remarks),
    )  # fmt: skip


def teacher_misses(analysis: Analysis) -> str:
    """Return an error in words if a teacher contradicts its ``teacher_fits`` in some seed.

    A teacher interpolates if it fits at least `FITTED` of its given training labels. The result is
    empty if the study does not specify ``teacher_fits``, or every seed agrees with it.
    """
    fits = analysis.about.get("teacher_fits")
    if fits is None:
        return ""
    values = analysis.seeds(STATISTIC, TEACHER, "train")
    interpolates = fits == INTERPOLATING
    worst = int(np.argmin(values) if interpolates else np.argmax(values))
    if (values[worst] >= FITTED) == interpolates:
        return ""
    seed = int(analysis.splits["train"].seed[worst])
    needs, change, other = (
        ("at least", "longer", NON_INTERPOLATING)
        if interpolates
        else ("less than", "shorter", INTERPOLATING)
    )
    return (
        f"the teacher of {analysis.setting} fits {100 * values[worst]:.5g} % of its given training "
        f"labels in seed {seed}, where {fits} means {needs} {100 * FITTED:g} %: train it {change}, "
        f"or write teacher_fits: {other}"
    )
