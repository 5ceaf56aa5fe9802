"""From a study file to a checked `Study`, or to a message that names file, line and key."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from disobey.errors import UserError, nearest
from disobey.study.models import Study
from disobey.study.yaml_lines import Location, load_with_lines

# pydantic's words for a wrong type, in the words of somebody who writes YAML.
WORDS = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be a word",
    "bool_type": "must be true or false",
    "list_type": "must be a list, like [0, 1, 2]",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "finite_number": "must be a finite number",
    "missing": "is missing",
}
BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}


def load_study(path: Path | str) -> Study:
    """Read and check a study file.

    Raises
    ------
    UserError
        Naming ``file:line: key: what is wrong``, one line for each mistake.
    """
    path = Path(path)
    value, lines = load_with_lines(path)
    if not isinstance(value, dict):
        raise UserError(f"{path}:1: a study file must be a mapping of keys to values")
    try:
        study = Study.model_validate(value)
    except ValidationError as error:
        found = [_message(entry, value, lines, path) for entry in error.errors()]
        raise UserError("\n".join(found)) from None
    mistakes = list(_cross_checks(study))
    if mistakes:
        raise UserError("\n".join(_at(path, lines, loc, text) for loc, text in mistakes))
    return study


def _at(path: Path, lines: dict[Location, int], location: Location, text: str) -> str:
    known = location
    while known and known not in lines:
        known = known[:-1]
    where = ".".join(map(str, location))
    return f"{path}:{lines.get(known, 1)}: {where + ': ' if where else ''}{text}"


def _message(entry: Any, value: Any, lines: dict[Location, int], path: Path) -> str:  # noqa: ANN401
    kind, context, given = entry["type"], entry.get("ctx", {}), entry["input"]
    location = _in_file(entry["loc"], value, missing=kind == "missing")
    got = f", got {given!r}" if not isinstance(given, dict | list) else ""
    if kind == "unknown_key":
        location, text = (*location, context["key"]), entry["msg"]
    elif kind in WORDS:
        text = WORDS[kind] + ("" if kind == "missing" else got)
    elif kind in BOUNDS:
        key, word = BOUNDS[kind]
        text = f"must be {word} {context[key]:g}{got}"
    elif kind == "literal_error":
        choices = [part.strip("' ") for part in context["expected"].replace(" or ", ",").split(",")]
        text = f"unknown value {given!r}; {nearest(given, choices)}"
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        location, text = _tag_message(location, context, given)
    elif kind == "string_pattern_mismatch":
        text = f"{given!r} may hold only letters, digits, '_', '.' and '-'; rename it"
    elif kind == "too_short":
        text = "must not be empty"
    else:
        text = entry["msg"].removeprefix("Value error, ")
    return _at(path, lines, location, text)


def _tag_message(
    location: Location, context: dict[str, Any], given: object
) -> tuple[Location, str]:
    """Word the error of a mapping whose kind is chosen by one of its keys."""
    tag = context["discriminator"].strip("'")
    if "tag" in context:
        choices = [choice.strip("' ") for choice in context["expected_tags"].split(",")]
        return (*location, tag), f"unknown value '{context['tag']}'; {nearest(context['tag'], choices)}"
    if not isinstance(given, dict):
        return location, f"must be a mapping of keys to values, got {given!r}"
    return (*location, tag), "is missing"


def _in_file(loc: Sequence[str | int], value: object, missing: bool) -> Location:
    """Drop what pydantic puts into a location and the file does not have: tags, ``[key]``."""
    found: list[str | int] = []
    parts = [part for part in loc if part != "[key]"]
    for index, part in enumerate(parts):
        inside = (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        )
        if inside:
            value = value[part]  # type: ignore[index]
            found.append(part)
        elif missing and index == len(parts) - 1:
            found.append(part)
    return tuple(found)


def _cross_checks(study: Study) -> list[tuple[Location, str]]:
    """Return the mistakes that lie between two parts of the file."""
    mistakes: list[tuple[Location, str]] = []
    repeated = {seed for seed in study.seeds if study.seeds.count(seed) > 1}
    if repeated:
        mistakes.append((("seeds",), f"{sorted(repeated)[0]} is repeated; each seed once"))
    for name, setting in study.settings.items():
        here = ("settings", name)
        unknown = [
            ((*here, key), f"there is no {table[:-1]} '{given}'; {nearest(given, known)}")
            for key, given, table, known in (
                ("dataset", setting.dataset, "datasets", study.datasets),
                ("teacher", setting.teacher, "models", study.models),
                ("student", setting.student, "models", study.models),
                ("recipe", setting.recipe, "recipes", study.recipes),
                ("teacher_recipe", setting.teacher_recipe, "recipes", study.recipes),
            )
            if given is not None and given not in known
        ]
        mistakes += unknown
        if not unknown:
            mistakes += _kind_mistakes(study, name)
    return mistakes


def _kind_mistakes(study: Study, name: str) -> list[tuple[Location, str]]:
    setting = study.settings[name]
    kind = study.datasets[setting.dataset].kind
    mistakes: list[tuple[Location, str]] = []
    for role in ("teacher", "student"):
        model = getattr(setting, role)
        if study.models[model].inputs != kind:
            fitting = [other for other, options in study.models.items() if options.inputs == kind]
            mistakes.append(
                (
                    ("settings", name, role),
                    f"'{model}' reads {study.models[model].inputs}, but data set "
                    f"'{setting.dataset}' is {kind}; models for {kind}: "
                    f"{', '.join(fitting) or 'none in this file'}",
                )
            )
    return mistakes
