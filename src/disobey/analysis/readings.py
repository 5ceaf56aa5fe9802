"""Other readings of the same logits: the label's class, mislabelled points, correct predictions.

The label is not predicted by a model, so choosing its class does not select on any model's noise.
Ranking the examples by the teacher still does; ranking them by a replicate does not. o is the model
that ranks the examples: the teacher t or a replicate. Other notation: `disobey.analysis.names`.

The first pass over the logits keeps a few numbers per example, see `Kept`; these statistics and the
plots are computed from them alone.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from disobey.analysis.confidence import QUARTER, TENTH, moments_of, quantile_of, slope_of
from disobey.analysis.names import (
    BY_REPLICATE,
    LABEL_GAP,
    LOGITS,
    MISLABELLED_AUC,
    PANELS,
    PLOT_MISLABELLED_AUC,
    PROBABILITY,
    RATIO,
    SHARE,
    TEACHER,
    Statistic,
)
from disobey.analysis.quality import Outputs, entropy
from disobey.analysis.resampling import Averages

# Statistics of `label_class`, in its order; `BY_REPLICATE` is appended if a replicate ranks.
LABEL = ("label_slope", LABEL_GAP, "label_gap_top_decile", "label_share_below_diagonal")
PANEL_WORDS = dict(
    zip(
        PANELS,
        ("where t and m predict the given label", "where m alone does", "where t alone does",
         "where neither does"),
        strict=True,
    )
)  # fmt: skip


def _at_label(
    order: str, ending: str, nulls: tuple[float | None, ...], whose: str
) -> Iterator[Statistic]:
    """Yield the records of the statistics of `label_class` when model ``order`` ranks examples."""
    at_label = "of the given label's class"
    below = f"share with phi_m < phi_t, {at_label}, in the split's lowest quarter of phi_{order}"
    words = (
        (f"cov(phi_m, phi_{order}) / cov(phi_t, phi_{order}), {at_label}", RATIO),
        (f"mean of phi_m - phi_t in the lowest tenth of phi_{order}, {at_label}", LOGITS),
        ("the same in the highest tenth", LOGITS),
        (below, SHARE),
    )
    labels = ("", f"gap in {whose}bottom decile, at the label", "", "")
    for name, of, null, label in zip(LABEL, words, nulls, labels, strict=True):
        equal = 0.0 if name == LABEL_GAP else None
        yield Statistic(f"{name}{ending}", *of, null, label=label, equal=equal)


def _dissected() -> Iterator[Statistic]:
    """Yield the records of the statistics of `dissection`, panel by panel."""
    for panel, where in PANEL_WORDS.items():
        yield Statistic(f"{panel}_share", f"share of the examples {where}", SHARE)
        gap = f"mean of phi_m - phi_t {where}, of t's class"
        yield Statistic(f"{panel}_gap", gap, LOGITS, equal=0)
        below = f"share with phi_m < phi_t {where}, of t's class"
        yield Statistic(f"{panel}_share_below_diagonal", below, SHARE)


OTHER_READINGS = (
    *_at_label("t", "", (None, None, None, None), "the "),
    *_at_label("r", BY_REPLICATE, (1, 0, 0, 1 / 2), "r's "),
    Statistic(
        MISLABELLED_AUC,
        "chance that phi_m - phi_t is lower at a mislabelled point than at a clean one, of the "
        "given label's class, in the lowest quarter of phi_r",
        PROBABILITY, 1 / 2, label="AUC of the gap at the label",
    ),
    Statistic(
        PLOT_MISLABELLED_AUC, "the same of t's class, in the lowest quarter of phi_t", PROBABILITY,
        label="AUC of the gap", equal=1 / 2,
    ),
    *_dissected(),
)  # fmt: skip


def label_class(
    phi_model: np.ndarray,
    phi_teacher: np.ndarray,
    phi_order: np.ndarray,
    where: np.ndarray,
    ending: str = "",
) -> Averages:
    """Return slope, gaps and the share below the diagonal for one class of each example.

    The slope is cov(phi_m, phi_o) / cov(phi_t, phi_o): least squares if the teacher ranks, A if a
    replicate does. Gaps are means of phi_m - phi_t in the subset's lowest and highest tenth of
    phi_o. The share with phi_m < phi_t is taken over the subset's examples in the lowest quarter of
    the whole split, so that subsets are compared at equal uncertainty. All arrays have shape
    (example,); ``ending`` is the suffix of the statistics' names.
    """
    bottom, top = (quantile_of(phi_order, where, share) for share in (TENTH, 1 - TENTH))
    quarter = quantile_of(phi_order, np.ones(len(where), bool), QUARTER)

    def gaps(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        gap, phi_o = phi_model[rows] - phi_teacher[rows], phi_order[rows]
        parts = (phi_o <= bottom, phi_o >= top, phi_o <= quarter)
        inside = np.column_stack([where[rows] & part for part in parts])
        return np.column_stack([gap, gap < 0]), inside

    def finish(moments: np.ndarray, gaps: np.ndarray) -> dict[str, np.ndarray]:
        values = (slope_of(moments), gaps[:, 0, 0], gaps[:, 1, 0], gaps[:, 2, 1])
        return {f"{name}{ending}": value for name, value in zip(LABEL, values, strict=True)}

    return Averages(finish, moments_of(phi_model, phi_teacher, phi_order, where), gaps)


def mislabelled_auc(
    name: str,
    phi_model: np.ndarray,
    phi_teacher: np.ndarray,
    phi_order: np.ndarray,
    mislabelled: np.ndarray,
) -> Averages:
    """Return the probability that a mislabelled point's gap is lower than a clean one's.

    This is the area under the ROC curve of the gap phi_m - phi_t, over the examples in the lowest
    quarter of phi_o; ties count half. A model that behaves like another teacher seed has 1/2 if a
    replicate ranks, since its gaps are as often positive as negative at both kinds of points. The
    lowest tenth would contain hardly any clean point where a fifth of the labels is wrong. NaN if
    either kind has no point. All arrays have shape (example,); ``name`` is the statistic's name.

    Resamples use the placements of the full sample, i.e. the linear part of the AUC, whose variance
    is that of DeLong, DeLong and Clarke-Pearson (1988).
    """
    unsure = phi_order <= quantile_of(phi_order, np.ones(len(phi_order), bool), QUARTER)
    kinds = np.column_stack([unsure & mislabelled, unsure & ~mislabelled])
    gap = phi_model - phi_teacher
    wrong, clean = (gap[kind] for kind in kinds.T)
    placement = np.zeros(len(gap))
    if wrong.size and clean.size:
        placement[kinds[:, 0]] = 1 - _placed(wrong, clean)
        placement[kinds[:, 1]] = _placed(clean, wrong)

    def finish(means: np.ndarray) -> dict[str, np.ndarray]:
        of_wrong, of_clean = means[..., 0].T
        # On the full sample both means are the AUC.
        return {name: of_wrong + of_clean - of_wrong[0]}

    return Averages(finish, lambda rows: (placement[rows, None], kinds[rows]))


def _placed(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the share of ``others`` below each value; ties count half."""
    ordered = np.sort(others)
    below, up_to = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (below + up_to) / (2 * len(others))


def panel_of(teacher_right: np.ndarray, model_right: np.ndarray) -> np.ndarray:
    """Return the index in `disobey.analysis.names.PANELS` of each example's panel.

    The arguments, bool of shape (example,), are true where that model predicts the given label.
    """
    return (~teacher_right + 2 * ~model_right).astype(np.int8)


def dissection(
    phi_model: np.ndarray, phi_teacher: np.ndarray, panel: np.ndarray, where: np.ndarray
) -> Averages:
    """Return each panel's share of examples, its mean gap and its share below the diagonal.

    The confidence logits, (example,), are of the class that the *teacher* predicts; ``panel`` is
    the result of `panel_of`; ``where`` is the subset.
    """
    gap = phi_model - phi_teacher

    def inside(rows: slice) -> np.ndarray:
        return where[rows, None] & (panel[rows, None] == np.arange(len(PANELS)))

    def gaps(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        return np.column_stack([gap[rows], gap[rows] < 0]), inside(rows)

    def finish(shares: np.ndarray, gaps: np.ndarray) -> dict[str, np.ndarray]:
        found = {}
        for k, name in enumerate(PANELS):
            found[f"{name}_share"] = shares[:, 0, k]
            found[f"{name}_gap"], found[f"{name}_share_below_diagonal"] = gaps[:, k].T
        return found

    return Averages(finish, lambda rows: (inside(rows), where[rows, None]), gaps)


class Kept:
    """Numbers per example that the first pass over the logits keeps.

    Parameters
    ----------
    models : mapping of str to int
        Number of models of each role; teachers beyond the number of seeds are only replicates.
    seeds, examples : int
    label : ndarray of int, shape (example,), or None
        The given label.

    Attributes
    ----------
    prediction : ndarray of int32, shape (teacher, example)
    phi : dict of str to ndarray, shape (model, teacher, example)
        Confidence logit of each model for the class that each teacher predicts, by role.
    label_phi : dict of str to ndarray, shape (model, example)
        Confidence logit of the given label, by role.
    right : dict of str to ndarray of bool, shape (seed, example)
        True where the given label is predicted, by role.
    entropy : dict of str to ndarray, shape (seed, example)
        Entropy of the probabilities in nats, by role.
    kl : dict of str to ndarray, shape (seed, example)
        KL(teacher || model) in nats, by compared role.
    """

    def __init__(
        self, models: Mapping[str, int], seeds: int, examples: int, label: np.ndarray | None
    ) -> None:
        self._label, shape = label, (seeds, examples)
        self.prediction = np.empty((models[TEACHER], examples), np.int32)
        self.phi = {role: np.empty((of, *self.prediction.shape)) for role, of in models.items()}
        self.label_phi: dict[str, np.ndarray] = {}
        self.right: dict[str, np.ndarray] = {}
        if label is not None:
            self.label_phi = {role: np.empty((of, examples)) for role, of in models.items()}
            self.right = {role: np.empty(shape, bool) for role in models}
        self.entropy = {role: np.empty(shape) for role in models}
        self.kl = {role: np.empty(shape) for role in models if role != TEACHER}

    def keep_confidence(self, role: str, model: int, outputs: Outputs, rows: slice) -> None:
        """Keep a block of a model's confidence logits; for replicates nothing else is kept."""
        for teacher, predicted in enumerate(self.prediction[:, rows]):
            self.phi[role][model, teacher, rows] = outputs.confidence_logit(predicted)
        if self._label is not None:
            self.label_phi[role][model, rows] = outputs.confidence_logit(self._label[rows])

    def keep(self, role: str, seed: int, outputs: Outputs, rows: slice) -> None:
        """Keep confidence logits, entropy and correctness of a block of outputs."""
        self.keep_confidence(role, seed, outputs, rows)
        self.entropy[role][seed, rows] = entropy(outputs)
        if self._label is not None:
            self.right[role][seed, rows] = outputs.predicted == self._label[rows]

    def panel(self, role: str, seed: int) -> np.ndarray:
        """Return the panel of each example; see `panel_of`."""
        return panel_of(self.right[TEACHER][seed], self.right[role][seed])


def readings(
    kept: Kept,
    phi: tuple[np.ndarray, np.ndarray],
    model: tuple[str, int],
    replicates: Sequence[int],
    where: np.ndarray,
    mislabelled: np.ndarray | None,
) -> list[list[Averages]]:
    """Return the statistics of all other readings of one model on one subset.

    The items of each inner list are to be averaged: they are the same statistics by each replicate.

    Parameters
    ----------
    kept : Kept
    phi : tuple of ndarray, shape (example,)
        Confidence logits of the model and its teacher for the class that the teacher predicts.
    model : tuple of (str, int)
        Role and seed.
    replicates : sequence of int
        Indices of the teachers that are replicates.
    where : ndarray of bool, shape (example,)
        The subset.
    mislabelled : ndarray of bool, shape (example,), or None
        True for examples whose label was changed by noise. None, which omits the statistics of
        mislabelled points, for subsets other than all examples, or without noise.
    """
    role, seed = model
    teachers = kept.label_phi[TEACHER]
    own = kept.label_phi[role][seed], teachers[seed]
    found = [
        [label_class(*own, teachers[seed], where)],
        [label_class(*own, teachers[other], where, BY_REPLICATE) for other in replicates],
        [dissection(*phi, kept.panel(role, seed), where)],
    ]
    if mislabelled is not None:
        orders = [teachers[other] for other in replicates]
        found += [
            [mislabelled_auc(MISLABELLED_AUC, *own, order, mislabelled) for order in orders],
            [mislabelled_auc(PLOT_MISLABELLED_AUC, *phi, phi[1], mislabelled)],
        ]
    return found
