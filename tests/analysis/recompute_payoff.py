"""Recompute pay-off, mutual calibration and inherited mistakes.

Shares no code with the package. ``samples`` are row numbers, repeated as often as drawn; the first
sample has every row once. Formulas are those of docs/science.md, one example or pair of models
at a time, by scipy's softmax and scikit-learn's kappa.
"""

import numpy as np
from recompute_readings import PANELS, phi
from scipy.special import log_softmax, rel_entr, softmax
from sklearn.metrics import cohen_kappa_score

NAN = float("nan")
SCORES = ("brier", "nll")
INHERITED = ("mistakes_inherited", "correctness_inherited")
COPIED = ("mistakes_copied", "correctness_copied")
NAMES = (
    *(f"{score}_{what}" for score in SCORES for what in ("gain", "misfit", "payoff")),
    *(f"{score}_payoff_decile_{k}" for score in SCORES for k in range(1, 11)),
    *(f"{panel}_{score}_payoff" for score in SCORES for panel in PANELS),
    "ece_given_teacher", "ece_given_model", "gap_given_teacher", "gap_given_model",
    "nearer_to_others", *INHERITED, *COPIED, "agreement_kappa", "agreement_kappa_excess",
    "error_consistency", "error_consistency_excess",
)  # fmt: skip
SHARES = {"ece_given_teacher", "ece_given_model"}


def _mean(values):
    return values.mean() if len(values) else NAN


def _ratio(above, below):
    return above / below if below else NAN


def payoff(model, teacher, others, label, where, samples, subset):
    """Return {statistic: value on each sample} of one model; ``others``: logits of replicates."""
    m, t = softmax(model, 1), softmax(teacher, 1)
    y = np.eye(m.shape[1])[label]
    rows = np.arange(len(label))
    log_ratio = (log_softmax(model, 1) - log_softmax(teacher, 1))[rows, label]
    worth = {
        # misfit and cross, not the difference of two scores
        "brier": (((m - t) ** 2).sum(1) + 2 * ((y - m) * (m - t)).sum(1), ((m - t) ** 2).sum(1)),
        "nll": (log_ratio, rel_entr(m, t).sum(1)),
    }
    right = model.argmax(1) == label, teacher.argmax(1) == label
    of_all = subset == "all" or (subset == "clean" and where.all())  # the same examples
    deciles = [_deciles(other) for other in others] if of_all else []
    unjudged = not subset.startswith("teacher")

    softened = [softmax(z, 1) for z in others]
    agreements = [((m * p).sum(1), p[rows, label]) for p in (m, t, *softened)]
    gaps = [m[rows, p.argmax(1)] - t[rows, p.argmax(1)] for p in (t, m)]

    def found(sample, first):
        drawn = sample[where[sample]]
        values = {}
        for score, (gain, misfit) in worth.items():
            values[f"{score}_gain"], values[f"{score}_misfit"] = (
                _mean(gain[drawn]), _mean(misfit[drawn]),
            )  # fmt: skip
            values[f"{score}_payoff"] = _ratio(gain[drawn].sum(), misfit[drawn].sum())
            if not unjudged:
                continue
            for panel, inside in _cells(*right).items():
                cell = drawn[inside[drawn]]
                values[f"{panel}_{score}_payoff"] = _ratio(gain[cell].sum(), misfit[cell].sum())
            for k in range(10) if deciles else ():
                each = [drawn[decile[drawn] == k] for decile in deciles]
                ratios = [_ratio(gain[one].sum(), misfit[one].sum()) for one in each]
                values[f"{score}_payoff_decile_{k + 1}"] = sum(ratios) / len(ratios)
        if unjudged:
            values |= _mutual(m, t, softened, gaps, drawn)
            values |= _kappas(agreements, m.shape[1], others, label, right, drawn)
            if first and len(drawn) and 0 < right[0][drawn].mean() < 1:
                kappa = cohen_kappa_score(right[0][drawn], right[1][drawn])
                assert abs(values["error_consistency"] - kappa) < 1e-9
            if others:
                values |= _inherited(model, teacher, others, label, drawn)
        return values

    each = [found(sample, number == 0) for number, sample in enumerate(samples)]
    return {name: np.array([one[name] for one in each]) for name in each[0]}


def add_copied(per_model):
    """Add what students inherit beyond their references to {role: [{statistic: values}]}."""
    for name, inherited in zip(COPIED, INHERITED, strict=True):
        for student, reference in zip(per_model["student"], per_model["reference"], strict=True):
            if inherited in student:
                most = np.array([1 - x if x < 1 else NAN for x in reference[inherited]])
                student[name] = 1 - (1 - student[inherited]) / most


def _deciles(replicate):
    order = phi(replicate, replicate.argmax(1))
    ends = np.quantile(order, np.arange(1, 10) / 10)
    return (order[:, None] >= ends).sum(1)


def _cells(model_right, teacher_right):
    return dict(
        zip(
            PANELS,
            (model_right & teacher_right, model_right & ~teacher_right,
             ~model_right & teacher_right, ~model_right & ~teacher_right),
            strict=True,
        )
    )  # fmt: skip


def _mutual(m, t, others, gaps, drawn):
    values = {}
    if not len(drawn):
        empty = ("ece_given_teacher", "ece_given_model", "gap_given_teacher", "gap_given_model")
        return dict.fromkeys((*empty, *(["nearer_to_others"] if others else [])), NAN)
    for judge, p, gap_of_all in zip(("teacher", "model"), (t, m), gaps, strict=True):
        confidence, gap = p.max(1)[drawn], gap_of_all[drawn]
        bins = np.minimum(np.floor(15 * confidence), 14)
        values[f"ece_given_{judge}"] = sum(
            (bins == k).mean() * abs(gap[bins == k].mean()) for k in set(bins)
        )
        values[f"gap_given_{judge}"] = gap.mean()
    if others:
        o = sum(others) / len(others)
        kl = rel_entr(t[drawn], m[drawn]).sum(1) - rel_entr(o[drawn], m[drawn]).sum(1)
        values["nearer_to_others"] = kl.mean()
    return values


def _kappas(agreements, classes, others, label, right, drawn):
    """``agreements``: how often the model agrees with a teacher, and that one is right; own first.

    Before them the model with itself.
    """
    names = ("agreement_kappa", "error_consistency")
    if not len(drawn):
        excess = [f"{name}_excess" for name in names] if others else []
        return dict.fromkeys((*names, *excess), NAN)
    (_, model_right), with_teacher, *with_others = agreements

    def soft(agreement):
        agree, a, b = (
            np.mean(values[drawn]) for values in (agreement[0], model_right, agreement[1])
        )
        by_chance = a * b + (1 - a) * (1 - b) / (classes - 1)
        return agree, by_chance

    def hard(other_right):
        one, two = right[0][drawn], other_right[drawn]
        a, b = one.mean(), two.mean()
        return (one == two).mean(), a * b + (1 - a) * (1 - b)

    def kappa(pairs):
        agree, by_chance = np.mean(pairs, axis=0)
        return (agree - by_chance) / (1 - by_chance) if by_chance != 1 else NAN

    own = kappa([soft(with_teacher)]), kappa([hard(right[1])])
    values = dict(zip(names, own, strict=True))
    if others:
        rest = (
            kappa([soft(agreement) for agreement in with_others]),
            kappa([hard(z.argmax(1) == label) for z in others]),
        )
        for name, with_own, with_others in zip(names, own, rest, strict=True):
            values[f"{name}_excess"] = with_own - with_others
    return values


def _inherited(model, teacher, others, label, drawn):
    """Count pairs of an example and another teacher."""
    a, b = {"pairs": 0, "says": 0, "right": 0}, {"pairs": 0, "says": 0, "right": 0}
    said, taught = model.argmax(1)[drawn], teacher.argmax(1)[drawn]
    truth = label[drawn]
    for other in others:
        o = other.argmax(1)[drawn]
        for side, wrong, correct in ((a, taught, o), (b, o, taught)):
            pairs = (wrong != truth) & (correct == truth)
            side["pairs"] += pairs.sum()
            side["says"] += (said[pairs] == wrong[pairs]).sum()
            side["right"] += (said[pairs] == truth[pairs]).sum()
    if not a["pairs"] or not b["pairs"]:
        return dict.fromkeys(INHERITED, NAN)
    return {
        INHERITED[0]: a["says"] / a["pairs"] - b["says"] / b["pairs"],
        INHERITED[1]: b["right"] / b["pairs"] - a["right"] / a["pairs"],
    }
