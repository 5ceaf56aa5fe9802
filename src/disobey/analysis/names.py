"""The names of models, subsets and statistics: the same in stores, tables, figures and claims."""

import math

TEACHER, REFERENCE, STUDENT = "teacher", "reference", "student"
# Distillation's own effect: student minus reference, paired by seed.
EFFECT = "student - reference"
MODELS = (TEACHER, REFERENCE, STUDENT, EFFECT)
COMPARED = (REFERENCE, STUDENT)
# One-hot runs with the reference's initialisation that differ in what is not distillation.
ONE_HOT_AT_T = "one_hot_at_T"
PLACEBOS = (
    "batch_order", "quarter_lr", "half_lr", "double_lr", "label_smoothing", ONE_HOT_AT_T,
)  # fmt: skip
# What a setting may train beside reference and student without measuring a bias: the placebos, one
# that is trained twice as long, and a student whose teacher is not softened.
DOUBLE_LENGTH, STUDENT_AT_1 = "double_length", "student_at_1"
CONTROLS = (*PLACEBOS, DOUBLE_LENGTH, STUDENT_AT_1)

ALL, RIGHT, WRONG = "all", "teacher right", "teacher wrong"
CLEAN, MISLABELLED = "clean", "mislabelled"
SUBSETS = (ALL, RIGHT, WRONG, CLEAN, MISLABELLED)

# How a claim on confidence is read: as in the paper, class and rank by the student's own teacher;
# the same of student minus reference, paired by seed; conditioned on a teacher of another seed.
READINGS = PAPER, SECOND_SEED, REPLICATE = ("paper", "second seed", "replicate")

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
# The label's class in place of the teacher's: ranked by the teacher, and by a replicate.
BY_REPLICATE = "_by_replicate"
LABEL_GAP = "label_gap_bottom_decile"
_LABEL = (
    "label_slope",
    LABEL_GAP,
    "label_gap_top_decile",
    "label_share_below_diagonal",
)
LABEL = (*_LABEL, *(f"{name}{BY_REPLICATE}" for name in _LABEL))
# Is the gap lower at mislabelled points than at clean ones, where a model is unsure?
MISLABELLED_AUC, PLOT_MISLABELLED_AUC = "mislabelled_auc", "plot_mislabelled_auc"
MISLABELLED_AUCS = (MISLABELLED_AUC, PLOT_MISLABELLED_AUC)
# The four panels of a dissection, by who predicts the given label.
PANELS = ("both_right", "only_model_right", "only_teacher_right", "neither_right")
DISSECTED = ("share", "gap", "share_below_diagonal")
DISSECTION = tuple(f"{panel}_{name}" for panel in PANELS for name in DISSECTED)
OTHER_READINGS = (*LABEL, *MISLABELLED_AUCS, *DISSECTION)

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
STATISTICS = (*PRIMARY, *PLOTTED, *OTHER_READINGS, *FIDELITY, *QUALITY)

# What is plotted beside confidence logits.
MEASURES = ("probability", "entropy")
# Means within quantile bins of the teacher's confidence or entropy: of the same measure of the
# model, and of KL(teacher || model).
CURVES = (*MEASURES, "kl_by_confidence_logit", "kl_by_probability", "kl_by_entropy")

# Pairs of a top and a bottom eigendirection, as many as the paper draws; a second model of the same
# law counts in half of them.
PAIRS = 15
# Shares of examples and probabilities: no interval of them leaves [0, 1].
SHARES = (
    "plot_share_below_diagonal",
    *MISLABELLED_AUCS,
    *(name for name in OTHER_READINGS if "share" in name),
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
