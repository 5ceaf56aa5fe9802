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
# Two-sided, for claims that one thing depends on another.
CLEAR_OF = "clear of"
# No verdict although there is an interval, because the claim does not apply to the settings.
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
        ``paper``, or ``ours`` if the paper does not make the claim or does not specify its side.
    paper : str
        The paper's number or words.
    statistic, model : str
        See `disobey.analysis.names`; for a contrast, ``model`` is the difference in words.
    null : float
        The value without an effect.
    side : str
        The side of the null on which the claim holds: ``above``, ``below`` or ``clear of`` it.
    split, subset : str
        The examples; no split if the statistic is computed from weights.
    reading : str
        One of ``disobey.analysis.names.READINGS``; empty if the claim has only one reading.
    control : str or None
        The model whose value of the same statistic is shown for comparison.
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

        The interval is clipped to ``within``, the smallest and the largest possible value.
        """
        seeds = len(per_seed)
        estimate = float(per_seed.mean())
        spread = float(per_seed.var(ddof=1)) if seeds > 1 else NAN
        half = float(half_width(np.asarray(spread), seeds, np.asarray(example_variance)))
        low, high = np.maximum(estimate - half, within[0]), np.minimum(estimate + half, within[1])
        return cls(estimate, float(low), float(high), spread, example_variance, seeds)

    def words(self, null: float) -> str:
        """Return the estimate and its interval in ASCII, such as ``-0.31 [-0.40, -0.22]``."""
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
        One-sided p-value of "the statistic is not on the claimed side"; two-sided if the claim is
        ``clear of`` its null. NaN without a test.
    examples : float
        Number of examples; NaN if the statistic is not computed over examples.
    control_name, control : str, float
        The model or setting without the effect, with its statistic if that differs; its value.
    layer, placebo, band : str
        The layer, placebo and band of ranks (`disobey.analysis.bias.BANDS`) of the finding; empty
        if it has none.
    counted : bool
        True if the summary counts it: one finding per claim and setting.
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
        """Return the finding for a number, with the verdict by its interval unless withheld."""
        side, p = (WITHHELD, NAN) if withheld else decide(claim, number)
        return cls(claim, setting, number, side, p, examples, **about)

    @property
    def seeds(self) -> int:
        """The number of seeds."""
        return self.number.seeds


def decide(claim: Claim, number: Number) -> tuple[str, float]:
    """Return the verdict, by the position of the interval relative to the null, and the p-value."""
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
    """Return the two-sided p-value for a finding's ``p``, which is as strict as the interval."""
    return p if claim.side == CLEAR_OF else 2 * min(p, 1 - p)


def number_of(
    analysis: Analysis, statistic: str, model: str, split: str = "test", subset: str = "all"
) -> Number:
    """Return one statistic of one setting with its interval and the interval's parts."""
    here = analysis.splits[split].sel(statistic=statistic, model=model, subset=subset)
    estimate, low, high = (float(here[name]) for name in ("estimate", "low", "high"))
    seeds = here.sizes["seed"]
    spread = float(here.value.var("seed", ddof=1)) if seeds > 1 else NAN
    return Number(estimate, low, high, spread, float(here.example_variance), seeds)


def examples_of(analysis: Analysis, split: str = "test", subset: str = "all") -> int:
    """Return the number of examples in a subset, averaged over seeds and rounded."""
    return round(float(analysis.splits[split].examples.sel(subset=subset).mean()))


def find(claim: Claim, analysis: Analysis) -> Finding:
    """Evaluate one claim about a stored statistic in one setting."""
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
    """Return in words the missing input without which a statistic has no value; empty if none."""
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
    examples, so v is the variance over resamples of the contrast itself, in which variation that
    the settings have in common cancels.

    Raises
    ------
    ValueError
        If the settings have different seeds or test sets.
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
    """Yield the settings to which claims on distillation apply: those without a switch.

    If distillation is switched on or off within one training, its effect is a mixture, which has
    separate claims.
    """
    for analysis in analyses.values():
        if "switch" not in analysis.about:
            yield analysis


# --- against several controls, such as placebos ------------------------------------------------

# Replaces the control's name in the finding over all controls.
ALL_PLACEBOS = "all"


def against_all(each: list[Finding], control_name: str, *, counted: bool = True) -> Finding:
    """Combine the findings against each control: the claim holds if it holds against each.

    Estimate and control are means over controls. The interval spans all intervals, so it is on one
    side of the null exactly if each of them is. The p-value is the largest one, or the smallest if
    all findings are on the contrary side. If one finding has no number, neither has the result.
    ``control_name`` is the name of the mean over the controls' values.
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
    """Combine p-values: the largest if all are below 1/2, the smallest if all above, else 1/2."""
    if max(p_values) < 1 / 2:
        return max(p_values)
    return max(min(p_values), 1 / 2)


# --- settings whose models or data are too poor for a verdict ---------------------------------

# With fewer test examples, deciles would have fewer than 20 examples [C].
FEWEST_TEST_EXAMPLES = 200


def why_degenerate(analysis: Analysis) -> str:
    """Return the reason why a setting gets no verdict, with a remedy; empty if it gets one.

    The reason is too few test examples, or a teacher, in any seed, that is right no more often than
    a constant answer: it has learnt nothing that a student could copy or exaggerate.
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
