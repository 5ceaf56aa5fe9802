"""Pay-off of deviating from the teacher, and inheritance of its mistakes.

t is a student's teacher, m the model compared with it (student or reference), o the other teachers
(replicates), all as probability vectors; y is the one-hot label, E a mean over examples.
"""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from disobey.analysis.confidence import quantile_edges
from disobey.analysis.names import (
    DECILES,
    NATS,
    PANELS,
    PROBABILITY_DIFFERENCE,
    RATIO,
    SHARE,
    SHARE_DIFFERENCE,
    SQUARED_PROBABILITY,
    Statistic,
)
from disobey.analysis.quality import (
    ECE_BINS,
    Block,
    Outputs,
    at,
    binned_gap,
    kl_divergence,
)
from disobey.analysis.readings import PANEL_WORDS, panel_of
from disobey.analysis.resampling import Averages, by_subset

SCORES = ("brier", "nll")
# Values per example, in the order of `gains_of`.
GAINS = tuple(f"{score}_{what}" for score in SCORES for what in ("gain", "misfit"))
INHERITED = MISTAKES_INHERITED, CORRECTNESS_INHERITED = (
    "mistakes_inherited", "correctness_inherited",
)  # fmt: skip
# The same relative to the reference, see `beyond_reference`.
COPIED = ("mistakes_copied", "correctness_copied")

# The gain is the improvement in score by m's deviation from t, the misfit its size.
PAYOFF = (
    Statistic("brier_gain", "E|y - t|^2 - E|y - m|^2: by how much m's Brier score is better than "
              "t's", SQUARED_PROBABILITY, 0, label="gain (Brier)"),
    Statistic("brier_misfit", "E|m - t|^2", SQUARED_PROBABILITY, label="misfit (Brier)"),
    Statistic("brier_payoff", "brier_gain / brier_misfit: above 0 deviations from t pay, below 0 "
              "they cost", RATIO, 0, label="pay-off (Brier)"),
    Statistic("nll_gain", "E ln(m_y / t_y): by how much m's NLL is better than t's", NATS, 0,
              label="gain (NLL)"),
    Statistic("nll_misfit", "E KL(m || t)", NATS, label="misfit (NLL)"),
    Statistic("nll_payoff", "nll_gain / nll_misfit", RATIO, 0, label="pay-off (NLL)"),
)  # fmt: skip


def _in_deciles(score: str) -> Iterator[Statistic]:
    for name, decile in zip(decile_names(score), range(1, DECILES + 1), strict=True):
        words = f"{score}_payoff in decile {decile} of {DECILES} of a replicate's confidence"
        yield Statistic(name, words, RATIO, 0)


def _in_cells(score: str) -> Iterator[Statistic]:
    for panel, where in PANEL_WORDS.items():
        # If exactly one of two models is right, the right one gains, so there is no null.
        null = None if panel.startswith("only") else 0
        yield Statistic(f"{panel}_{score}_payoff", f"{score}_payoff {where}", RATIO, null)


def decile_names(score: str) -> list[str]:
    """Return the names of a score's pay-off in the deciles of a replicate's confidence."""
    return [f"{score}_payoff_decile_{decile}" for decile in range(1, DECILES + 1)]


PAYOFF_PARTS = tuple(
    one for parts in (_in_deciles, _in_cells) for score in SCORES for one in parts(score)
)
# Statistics of two models that need no labels.
MUTUAL = (
    Statistic("ece_given_teacher", f"sum over {ECE_BINS} bins of t's confidence of the bin's share "
              "times |mean of m - t|, in the class that t predicts", SHARE),
    Statistic("ece_given_model", "the same over bins of m's confidence, in the class that m "
              "predicts", SHARE),
    Statistic("gap_given_teacher", "mean of m - t in the class that t predicts",
              PROBABILITY_DIFFERENCE),
    Statistic("gap_given_model", "mean of m - t in the class that m predicts",
              PROBABILITY_DIFFERENCE),
    Statistic("nearer_to_others", "E KL(t || m) - E KL(o || m), o the mean of the other teachers: "
              "above 0, m is nearer to that mean than to its own teacher", NATS),
)  # fmt: skip
MISTAKES = (
    Statistic(
        MISTAKES_INHERITED,
        "P(m says t's class | t wrong, o right) - P(m says o's class | o wrong, t right), of one "
        "other teacher o", SHARE_DIFFERENCE, 0, label="inherited mistakes",
    ),
    Statistic(
        CORRECTNESS_INHERITED,
        "P(m right | o wrong, t right) - P(m right | t wrong, o right)",
        SHARE_DIFFERENCE, 0, label="inherited correctness",
    ),
    *(
        Statistic(
            name, f"({inherited} - the reference's) / (1 - the reference's)", RATIO, 0,
            label=name.replace("_", " "),
        )
        for name, inherited in zip(COPIED, INHERITED, strict=True)
    ),
    Statistic(
        "agreement_kappa",
        "(c - e) / (1 - e) with c = E <m, t>, e = a_m a_t + (1 - a_m)(1 - a_t) / (K - 1), a the "
        "mean probability of the label", RATIO,
    ),
    Statistic("agreement_kappa_excess", "agreement_kappa with t minus that with the other teachers",
              RATIO, 0),
    Statistic("error_consistency", "the kappa of whether m and of whether t is right", RATIO),
    Statistic("error_consistency_excess",
              "error_consistency with t minus that with the other teachers", RATIO, 0),
)  # fmt: skip


# --- of each example ---------------------------------------------------------------------------


def gains_of(model: Outputs, teacher: Outputs, label: np.ndarray) -> np.ndarray:
    """Return the gain and the size of a model's deviation from its teacher, shape (example, 4).

    The columns are `GAINS`: |y - t|^2 - |y - m|^2 and |m - t|^2; ln(m_y / t_y) and KL(m || t). For
    both scores gain = misfit + cross, with cross = 2 (y - m).(m - t) for the Brier score and
    sum_k (y_k - m_k) ln(m_k / t_k) for the NLL.
    """
    m, t = model.p, teacher.p
    scores = [np.einsum("nc,nc->n", p, p) - 2 * at(p, label) for p in (t, m)]
    return np.column_stack(
        [
            scores[0] - scores[1],
            ((m - t) ** 2).sum(1),
            at(model.log_p, label) - at(teacher.log_p, label),
            kl_divergence(model, teacher),
        ]
    )


def _mutual(block: Block) -> np.ndarray:
    """Return the features of `MUTUAL`, shape (example, 2 ECE_BINS + 1).

    These are the gaps m - t in bins of t's confidence, then in bins of m's confidence, and the
    difference of KL divergences in ``nearer_to_others``, which is NaN without other teachers.
    """
    gaps = []
    for judge in (block.teacher, block.model):
        model, teacher = (at(of.p, judge.predicted) for of in (block.model, block.teacher))
        gaps.append(binned_gap(at(judge.p, judge.predicted), model - teacher))
    nearer = np.full(len(block.kl), np.nan)
    if block.others is not None:
        p = block.others.p
        log_p = np.log(np.where(p > 0, p, 1))
        nearer = block.kl - (p * (log_p - block.model.log_p)).sum(1)
    return np.column_stack([*gaps, nearer])


def _agreement(block: Block) -> np.ndarray:
    """Return the features of both kappas, shape (example, 10), or (example, 6) without replicates.

    The first two columns are 1 if m is right, else 0, and m_y. Four columns follow for t, and four
    for the mean over the others: <m, other>, other_y, 1 if both are right or both wrong, and 1 if
    the other is right.
    """
    label, right = block.label, block.correct.astype(float)
    teacher_right = (block.teacher.predicted == label).astype(float)
    pairs = [(block.teacher.p, teacher_right)]
    if block.others is not None:
        pairs.append((block.others.p, (block.others.predicted == label).mean(0)))
    columns = [right, at(block.model.p, label)]
    for p, other_right in pairs:
        same = right * other_right + (1 - right) * (1 - other_right)
        columns += [np.einsum("nc,nc->n", block.model.p, p), at(p, label), same, other_right]
    return np.column_stack(columns)


def _inherited(block: Block) -> np.ndarray:
    """Count events over the other teachers for each example, shape (example, 6).

    The first three columns count the other teachers that are right while t is wrong: all of them,
    those where m predicts t's class, and those where m is right. The last three count the other
    teachers that are wrong while t is right: all of them, those where m predicts the other's class,
    and those where m is right.
    """
    assert block.others is not None
    teacher, model, label = block.teacher.predicted, block.model.predicted, block.label
    other = block.others.predicted
    sides = (
        ((teacher != label) & (other == label), model == teacher),
        ((teacher == label) & (other != label), model == other),
    )
    counts = [
        (pair & event).sum(0) for pair, says in sides for event in (True, says, model == label)
    ]
    return np.column_stack(counts)


# --- over examples -----------------------------------------------------------------------------


def mean_gains() -> Averages:
    """Return `Averages` of `PAYOFF`; blocks as in `disobey.analysis.quality.example_means`."""
    return by_subset(
        lambda block: block.gains,
        lambda means: dict(zip(GAINS, means.T, strict=True)) | payoffs(means),
    )


def deviations(classes: int, *, labelled: bool, replicated: bool) -> list[Averages]:
    """Return `Averages` of one model's deviations from its teacher and of its inheritance.

    They are `MUTUAL` and, with labels, the pay-off by panel and the kappas; with replicates also
    the inherited mistakes. Blocks are added as in `disobey.analysis.quality.example_means`.
    """
    found = [by_subset(_mutual, _mutual_statistics)]
    if labelled:
        found += [_cells(), by_subset(_agreement, lambda means: _kappas(means, classes))]
    if labelled and replicated:
        found.append(by_subset(_inherited, _inherited_statistics))
    return found


def _cells() -> Averages:
    """Return `Averages` of the pay-off in each of `PANELS`."""

    def cells(block: Block, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        panel = panel_of(block.teacher.predicted == block.label, block.correct)
        inside = where[:, :, None] & (panel[:, None, None] == np.arange(len(PANELS)))
        return block.gains, inside.reshape(len(panel), -1)

    def finish(means: np.ndarray) -> list[dict[str, np.ndarray]]:
        by_cell = payoffs(means.reshape(len(means), -1, len(PANELS), len(GAINS)))
        return [
            {
                f"{panel}_{name}": of[:, subset, k]
                for k, panel in enumerate(PANELS)
                for name, of in by_cell.items()
            }
            for subset in range(means.shape[1] // len(PANELS))
        ]

    return Averages(finish, cells)


def payoffs(means: np.ndarray) -> dict[str, np.ndarray]:
    """Return gain / misfit of both scores from means of `GAINS`, (..., 4).

    NaN where the model does not deviate at all.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = means[..., 0::2] / np.where(means[..., 1::2] > 0, means[..., 1::2], np.nan)
    return {f"{score}_payoff": ratios[..., k] for k, score in enumerate(SCORES)}


def _mutual_statistics(means: np.ndarray) -> dict[str, np.ndarray]:
    """Return `MUTUAL` from the means of the features `_mutual`."""
    given = {"teacher": means[:, :ECE_BINS], "model": means[:, ECE_BINS:-1]}
    found = {f"ece_given_{judge}": np.abs(gaps).sum(1) for judge, gaps in given.items()}
    found |= {f"gap_given_{judge}": gaps.sum(1) for judge, gaps in given.items()}
    return found | {"nearer_to_others": means[:, -1]}


def _kappas(means: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """Return the kappas from the means of the features `_agreement`."""
    right, own = means[:, 0], means[:, 1]
    soft, hard = [], []
    for first in range(2, means.shape[1], 4):
        agree, other, same, other_right = means[:, first : first + 4].T
        soft.append(kappa(agree, own, other, classes))
        hard.append(kappa(same, right, other_right, 2))
    found = {"agreement_kappa": soft[0], "error_consistency": hard[0]}
    if len(soft) > 1:
        found |= {
            "agreement_kappa_excess": soft[0] - soft[1],
            "error_consistency_excess": hard[0] - hard[1],
        }
    return found


def kappa(observed: np.ndarray, one: np.ndarray, other: np.ndarray, classes: int) -> np.ndarray:
    """Return agreement beyond chance, (c - e) / (1 - e), where c is ``observed``.

    Chance agreement is e = a b + (1 - a)(1 - b) / (K - 1): both are right, or both are wrong in the
    same of K - 1 ways. a and b are the accuracies ``one`` and ``other``, or mean probabilities of
    the label: Goel et al. (2025), arXiv:2502.04313. With K = 2, for right and wrong, this is the
    error consistency of Geirhos et al. (2020), arXiv:2006.16736.
    """
    expected = one * other + (1 - one) * (1 - other) / (classes - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((observed - expected) / (1 - expected))


def _inherited_statistics(means: np.ndarray) -> dict[str, np.ndarray]:
    """Return `INHERITED` from the means of the features `_inherited`."""
    says, right = (means[:, [event, 3 + event]] / means[:, [0, 3]] for event in (1, 2))
    return {
        MISTAKES_INHERITED: says[:, 0] - says[:, 1],
        CORRECTNESS_INHERITED: right[:, 1] - right[:, 0],
    }


def beyond_reference(inherited: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return (inherited - reference) / (1 - reference), the share inherited beyond the reference.

    The teacher itself has ``inherited`` = 1. A student that copies a share of its teacher's answers
    and otherwise answers like its reference therefore gets this share, even if the reference also
    inherits something, e.g. because of the same initialisation.
    """
    headroom = 1 - reference
    return (inherited - reference) / np.where(headroom > 0, headroom, np.nan)


class DecilePayoff:
    """The pay-off of many models in each decile of one replicate's confidence.

    ``gains`` contains `gains_of`, transposed to (4, example), of each model except the replicate's
    own student and reference; ``phi_replicate``, (example,), is the confidence logit of the
    replicate's own prediction.
    """

    def __init__(
        self, gains: Mapping[tuple[str, int], np.ndarray], phi_replicate: np.ndarray
    ) -> None:
        self._gains, self._phi = gains, phi_replicate
        everything = np.ones(len(phi_replicate), bool)
        self._edges = quantile_edges(phi_replicate, everything, DECILES)
        self._sums: np.ndarray | float = 0.0

    def add(self, counts: np.ndarray, rows: slice, /) -> None:
        """Add a block of examples; see `disobey.analysis.resampling.Gathered`."""
        decile = np.searchsorted(self._edges, self._phi[rows], side="right")
        # After sorting, each decile is a slice, which takes a tenth of the work of masks.
        order = np.argsort(decile, kind="stable")
        ends = np.searchsorted(decile[order], np.arange(DECILES + 1))
        drawn = counts[:, order]
        gains = np.concatenate([one[:, rows] for one in self._gains.values()])[:, order]
        gains = gains.T.astype(np.float64)
        self._sums = self._sums + np.stack(
            [drawn[:, a:b] @ gains[a:b] for a, b in itertools.pairwise(ends)]
        )

    def statistics(self, model: tuple[str, int]) -> dict[str, np.ndarray]:
        """Return the statistics of a model by name, each of shape (1 + resample,)."""
        first = len(GAINS) * list(self._gains).index(model)
        of_model = payoffs(np.asarray(self._sums)[..., first : first + len(GAINS)])
        found: dict[str, np.ndarray] = {}
        for score in SCORES:
            found |= zip(decile_names(score), of_model[f"{score}_payoff"], strict=True)
        return found
