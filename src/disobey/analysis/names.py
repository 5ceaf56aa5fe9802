"""Names of models, subsets and statistics, and the record of a statistic.

Names are the same in stores, tables, figures and claims. Notation: t is a student's teacher, m the
model compared with it (student or reference), r a *replicate* (a teacher of another seed), phi the
confidence logit ln(p / (1 - p)) of one class.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TEACHER, REFERENCE, STUDENT = "teacher", "reference", "student"
EFFECT = "student - reference"
MODEL_WORDS = {
    TEACHER: "trained on labels",
    REFERENCE: "the student's architecture, start and batch order, trained on labels alone",
    STUDENT: "distilled from the teacher",
    EFFECT: "distillation's own effect, paired by seed",
}
MODELS = tuple(MODEL_WORDS)
COMPARED = (REFERENCE, STUDENT)
# One-hot runs with the reference's initialisation that differ in something other than distillation.
ONE_HOT_AT_T = "one_hot_at_T"
PLACEBOS = (
    "batch_order", "quarter_lr", "half_lr", "double_lr", "label_smoothing", ONE_HOT_AT_T,
)  # fmt: skip
# Models that a setting may train without measuring the bias: the placebos, a reference trained
# twice as long, and a student whose teacher is not softened.
DOUBLE_LENGTH, STUDENT_AT_1 = "double_length", "student_at_1"
CONTROLS = (*PLACEBOS, DOUBLE_LENGTH, STUDENT_AT_1)

SPLITS = TRAIN, TEST = ("train", "test")
# The split of training examples that student and reference did not see (``student_share``). Where
# it exists, the split train contains only the other examples.
HELD_OUT = "held_out"

ALL, RIGHT, WRONG = "all", "teacher right", "teacher wrong"
CLEAN, MISLABELLED = "clean", "mislabelled"
SUBSET_WORDS = {
    ALL: "every example of the split",
    RIGHT: "those whose given label the teacher predicts",
    WRONG: "the others",
    CLEAN: "those whose label was not moved",
    MISLABELLED: "those whose label was moved to another class",
}
SUBSETS = tuple(SUBSET_WORDS)
# Subsets that do not depend on a model.
UNJUDGED = (ALL, CLEAN, MISLABELLED)

# Readings of a claim on confidence: as in the paper, with class and rank chosen by the student's
# own teacher; the same for student minus reference, paired by seed; conditioned on a teacher of
# another seed.
READINGS = PAPER, SECOND_SEED, REPLICATE = ("paper", "second seed", "replicate")

DECILES = 10
# Conditioned on a replicate: the primary estimators (science: A, G, A_z, B).
EXAGGERATION, SIGNAL_SCALE, INHERITANCE = "exaggeration", "signal_scale", "inheritance"
GAPS = tuple(f"gap_decile_{decile}" for decile in range(1, DECILES + 1))
# At the given label's class, ranked by the teacher, or, with this suffix, by a replicate.
LABEL_GAP, BY_REPLICATE = "label_gap_bottom_decile", "_by_replicate"
MISLABELLED_AUC, PLOT_MISLABELLED_AUC = "mislabelled_auc", "plot_mislabelled_auc"
# The four panels of a dissection, by which models predict the given label.
PANELS = ("both_right", "only_model_right", "only_teacher_right", "neither_right")
# Plotted beside confidence logits.
MEASURES = ("probability", "entropy")
# Curves of means within quantile bins of the teacher's confidence or entropy: means of the model's
# same measure, and of KL(teacher || model).
CURVES = (*MEASURES, "kl_by_confidence_logit", "kl_by_probability", "kl_by_entropy")
# Number of pairs of a top and a bottom eigendirection that the paper draws; a second model from the
# same distribution is expected to count in half of them.
PAIRS = 15

# Units of statistics.
RATIO, LOGITS, SHARE, PROBABILITY, NATS = "ratio", "logits", "share", "probability", "nats"
SQUARED_PROBABILITY = "squared probability"
SHARE_DIFFERENCE, PROBABILITY_DIFFERENCE = "difference of shares", "difference of probabilities"
LOG_RATIO = "ln(ratio)"
PERCENT = 100.0


@dataclass(frozen=True)
class Statistic:
    """A statistic: its names, its definition, and how it is computed.

    A record is defined next to its computation; `disobey.analysis.statistics` collects all records.
    Tables, figures, page, ``compare`` and the reference documentation use their words.

    Attributes
    ----------
    name : str
        The name in stores and tables.
    words : str
        The definition.
    unit : str
    null : float or None
        The expected value for another teacher seed, if it is known.
    symbol : str
    label : str
        A few words for verdicts and axes; by default the symbol or the name.
    short : str
        Fewer words, for a terminal; by default the label.
    percent : bool
        True if the value is printed in per cent.
    of : callable, optional
        For a mean over examples: returns the values to average, (example,), given a
        `disobey.analysis.quality.Block`.
    equal : float, optional
        The value for a model that equals its teacher, if there is no null.
    """

    name: str
    words: str
    unit: str
    null: float | None = None
    symbol: str = ""
    label: str = ""
    short: str = ""
    percent: bool = False
    of: Callable[[Any], Any] | None = None
    equal: float | None = None

    @property
    def printed(self) -> str:
        """The label or, if there is none, the symbol or the name."""
        return self.label or self.symbol or self.name.replace("_", " ")

    @property
    def scale(self) -> float:
        """The factor from the value in tables to the printed value."""
        return PERCENT if self.percent else 1.0

    @property
    def printed_unit(self) -> str:
        """The unit of the printed value; percentage points because verdicts are on differences."""
        return "percentage points" if self.percent else self.unit

    def axis(self, of: str = "") -> str:
        """Return an axis label: the statistic's name, the models ``of``, and the unit."""
        name = self.label or f"{self.name.replace('_', ' ')} {self.symbol}".rstrip()
        return f"{name}{of and ', '}{of} ({self.unit})"

    def null_of(self, model: str) -> float:
        """Return a model's value without an effect: ``null``, else ``equal``, else NaN."""
        if model == EFFECT:
            return 0.0
        known = [value for value in (self.null, self.equal) if value is not None]
        return float(known[0]) if known else math.nan

    def limits(self, model: str) -> tuple[float, float]:
        """Return the smallest and the largest possible value for a model.

        These are 0 and 1 for shares and probabilities, -1 and 1 for their difference between
        student and reference, and infinite for other statistics.
        """
        if self.unit not in (SHARE, PROBABILITY):
            return -math.inf, math.inf
        return (-1.0, 1.0) if model == EFFECT else (0.0, 1.0)
