"""From a study file to a checked `Study`, or to a message that names file, line and key."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from disobey.errors import UserError, nearest
from disobey.study.checks import cross_checks
from disobey.study.models import Study
from disobey.study.sweeps import expand
from disobey.study.yaml_lines import FLOAT, INT, Location, Mistake, dotted, load_with_lines

# pydantic's words for a wrong type, in the words of somebody who writes YAML.
WORDS = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be a word",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "finite_number": "must be a finite number",
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
    if value is None:
        raise UserError(f"{path}:1: is empty; start from a copy of config.yaml")
    if not isinstance(value, dict):
        raise UserError(
            f"{path}:1: a study file must be a mapping of keys to values, got {_shown(value)}; "
            f"start from a copy of config.yaml"
        )
    try:
        study = Study.model_validate(value)
    except ValidationError as error:
        raise _refusal(path, lines, [_mistake(entry, value) for entry in error.errors()]) from None
    study, origin, mistakes = expand(study)
    mistakes += [_at_origin(origin, *mistake) for mistake in cross_checks(study)]
    if mistakes:
        raise _refusal(path, lines, mistakes)
    return study


def _at_origin(origin: Mapping[str, Location], location: Location, text: str) -> Mistake:
    """Return a mistake in a setting that a sweep made as one in the sweep."""
    if location[:1] != ("settings",) or location[1] not in origin:
        return location, text
    return origin[str(location[1])], f"its setting {dotted(location[1:])}: {text}"


def _refusal(path: Path, lines: dict[Location, int], mistakes: Iterable[Mistake]) -> UserError:
    """Return the error that lists all mistakes, one a line, from the top of the file down."""
    found = []
    for location, text in mistakes:
        known = location
        while known and known not in lines:
            known = known[:-1]
        line = lines.get(known, 1)
        where = f"{dotted(location)}: " if location else ""
        found.append((line, f"{path}:{line}: {where}{text}"))
    found.sort(key=lambda pair: pair[0])
    return UserError("\n".join(text for _, text in found))


def _mistake(entry: Any, value: Any) -> Mistake:  # noqa: ANN401
    """Return where and what, for one of pydantic's errors about the file's ``value``."""
    kind, context, given = entry["type"], entry.get("ctx", {}), entry["input"]
    location = _in_file(entry["loc"], value, missing=kind == "missing")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _tag_mistake(location, context, given)
    return location, _wording(kind, context, given) or entry["msg"].removeprefix("Value error, ")


def _wording(kind: str, context: dict[str, Any], given: object) -> str | None:
    """Word an error that concerns one value; None where pydantic's context has the words."""
    if kind == "missing":
        return "is missing"
    if kind in WORDS:
        return f"{WORDS[kind]}, got {_shown(given)}{_remedy(kind, given)}"
    if kind in BOUNDS:
        key, word = BOUNDS[kind]
        return f"must be {word} {context[key]:.15g}, got {_shown(given)}"
    if kind == "literal_error":
        expected = context["expected"].replace(" or ", ",").split(",")
        return _unknown_value(given, [part.strip("' ") for part in expected])
    if kind == "string_pattern_mismatch" and "/" in context["pattern"]:
        return f"{given!r} is no repository; write owner/name"
    if kind == "string_pattern_mismatch":
        return (
            f"{given!r} may hold only letters, digits, '_', '.' and '-', a letter or digit first; "
            f"rename it"
        )
    if kind == "string_too_long":
        return f"is longer than {context['max_length']} characters; shorten it"
    return "must not be empty" if kind == "too_short" else None


def _shown(value: object) -> str:
    """Return a value as somebody who writes YAML would say it."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, str):
        return repr(value)
    return "nothing" if value is None else yaml.safe_dump(value).partition("\n")[0]


def _remedy(kind: str, given: object) -> str:
    """Return what to write instead, where the wrong type tells."""
    if kind == "list_type" and isinstance(given, str | int | float):
        return f"; write [{given}]"
    if kind in ("int_type", "int_from_float") and isinstance(given, float) and given.is_integer():
        return f"; write {int(given)}"
    quoted = isinstance(given, str) and (INT.match(given) or FLOAT.match(given))
    if kind in ("int_type", "float_type") and quoted:
        return "; remove the quotes"
    if kind == "string_type" and isinstance(given, int | float):
        return "; put it in quotes"
    return ""


def _unknown_value(given: object, choices: Sequence[str]) -> str:
    known = ", ".join(sorted(choices))
    if not isinstance(given, str):
        return f"must be one of {known}; got {_shown(given)}"
    hint = nearest(given, choices, similarity=0.8)  # or gpu would be taken for cpu
    return f"unknown value '{given}'; {hint}" + ("" if known in hint else f" (known: {known})")


def _tag_mistake(location: Location, context: dict[str, Any], given: object) -> Mistake:
    """Word the error of a mapping whose kind is chosen by one of its keys."""
    tag = context["discriminator"].strip("'")
    if not isinstance(given, dict):
        return location, f"{WORDS['dict_type']}, got {_shown(given)}"
    if "tag" in context:
        choices = [choice.strip("' ") for choice in context["expected_tags"].split(",")]
        return (*location, tag), _unknown_value(given[tag], choices)
    for key in given:
        if f"'{tag}'" in nearest(key, [tag]):
            return (*location, key), f"unknown key '{key}'; {nearest(key, [tag])}"
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
