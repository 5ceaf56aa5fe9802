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
# Per example, in the order of `gains_of`.
GAINS = tuple(f"{score}_{what}" for score in SCORES for what in ("gain", "misfit"))
INHERITED = MISTAKES_INHERITED, CORRECTNESS_INHERITED = (
    "mistakes_inherited", "correctness_inherited",
)  # fmt: skip
# The same beyond the reference, see `beyond_reference`.
COPIED = ("mistakes_copied", "correctness_copied")

# The gain is what m's deviation from t is worth, the misfit how large it is.
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
        # Where exactly one of two models is right, the right one gains, whoever it is.
        null = None if panel.startswith("only") else 0
        yield Statistic(f"{panel}_{score}_payoff", f"{score}_payoff {where}", RATIO, null)


def decile_names(score: str) -> list[str]:
    """Return the names of a score's pay-off in the deciles of a replicate's confidence."""
    return [f"{score}_payoff_decile_{decile}" for decile in range(1, DECILES + 1)]


PAYOFF_PARTS = tuple(
    one for parts in (_in_deciles, _in_cells) for score in SCORES for one in parts(score)
)
# For two models, without labels.
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
    """Return what a model's deviation from its teacher is worth at each example, and its size.

    The columns are `GAINS`: |y - t|^2 - |y - m|^2 and |m - t|^2; ln(m_y / t_y) and KL(m || t); the
    shape is (example, 4). In expectation gain = misfit + cross, with cross = 2 (y - m).(m - t) for
    the former and sum_k (y_k - m_k) ln(m_k / t_k) for the latter.
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
    """Return columns of `MUTUAL`, (example, 2 ECE_BINS + 1): gaps in bins of t's, then m's."""
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
    """Return columns for both kappas with t and with the others, (example, 10).

    For t, then for the mean over the others: <m, other>, m_y, other_y; both right or both wrong,
    and whether the other is right. Whether m is right stands first.
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
    """Return in how many pairs with another teacher each event is seen, (example, 6).

    Where t is wrong and the other right: the pair, m says t's class, m is right; the same where the
    other is wrong and t right, with the other's class.
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
    """Return `PAYOFF` by subset; blocks as in `disobey.analysis.quality.example_means`."""
    return by_subset(
        lambda block: block.gains,
        lambda means: dict(zip(GAINS, means.T, strict=True)) | payoffs(means),
    )


def deviations(classes: int, *, labelled: bool, replicated: bool) -> list[Averages]:
    """Return how one model deviates from its teacher, and what it inherits, by subset.

    Blocks are added as in `disobey.analysis.quality.example_means`. Without labels there is
    `MUTUAL` alone.
    """
    found = [by_subset(_mutual, _mutual_statistics)]
    if labelled:
        found += [_cells(), by_subset(_agreement, lambda means: _kappas(means, classes))]
    if labelled and replicated:
        found.append(by_subset(_inherited, _inherited_statistics))
    return found


def _cells() -> Averages:
    """Return the pay-off in each of `PANELS`."""

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
    """Return gain over misfit of both scores from means of `GAINS`, (..., 4).

    NaN where a model does not deviate at all.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = means[..., 0::2] / np.where(means[..., 1::2] > 0, means[..., 1::2], np.nan)
    return {f"{score}_payoff": ratios[..., k] for k, score in enumerate(SCORES)}


def _mutual_statistics(means: np.ndarray) -> dict[str, np.ndarray]:
    """Return `MUTUAL` from means of the columns of `_mutual`."""
    given = {"teacher": means[:, :ECE_BINS], "model": means[:, ECE_BINS:-1]}
    found = {f"ece_given_{judge}": np.abs(gaps).sum(1) for judge, gaps in given.items()}
    found |= {f"gap_given_{judge}": gaps.sum(1) for judge, gaps in given.items()}
    return found | {"nearer_to_others": means[:, -1]}


def _kappas(means: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """Return the kappas from means of the columns of `_agreement`."""
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
    """Return agreement beyond chance, (c - e) / (1 - e), c being ``observed``.

    By chance two models agree as often as both are right, or both wrong in the same of K - 1 ways:
    e = a b + (1 - a)(1 - b) / (K - 1), where a and b say how right each is: Goel et al. (2025),
    arXiv:2502.04313; with K = 2 of right and wrong the error consistency of Geirhos et al. (2020),
    arXiv:2006.16736.
    """
    expected = one * other + (1 - one) * (1 - other) / (classes - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((observed - expected) / (1 - expected))


def _inherited_statistics(means: np.ndarray) -> dict[str, np.ndarray]:
    """Return `INHERITED` from means of the columns of `_inherited`."""
    says, right = (means[:, [event, 3 + event]] / means[:, [0, 3]] for event in (1, 2))
    return {
        MISTAKES_INHERITED: says[:, 0] - says[:, 1],
        CORRECTNESS_INHERITED: right[:, 1] - right[:, 0],
    }


def beyond_reference(inherited: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return what a student inherits beyond its reference, over how much more it could.

    The teacher itself inherits 1. So a student that copies a share of its teacher's answers, and
    else answers as its reference does, has that share, even where the reference inherits something
    as well, as from the same start.
    """
    headroom = 1 - reference
    return (inherited - reference) / np.where(headroom > 0, headroom, np.nan)


class DecilePayoff:
    """The pay-off of many models in each decile of one replicate's confidence.

    ``gains`` are `gains_of` of each model, (4, example), the replicate's own student and reference
    excepted; ``phi_replicate`` is the confidence logit of its own prediction, (example,).
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
        # Sorted, a decile is a slice: a tenth of the work of masks.
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
