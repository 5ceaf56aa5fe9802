"""What each name of `disobey.analysis.names` means, for people: no number depends on this module.

t is a student's teacher, m the model compared with it, r a replicate (a teacher of another seed),
phi the confidence logit ln(p / (1 - p)); means are over the examples of a subset.
"""

from dataclasses import dataclass

from disobey.analysis.names import (
    ALL,
    DECILES,
    EFFECT,
    EXAGGERATION,
    GAPS,
    INHERITANCE,
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


RATIO, LOGITS, SHARE, NATS, SQUARED = "ratio", "logits", "share", "nats", "squared probability"

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
