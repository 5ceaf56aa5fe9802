"""The names of models, subsets and statistics: the same in stores, tables, figures and claims."""

import math

TEACHER, REFERENCE, STUDENT = "teacher", "reference", "student"
# Distillation's own effect: student minus reference, paired by seed.
EFFECT = "student - reference"
MODELS = (TEACHER, REFERENCE, STUDENT, EFFECT)
COMPARED = (REFERENCE, STUDENT)
# One-hot runs with the reference's initialisation that differ in what is not distillation.
PLACEBOS = ("batch_order", "half_lr", "double_lr", "label_smoothing")

# How a claim on confidence is read: as in the paper, class and rank by the student's own teacher;
# the same of student minus reference, paired by seed; conditioned on a teacher of another seed.
READINGS = PAPER, SECOND_SEED, REPLICATE = ("paper", "second seed", "replicate")

ALL = "all"
SUBSETS = (ALL, "teacher right", "teacher wrong", "clean", "mislabelled")

DECILES = 10
# Replicate-conditioned, the primary estimators (science: A, G, A_z, B).
EXAGGERATION = "exaggeration"
GAPS = tuple(f"gap_decile_{decile}" for decile in range(1, DECILES + 1))
SIGNAL_SCALE = "signal_scale"
INHERITANCE = "inheritance"
PRIMARY = (EXAGGERATION, *GAPS, SIGNAL_SCALE, INHERITANCE)

# Teacher-conditioned, as the paper plots them: biased by the teacher's own noise.
PLOTTED = (
    "plot_slope",
    "plot_intercept",
    "plot_slope_bottom_quartile",
    "plot_gap_bottom_decile",
    "plot_gap_top_decile",
    "plot_share_below_diagonal",
    "plot_sd_ratio",
)
FIDELITY = ("agreement", "kl_from_teacher", "total_variation")
QUALITY = (
    "accuracy",
    "clean_accuracy",
    "nll",
    "brier",
    "ece",
    "saturated",
    # mean probability of the given label, and of the one before noise
    "given_label_confidence",
    "clean_label_confidence",
)
STATISTICS = (*PRIMARY, *PLOTTED, *FIDELITY, *QUALITY)
# Shares of examples and probabilities: no interval of them leaves [0, 1].
SHARES = (
    "plot_share_below_diagonal",
    "agreement",
    "total_variation",
    "accuracy",
    "clean_accuracy",
    "ece",
    "saturated",
    "given_label_confidence",
    "clean_label_confidence",
)


def limits(statistic: str, model: str) -> tuple[float, float]:
    """Return the smallest and the largest value that a statistic of a model can have.

    For `SHARES` these are 0 and 1, for a difference of two shares -1 and 1; for other statistics
    they are infinite.
    """
    if statistic not in SHARES:
        return -math.inf, math.inf
    return (-1.0, 1.0) if model == EFFECT else (0.0, 1.0)
