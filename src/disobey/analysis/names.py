"""The names of models, subsets and statistics: the same in stores, tables, figures and claims."""

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
