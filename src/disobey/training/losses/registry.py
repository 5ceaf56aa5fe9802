"""The registry of losses: one decorated function says all that the package knows of a loss.

Study models, schema, checks, ids, plan, figures, report and docs are derived from these records.
Nothing here imports torch, so that planning stays quick.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# What the positional parameters of a loss may be.
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
        Its name in figures and tables, what it computes, and who published it.
    reads : tuple of str
        The positional parameters, out of `READABLE`.
    parameters : mapping of str to inspect.Parameter
        The keyword-only parameters: types (with bounds and description) and defaults.
    squared_temperature : bool
        Whether the loss is multiplied by the square of its temperature.
    least_classes : int
        The fewest classes that it is defined for.
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
        """Whether it compares the student with a teacher; controls do not."""
        return TEACHER in self.reads

    def scale(self, temperature: float) -> float:
        """Return the constant factor of the loss."""
        return temperature**2 if self.squared_temperature else 1.0

    def in_words(self, values: Mapping[str, Any]) -> str:
        """Return its name with the parameters that differ from their defaults.

        The temperature is left out, because figures and tables show it by itself.
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

    Its positional parameters are what it reads, of ``student_logit``, ``teacher_logit``, both
    (batch, class), and ``label``, (batch,). Its keyword-only parameters are what a study file may
    say below ``distill``: ``alpha: Annotated[float, Field(ge=0, description="...")] = 1.0``.

    Parameters
    ----------
    name, words, formula, source, squared_temperature, least_classes
        See `Loss`.

    Raises
    ------
    TypeError
        For a function whose parameters cannot be used so.
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
    importlib.import_module("disobey.training.losses.distillation")
    return _LOSSES


def loss_of(distill: Mapping[str, Any]) -> Loss:
    """Return the loss of ``distill`` of a run's spec."""
    return losses()[distill.get("loss", DEFAULT)]
