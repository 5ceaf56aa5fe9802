"""The settings of a study, from the manifests of its analyses and runs: what was really done."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from disobey.stores.manifest import Manifest

FIRST = ("family", "optimizer", "lr", "epochs", "steps", "batch", "schedule")
UNKNOWN = "manifest missing"
ELSEWHERE = "trained elsewhere"


@dataclass(frozen=True)
class SettingRow:
    """One setting, as printed.

    Attributes
    ----------
    about : dict
        As in the analysis store; see `disobey.analysis.store.Analysis`.
    recipe, teacher_recipe : str
        ``R1``, ``R2``, ...: which of the recipes below the table; or that they are not known.
    """

    name: str
    about: dict[str, Any]
    recipe: str
    teacher_recipe: str


@dataclass(frozen=True)
class Settings:
    """All settings, and the recipes and models that they name, in words."""

    rows: list[SettingRow]
    recipes: dict[str, str]
    models: dict[str, str]


def settings(analyses: Iterable["Manifest"], upstream: Iterable["Manifest"]) -> Settings:
    """Return settings with the recipes and models that their runs were trained with.

    Parameters
    ----------
    analyses : iterable of Manifest
        One per setting, in the order of the study.
    upstream : iterable of Manifest
        What they were made from; a run that is not among it leaves its recipe unknown.
    """
    runs = {m.id: m.spec for m in upstream if m.record["stage"] == "train"}
    recipes: dict[str, str] = {}
    models: dict[str, str] = {}

    def recipe(run: str) -> str:
        if run not in runs:
            return UNKNOWN
        text = in_words(runs[run]["recipe"])
        return recipes.setdefault(text, f"R{len(recipes) + 1}")

    rows = []
    for analysis in analyses:
        about, teacher, student = (
            analysis.spec["about"],
            analysis.spec["teachers"][0],
            analysis.spec["students"][0],
        )
        if "source" in about:  # a comparison: nothing is known of its models but their logits
            rows.append(SettingRow(analysis.id, about, ELSEWHERE, ELSEWHERE))
            continue
        trained = "trained" in about  # a teacher of which nothing is known but its logits
        for model, run in ((about["teacher"], teacher), (about["student"], student)):
            unknown = ELSEWHERE if trained and run == teacher else UNKNOWN
            words = in_words(runs[run]["model"]) if run in runs else unknown
            models[model] = words if models.get(model, UNKNOWN) == UNKNOWN else models[model]
        of_teacher = ELSEWHERE if trained else recipe(teacher)
        rows.append(SettingRow(analysis.id, about, recipe(student), of_teacher))
    return Settings(rows, {name: text for text, name in recipes.items()}, models)


def in_words(options: Mapping[str, Any]) -> str:
    """Return ``optimizer sgd, lr 0.05, ...``; the options that matter most come first."""
    order = sorted(options, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    return ", ".join(f"{name.replace('_', ' ')} {_value(options[name])}" for name in order)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return " and ".join(f"{_value(number)} {unit}" for unit, number in value.items())
    if isinstance(value, list):
        return f"({', '.join(map(_value, value))})"
    if isinstance(value, bool):
        return "on" if value else "off"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text.replace("_", " ")
