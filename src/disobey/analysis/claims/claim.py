"""Claims, their findings in settings, and the decision by an interval."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from disobey.analysis.intervals import (
    CONTRARY,
    HOLDS,
    UNDECIDED,
    half_width,
    one_sided_p,
    verdict,
)
from disobey.analysis.names import (
    ALL,
    EFFECT,
    EXAGGERATION,
    REFERENCE,
    REPLICATE,
    STUDENT,
    TEACHER,
)
from disobey.analysis.statistics import OTHER_READINGS, PAYOFF, QUALITY, STATISTICS
from disobey.analysis.store import SPLITS, Analysis
from disobey.numbers import NBSP, interval

ABOVE, BELOW = "above", "below"
# On either side: a claim that one thing depends on another.
CLEAR_OF = "clear of"
# No verdict although there is an interval: the settings are not what the claim is about.
WITHHELD = "withheld"
NAN = float("nan")


@dataclass(frozen=True)
class Claim:
    """A statement that a statistic decides.

    Attributes
    ----------
    name : str
    text : str
        The statement, in words.
    source : str
        ``paper``, or ``ours`` where the paper does not make it or does not say on which side.
    paper : str
        The paper's number or words.
    statistic, model : str
        See `disobey.analysis.names`; for a contrast the model says what is subtracted from what.
    null : float
        The value without an effect.
    side : str
        The side of the null on which the claim holds: ``above``, ``below`` or ``clear of`` it.
    split, subset : str
        The examples; no split where the statistic is of weights.
    reading : str
        One of ``disobey.analysis.names.READINGS``; empty where a claim has only one.
    control : str or None
        The model whose same statistic is shown beside it.
    """

    name: str
    text: str
    source: str
    paper: str
    statistic: str
    model: str
    null: float
    side: str
    split: str = "test"
    subset: str = "all"
    reading: str = ""
    control: str | None = None


def on_splits(*claims: Claim) -> tuple[Claim, ...]:
    """Return each claim on train, the paper's main split, then each on test."""
    return tuple(replace(claim, split=split) for split in SPLITS for claim in claims)


@dataclass(frozen=True)
class Number:
    """An estimate with its interval and the parts of the interval.

    Attributes
    ----------
    estimate, low, high : float
        Both ends are NaN with a single seed.
    seed_variance, example_variance : float
        s^2 and v; see `disobey.analysis.intervals.half_width`.
    seeds : int
    """

    estimate: float
    low: float
    high: float
    seed_variance: float
    example_variance: float
    seeds: int

    @classmethod
    def of(
        cls,
        per_seed: np.ndarray,
        example_variance: float = 0.0,
        within: tuple[float, float] = (-math.inf, math.inf),
    ) -> Self:
        """Return mean and interval of ``per_seed``, shape (seed,).

        The interval is cut to the values ``within`` which the statistic can be.
        """
        seeds = len(per_seed)
        estimate = float(per_seed.mean())
        spread = float(per_seed.var(ddof=1)) if seeds > 1 else NAN
        half = float(half_width(np.asarray(spread), seeds, np.asarray(example_variance)))
        low, high = np.maximum(estimate - half, within[0]), np.minimum(estimate + half, within[1])
        return cls(estimate, float(low), float(high), spread, example_variance, seeds)

    def words(self, null: float) -> str:
        """Return ``-0.31 [-0.40, -0.22]``, in ASCII."""
        printed = interval(self.estimate, self.low, self.high, null)
        return printed.replace(NBSP, " ").replace("−", "-")


NO_REFERENCE, NO_LABELS = NOT_GIVEN = ("there is no reference", "there are no labels")


@dataclass(frozen=True)
class Finding:
    """A claim in one setting.

    Attributes
    ----------
    claim : Claim
    setting : str
    number : Number
    verdict : str
        ``holds``, ``contrary``, ``undecided`` or ``withheld``.
    p : float
        Of "the statistic is not on the claimed side", one-sided; two-sided where the claim has no
        side. NaN without a test.
    examples : float
        Their number; NaN where the statistic is not over examples.
    control_name, control : str, float
        The model or setting without the effect, and its statistic if it is another one; its number.
    layer, placebo, band : str
        Where the claim is about one; a band is of ranks, see `disobey.analysis.bias.BANDS`.
    counted : bool
        Whether the summary counts it: one finding per claim and setting.
    remark : str
    """

    claim: Claim
    setting: str
    number: Number
    verdict: str
    p: float
    examples: float = NAN
    control_name: str = ""
    control: float = NAN
    layer: str = ""
    placebo: str = ""
    band: str = ""
    counted: bool = True
    remark: str = ""

    @classmethod
    def of(
        cls,
        claim: Claim,
        setting: str,
        number: Number,
        examples: float = NAN,
        *,
        withheld: bool = False,
        **about: Any,
    ) -> Self:
        """Return the finding that the interval of a number decides, unless it is withheld."""
        side, p = (WITHHELD, NAN) if withheld else decide(claim, number)
        return cls(claim, setting, number, side, p, examples, **about)

    @property
    def seeds(self) -> int:
        """The number of seeds."""
        return self.number.seeds


def decide(claim: Claim, number: Number) -> tuple[str, float]:
    """Return verdict and p by the side of the interval."""
    above = one_sided_p(
        number.estimate, claim.null, number.seed_variance, number.seeds, number.example_variance
    )
    p = {ABOVE: above, BELOW: 1 - above, CLEAR_OF: 2 * min(above, 1 - above)}[claim.side]
    return _side(claim, number.low, number.high), p


def _side(claim: Claim, low: float, high: float) -> str:
    side = verdict(low, high, claim.null)
    if claim.side == CLEAR_OF:
        return side if side == UNDECIDED else HOLDS
    return side if claim.side == ABOVE else {HOLDS: CONTRARY, CONTRARY: HOLDS}.get(side, side)


def two_sided(claim: Claim, p: float) -> float:
    """Return the two-sided p-value of a finding's ``p``: as strict as the interval."""
    return p if claim.side == CLEAR_OF else 2 * min(p, 1 - p)


def number_of(
    analysis: Analysis, statistic: str, model: str, split: str = "test", subset: str = "all"
) -> Number:
    """Return one statistic of one setting with all that its interval is made of."""
    here = analysis.splits[split].sel(statistic=statistic, model=model, subset=subset)
    estimate, low, high = (float(here[name]) for name in ("estimate", "low", "high"))
    seeds = here.sizes["seed"]
    spread = float(here.value.var("seed", ddof=1)) if seeds > 1 else NAN
    return Number(estimate, low, high, spread, float(here.example_variance), seeds)


def examples_of(analysis: Analysis, split: str = "test", subset: str = "all") -> int:
    """Return how many examples a subset has, as the mean over seeds."""
    return round(float(analysis.splits[split].examples.sel(subset=subset).mean()))


def find(claim: Claim, analysis: Analysis) -> Finding:
    """Hold one claim about a stored statistic against one setting."""
    where = claim.split, claim.subset
    number = number_of(analysis, claim.statistic, claim.model, *where)
    missing = what_is_missing(claim, analysis) if math.isnan(number.estimate) else ""
    control = NAN
    if claim.control is not None:
        control = number_of(analysis, claim.statistic, claim.control, *where).estimate
    return Finding.of(
        claim, analysis.setting, number, examples_of(analysis, *where),
        withheld=missing in NOT_GIVEN, control_name=claim.control or "", control=control,
        remark=missing,
    )  # fmt: skip


def what_is_missing(claim: Claim, analysis: Analysis) -> str:
    """Return in words why a claim's statistic has no value; empty where it has its denominator."""
    data = analysis.splits[claim.split]
    if claim.model == EFFECT and REFERENCE not in data.compared.values:
        return NO_REFERENCE
    labelled = data.estimate.sel(statistic="accuracy", model=STUDENT, subset="all").notnull()
    if claim.statistic in (*QUALITY, *OTHER_READINGS, *PAYOFF) and not labelled:
        return NO_LABELS
    alone = data.estimate.sel(statistic=EXAGGERATION, model=STUDENT, subset="all").isnull()
    return "there is no replicate" if claim.reading == REPLICATE and alone else ""


def contrast(terms: list[tuple[int, Analysis]], statistic: str, model: str) -> Number:
    """Return a signed sum of one test statistic over settings, paired by seed.

    ``terms`` are pairs of a sign and an analysis. All settings share the draws of the test
    examples, so that v is the variance over resamples of the contrast itself: what the settings
    have in common cancels. A `ValueError` refuses settings of different seeds or test sets.
    """
    cells = [
        (sign, analysis.splits["test"].sel(statistic=statistic, model=model, subset="all"))
        for sign, analysis in terms
    ]
    first = cells[0][1]
    for _, cell in cells:
        same = cell.sizes == first.sizes and np.array_equal(cell.seed, first.seed)
        if not same or not np.array_equal(cell.examples, first.examples):
            names = ", ".join(analysis.setting for _, analysis in terms)
            raise ValueError(f"{names}: cannot be contrasted, their seeds or test sets differ")
    per_seed = np.asarray(sum(sign * cell.value.values for sign, cell in cells))
    ends = [sorted(sign * end for end in STATISTICS[statistic].limits(model)) for sign, _ in terms]
    within = sum(low for low, _ in ends), sum(high for _, high in ends)
    resampled = sum(sign * cell.resampled.values.astype(np.float64) for sign, cell in cells)
    return Number.of(per_seed, float(np.var(resampled, ddof=1)), within)


def distilled_throughout(analyses: Mapping[str, Analysis]) -> Iterator[Analysis]:
    """Yield the settings that claims on distillation are about: those without a switch.

    Where distillation is switched on or off within one training its effect is a mixture, about
    which there are claims of its own.
    """
    for analysis in analyses.values():
        if "switch" not in analysis.about:
            yield analysis


# --- against several controls, such as placebos ------------------------------------------------

# In place of a control's name in the finding over all of them.
ALL_PLACEBOS = "all"


def against_all(each: list[Finding], control_name: str, *, counted: bool = True) -> Finding:
    """Put the findings against each control together: the claim holds if it holds against each.

    Estimate and control are means over controls. The interval spans those of all, so that it is on
    one side exactly if each is. So does p: the largest, or the smallest of the other side. If one
    of them has no number, neither has the whole. ``placebo`` names the control of a finding, and
    ``control_name`` the mean of their numbers.
    """
    first, numbers = each[0], [found.number for found in each]
    unknown = next((found for found in each if math.isnan(found.number.estimate)), None)
    if unknown is not None:
        remark = f"against {unknown.placebo}: {unknown.remark}"
        return replace(unknown, placebo=ALL_PLACEBOS, counted=counted, remark=remark)
    low, high = min(n.low for n in numbers), max(n.high for n in numbers)
    estimate = sum(n.estimate for n in numbers) / len(numbers)
    controls = [found.control for found in each if not math.isnan(found.control)]
    nearest = min if first.claim.side == ABOVE else max
    closest = nearest(each, key=lambda found: found.number.estimate)
    kept = sum(found.verdict == HOLDS for found in each)
    spans = ", whose intervals this one spans" if len(each) > 1 else ""
    return Finding(
        first.claim,
        first.setting,
        Number(estimate, low, high, NAN, NAN, first.seeds),
        _side(first.claim, low, high),
        NAN if first.seeds < 2 else _joint_p([found.p for found in each]),
        first.examples,
        control_name,
        sum(controls) / len(controls) if controls else NAN,
        layer=first.layer,
        placebo=ALL_PLACEBOS,
        counted=counted,
        remark=f"holds against {kept} of {len(each)} placebos{spans}; "
        f"closest is {closest.placebo}, {closest.number.words(first.claim.null)}",
    )


def _joint_p(p_values: list[float]) -> float:
    """Return the p of "it holds against each": the largest; of "contrary against each" likewise."""
    if max(p_values) < 1 / 2:
        return max(p_values)
    return max(min(p_values), 1 / 2)


# --- settings whose models or data are too poor for a verdict ---------------------------------

# Fewer test examples give deciles of fewer than 20 [C].
FEWEST_TEST_EXAMPLES = 200


def why_degenerate(analysis: Analysis) -> str:
    """Return why a setting gets no verdict, and what to change; empty where it gets one.

    A teacher that is right no more often than a constant answer has learnt nothing that a student
    could copy or exaggerate. One such teacher among the seeds is enough.
    """
    test = analysis.splits.get("test")
    if test is None:
        return ""
    number = int(test.examples.sel(subset=ALL).min())
    if number < FEWEST_TEST_EXAMPLES:
        return (
            f"test has {number} examples, fewer than {FEWEST_TEST_EXAMPLES}: give it more for a "
            f"verdict"
        )
    accuracy = analysis.seeds("clean_accuracy", TEACHER)
    worst, constant = int(accuracy.argmin()), float(test.most_frequent_class)
    if not accuracy[worst] <= constant:
        return ""
    return (
        f"the teacher of seed {int(test.seed[worst])} is right on {_percent(accuracy[worst])} of "
        f"the test examples, the most frequent class alone on {_percent(constant)}: train the "
        f"teacher longer or by another recipe"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.4g}{NBSP}%"
