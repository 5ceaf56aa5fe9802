"""What each name of `disobey.analysis.names` means, for people: no number depends on this module.

t is a student's teacher, m the model compared with it, r a replicate (a teacher of another seed),
phi the confidence logit ln(p / (1 - p)); means are over the examples of a subset.
"""

from dataclasses import dataclass

from disobey.analysis.names import (
    ALL,
    BY_REPLICATE,
    DECILES,
    EFFECT,
    EXAGGERATION,
    GAPS,
    INHERITANCE,
    MISLABELLED_AUC,
    PLOT_MISLABELLED_AUC,
    REFERENCE,
    SIGNAL_SCALE,
    STUDENT,
    TEACHER,
)
from disobey.analysis.quality import ECE_BINS


@dataclass(frozen=True)
class Meaning:
    """A statistic in words.

    Attributes
    ----------
    words : str
        What it is, with its equation.
    unit : str
    null : str
        Its value for a model that does not deviate; empty where there is none.
    """

    words: str
    unit: str
    null: str = ""


AT_LABEL = "of the given label's class"
# The panels of a dissection, in words.
PANEL_WORDS = {
    "both_right": "where t and m predict the given label",
    "only_model_right": "where m alone does",
    "only_teacher_right": "where t alone does",
    "neither_right": "where neither does",
}
RATIO, LOGITS, SHARE, NATS, SQUARED = "ratio", "logits", "share", "nats", "squared probability"


def _at_the_label(order: str, ending: str, nulls: tuple[str, str]) -> dict[str, "Meaning"]:
    """Return the readings of the label's class, ranked by phi of ``order``."""
    one, none = nulls
    slope = f"cov(phi_m, phi_{order}) / cov(phi_t, phi_{order}), {AT_LABEL}"
    bottom = f"mean of phi_m - phi_t in the lowest tenth of phi_{order}, {AT_LABEL}"
    below = f"share with phi_m < phi_t, {AT_LABEL}, in the split's lowest quarter of phi_{order}"
    return {
        f"label_slope{ending}": Meaning(slope, RATIO, one),
        f"label_gap_bottom_decile{ending}": Meaning(bottom, LOGITS, none),
        f"label_gap_top_decile{ending}": Meaning("the same in the highest tenth", LOGITS, none),
        f"label_share_below_diagonal{ending}": Meaning(below, SHARE, "1/2" if none else ""),
    }


def _dissected() -> dict[str, "Meaning"]:
    """Return the readings of each panel."""
    return {
        name: meaning
        for panel, where in PANEL_WORDS.items()
        for name, meaning in (
            (f"{panel}_share", Meaning(f"share of the examples {where}", SHARE)),
            (f"{panel}_gap", Meaning(f"mean of phi_m - phi_t {where}, of t's class", LOGITS)),
            (
                f"{panel}_share_below_diagonal",
                Meaning(f"share with phi_m < phi_t {where}, of t's class", SHARE),
            ),
        )
    }


STATISTICS = {
    EXAGGERATION: Meaning("A = cov(phi_m, phi_r) / cov(phi_t, phi_r), of r's class", RATIO, "1"),
    **{
        name: Meaning(f"G: mean of phi_m - phi_t in decile {i} of {DECILES} of phi_r", LOGITS, "0")
        for i, name in enumerate(GAPS, 1)
    },
    SIGNAL_SCALE: Meaning("A_z = <m, r> / <t, r> of centred logits", RATIO, "1"),
    INHERITANCE: Meaning(
        "B = (<m, t> - <m, r'>) / (<t, t> - <t, r'>) of centred logits, r' = r |t| / |r|",
        RATIO,
        "0",
    ),
    "plot_slope": Meaning("least-squares slope of phi_m on phi_t, of t's class", RATIO),
    "plot_intercept": Meaning("its intercept", LOGITS),
    "plot_slope_bottom_quartile": Meaning("the slope in the lowest quarter of phi_t", RATIO),
    "plot_gap_bottom_decile": Meaning("mean of phi_m - phi_t in the lowest tenth of phi_t", LOGITS),
    "plot_gap_top_decile": Meaning("the same in the highest tenth", LOGITS),
    "plot_share_below_diagonal": Meaning(
        "how many of the lowest quarter of phi_t have phi_m < phi_t", SHARE
    ),
    "plot_sd_ratio": Meaning("standard deviation of phi_m over that of phi_t", RATIO),
    **_at_the_label("t", "", ("", "")),
    **_at_the_label("r", BY_REPLICATE, ("1", "0")),
    MISLABELLED_AUC: Meaning(
        "chance that phi_m - phi_t is lower at a mislabelled point than at a clean one, "
        f"{AT_LABEL}, in the lowest quarter of phi_r",
        "probability",
        "1/2",
    ),
    PLOT_MISLABELLED_AUC: Meaning(
        "the same of t's class, in the lowest quarter of phi_t", "probability"
    ),
    **_dissected(),
    "agreement": Meaning("how many examples m and t put into the same class", SHARE),
    "kl_from_teacher": Meaning("mean of KL(t || m), at temperature 1", NATS),
    "total_variation": Meaning("mean of half the sum over classes of |p_t - p_m|", SHARE),
    "accuracy": Meaning("how many examples are put into the class of their given label", SHARE),
    "clean_accuracy": Meaning("into the class of the label before noise", SHARE),
    "nll": Meaning("mean of -ln p of the given label", NATS),
    "brier": Meaning("mean squared distance of p to the one-hot given label", SQUARED),
    "ece": Meaning(f"expected calibration error, {ECE_BINS} bins of equal width", SHARE),
    "saturated": Meaning("how many examples have a p that a softmax in float32 gives as 1", SHARE),
    "given_label_confidence": Meaning("mean p of the given label", "probability"),
    "clean_label_confidence": Meaning("mean p of the label before noise", "probability"),
}

MODELS = {
    TEACHER: "trained on labels",
    REFERENCE: "the student's architecture, start and batch order, trained on labels alone",
    STUDENT: "distilled from the teacher",
    EFFECT: "distillation's own effect, paired by seed",
}

SUBSETS = {
    ALL: "every example of the split",
    "teacher right": "those whose given label the teacher predicts",
    "teacher wrong": "the others",
    "clean": "those whose label was not moved",
    "mislabelled": "those whose label was moved to another class",
}
