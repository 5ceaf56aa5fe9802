"""Student-teacher deviations in distillation, measured from stored logits."""

__version__ = "0.1.0"
