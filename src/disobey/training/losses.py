"""The losses of students, one decorated function each; docs/own-loss.md shows how to add one.

The decorator registers a loss. Study models, schema, checks, ids, plan, figures, report and docs
are derived from its record, so a new loss touches this file only. Torch is not imported here,
because the plan reads the signatures; the functions only use methods of tensors.

z is a model's logits, p^(T) = softmax(z / T), s the student, t the teacher, y the given label, K
the number of classes. Each function returns the loss of every example, computed in log-space and
float32, so that extreme logits give a finite loss and gradient. `disobey.training.objective`
averages over the batch, weighs the loss against the label's cross-entropy, and multiplies it by T^2
where ``squared_temperature`` is set: a convention that equalises gradients as T grows. A logit of
-inf masks a class: its probability is 0.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor


# The possible positional parameters of a loss.
STUDENT, TEACHER, LABEL = "student_logit", "teacher_logit", "label"
READABLE = (STUDENT, TEACHER, LABEL)
DEFAULT = "kl"  # the loss of ``distill`` without ``loss``; left out of specs
TEMPERATURE = "temperature"

_LOSSES: dict[str, "Loss"] = {}


@dataclass(frozen=True)
class Loss:
    """A loss of students.

    Attributes
    ----------
    name : str
        Its name in study files.
    function : callable
        Maps tensors to the loss of each example, shape (batch,).
    words, formula, source : str
        Its name in figures and tables, its formula, and its publication.
    reads : tuple of str
        The positional parameters, a subset of `READABLE`.
    parameters : mapping of str to inspect.Parameter
        The keyword-only parameters: types (with bounds and description) and defaults.
    squared_temperature : bool
        True if the loss is multiplied by the square of its temperature.
    least_classes : int
        Minimum number of classes.
    """

    name: str
    function: Callable[..., Any]
    words: str
    formula: str
    source: str
    reads: tuple[str, ...]
    parameters: Mapping[str, inspect.Parameter]
    squared_temperature: bool
    least_classes: int

    @property
    def needs_teacher(self) -> bool:
        """True if the loss compares the student with a teacher; False for controls."""
        return TEACHER in self.reads

    def scale(self, temperature: float) -> float:
        """Return the constant factor of the loss."""
        return temperature**2 if self.squared_temperature else 1.0

    def in_words(self, values: Mapping[str, Any]) -> str:
        """Return the loss's name with the parameters that differ from their defaults.

        The temperature is left out, because figures and tables show it separately.
        """
        told = [
            f"{name} {values[name]:.15g}"
            for name, parameter in self.parameters.items()
            if name != TEMPERATURE and values.get(name, parameter.default) != parameter.default
        ]
        return ", ".join([self.words, *told])


def loss(
    name: str,
    *,
    words: str,
    formula: str,
    source: str,
    squared_temperature: bool = False,
    least_classes: int = 2,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as a loss of students.

    Its positional parameters are any of ``student_logit``, ``teacher_logit``, both (batch, class),
    and ``label``, (batch,). Its keyword-only parameters become options of ``distill`` in study
    files, such as ``alpha: Annotated[float, Field(ge=0, description="...")] = 1.0``.

    Parameters
    ----------
    name, words, formula, source, squared_temperature, least_classes
        See `Loss`.

    Raises
    ------
    TypeError
        If the function has other parameters.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        parameters = inspect.signature(function).parameters
        given = {n: p for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
        reads = tuple(n for n in parameters if n not in given)
        if reads[:1] != (STUDENT,) or not set(reads) <= set(READABLE) or name in _LOSSES:
            raise TypeError(
                f"loss {name}: positional parameters must be student_logit first, then "
                f"teacher_logit, label or both, and the name must be new; got {', '.join(reads)}"
            )
        if squared_temperature and TEMPERATURE not in given:
            raise TypeError(f"loss {name}: squared_temperature needs the parameter temperature")
        _LOSSES[name] = Loss(
            name, function, words, formula, source, reads, given, squared_temperature, least_classes
        )
        return function

    return register


def losses() -> Mapping[str, Loss]:
    """Return all losses by name, the default first."""
    return _LOSSES


def loss_of(distill: Mapping[str, Any]) -> Loss:
    """Return the loss that ``distill`` of a run's spec names."""
    return losses()[distill.get("loss", DEFAULT)]


# Replaces the logarithm of 0, so that 0 ln 0 is 0 in the loss and in its gradient.
LOWEST = -1e20
# Logits that vary less than this over the classes are not scaled up further [our choice].
LEAST_DEVIATION = 1e-3

Temperature = Annotated[
    float, Field(gt=0, description="T: both models' logits are divided by it before softmax")
]


def _log_softmax(logit: "Tensor", temperature: float = 1.0) -> "Tensor":
    """Return ln softmax(z / T) in float32, `LOWEST` for a masked class."""
    return (logit.float() / temperature).clamp(min=LOWEST).log_softmax(1)


def _divergence(one: "Tensor", other: "Tensor") -> "Tensor":
    """Return KL(p || q) of each example, from ln p and ln q."""
    return (one.exp() * (one - other)).sum(1)


@loss(
    "kl",
    words="KL",
    formula="T² KL(t ‖ s)",
    source="Hinton et al. (2015), arXiv:1503.02531",
    squared_temperature=True,
)
def kl(student_logit: "Tensor", teacher_logit: "Tensor", *, temperature: Temperature) -> "Tensor":
    """Return KL(p_t^(T) || p_s^(T)): distillation as most code computes it."""
    return _divergence(
        _log_softmax(teacher_logit, temperature), _log_softmax(student_logit, temperature)
    )


@loss(
    "cross_entropy",
    words="cross-entropy",
    formula="−Σ t ln s",
    source="Nagarajan et al. (2023), arXiv:2301.12923",
)
def cross_entropy(
    student_logit: "Tensor", teacher_logit: "Tensor", *, temperature: Temperature
) -> "Tensor":
    """Return -sum_k p_t^(T) ln p_s^(T), without T^2, as the paper writes distillation."""
    teacher = _log_softmax(teacher_logit, temperature).exp()
    return -(teacher * _log_softmax(student_logit, temperature)).sum(1)


@loss(
    "reverse_kl",
    words="reverse KL",
    formula="T² KL(s ‖ t)",
    source="Gu et al. (2024), arXiv:2306.08543",
    squared_temperature=True,
)
def reverse_kl(
    student_logit: "Tensor", teacher_logit: "Tensor", *, temperature: Temperature
) -> "Tensor":
    """Return KL(p_s^(T) || p_t^(T)); classes that the teacher masks are masked for both."""
    common = student_logit.masked_fill(teacher_logit.isneginf(), -math.inf)
    return _divergence(_log_softmax(common, temperature), _log_softmax(teacher_logit, temperature))


@loss(
    "jensen_shannon",
    words="Jensen-Shannon",
    formula="T² [KL(t ‖ m) + KL(s ‖ m)] / 2, m = (s + t) / 2",
    source="Lin (1991), IEEE Transactions on Information Theory 37, 145-151",
    squared_temperature=True,
)
def jensen_shannon(
    student_logit: "Tensor", teacher_logit: "Tensor", *, temperature: Temperature
) -> "Tensor":
    """Return the mean of KL(p_t || m) and KL(p_s || m), all at T, of the mixture m."""
    student, teacher = (_log_softmax(z, temperature) for z in (student_logit, teacher_logit))
    mixture = student.logaddexp(teacher) - math.log(2)
    return (_divergence(teacher, mixture) + _divergence(student, mixture)) / 2


@loss(
    "squared_error",
    words="squared error",
    formula="Σ (z_s − z̄_s − z_t + z̄_t)² / 2K",
    source="Ba & Caruana (2014), arXiv:1312.6184; Hinton et al. (2015), section 2.1",
)
def squared_error(student_logit: "Tensor", teacher_logit: "Tensor") -> "Tensor":
    """Return half the mean squared difference of centred logits: the limit of T^2 KL for large T.

    Mean and K are over the classes that neither model masks.
    """
    masked = student_logit.isneginf() | teacher_logit.isneginf()
    difference = (student_logit.float() - teacher_logit.float()).masked_fill(masked, 0)
    classes = (~masked).sum(1, keepdim=True)
    centred = difference - difference.sum(1, keepdim=True) / classes
    return centred.masked_fill(masked, 0).square().sum(1) / (2 * classes[:, 0])


@loss(
    "dkd",
    words="DKD",
    formula="T² [α KL(b_t ‖ b_s) + β KL(p̂_t ‖ p̂_s)], b = (p_y, 1 − p_y), p̂ = p without y",
    source="Zhao et al. (2022), arXiv:2203.08679",
    squared_temperature=True,
    least_classes=3,
)
def dkd(
    student_logit: "Tensor",
    teacher_logit: "Tensor",
    label: "Tensor",
    *,
    temperature: Temperature,
    alpha: Annotated[
        float, Field(ge=0, description="of the label's class against all others")
    ] = 1.0,
    beta: Annotated[float, Field(ge=0, description="of the other classes among themselves")] = 8.0,
) -> "Tensor":
    """Return decoupled distillation: alpha KL(b_t || b_s) + beta KL(q_t || q_s), all at T.

    b is (p_y, 1 - p_y), q the distribution over the classes other than y.
    """
    own = label[:, None]

    def split(logit: "Tensor") -> "tuple[Tensor, Tensor, Tensor]":
        log_p = _log_softmax(logit, temperature)
        others = log_p.scatter(1, own, LOWEST)
        rest = others.logsumexp(1, keepdim=True)  # ln (1 - p_y), without 1 - 1
        return log_p.gather(1, own), rest, others - rest

    pairs = zip(split(teacher_logit), split(student_logit), strict=True)
    of_label, of_rest, among_others = (_divergence(t, s) for t, s in pairs)
    return alpha * (of_label + of_rest) + beta * among_others


@loss(
    "standardised",
    words="standardised logits",
    formula="T² KL(t ‖ s) of (z − z̄) / σ(z)",
    source="Sun et al. (2024), arXiv:2403.01427",
    squared_temperature=True,
)
def standardised(
    student_logit: "Tensor", teacher_logit: "Tensor", *, temperature: Temperature
) -> "Tensor":
    """Return KL at T of logits that have mean 0 and deviation 1 over each example's classes."""

    def scores(logit: "Tensor") -> "Tensor":
        masked = logit.isneginf()
        classes = (~masked).sum(1, keepdim=True)
        mean = logit.float().masked_fill(masked, 0).sum(1, keepdim=True) / classes
        centred = (logit.float() - mean).masked_fill(masked, 0)
        variance = centred.square().sum(1, keepdim=True) / classes
        deviation = variance.clamp(min=LEAST_DEVIATION**2).sqrt()
        return (centred / deviation).masked_fill(masked, -math.inf)

    return kl(scores(student_logit), scores(teacher_logit), temperature=temperature)


@loss(
    "label_smoothing",
    words="label smoothing",
    formula="−Σ ln s / K",
    source="Szegedy et al. (2016), arXiv:1512.00567",
)
def label_smoothing(student_logit: "Tensor") -> "Tensor":
    """Return the cross-entropy with the uniform distribution over unmasked classes.

    A control without a teacher: with weight w it is label smoothing by w.
    """
    masked = student_logit.isneginf()
    log_p = _log_softmax(student_logit).masked_fill(masked, 0)
    return -log_p.sum(1) / (~masked).sum(1)


@loss(
    "confidence_penalty",
    words="confidence penalty",
    formula="Σ s ln s",
    source="Pereyra et al. (2017), arXiv:1701.06548",
)
def confidence_penalty(student_logit: "Tensor") -> "Tensor":
    """Return minus the student's entropy.

    A control without a teacher: with weight w the published beta is w / (1 - w), up to a factor of
    the whole loss.
    """
    log_p = _log_softmax(student_logit)
    return (log_p.exp() * log_p).sum(1)
