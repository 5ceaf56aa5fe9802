"""pydantic's errors, reworded for authors of YAML, each with a remedy."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from disobey.errors import nearest

Location = tuple[str | int, ...]
# A location in a study file, and the message on the mistake there.
Mistake = tuple[Location, str]

INT = re.compile(r"^[-+]?[0-9]+$")
FLOAT = re.compile(
    r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"
    r"|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
)
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
INTEGERS = ("int_type", "int_from_float")
MAPPINGS = ("dict_type", "model_type", "model_attributes_type")

# Examples of values, for a missing key or a number in place of a mapping.
EXAMPLES = {
    "study": "first",
    "seeds": "[0, 1, 2]",
    "distill": "{temperature: 4}",
    "temperature": "4",
    "switch": "{order: distillation_first, at: 0.5}",
    "label_noise": "{rate: 0.2}",
    "rate": "0.2",
    "subset": "a number of rows: {train: 5000}",
    "subset.train": "a number of rows: 5000",
    "subset.test": "a number of rows: 1000",
    "augment": "{crop_padding: 4, flip: true}",
    "columns": "{image: img, label: label}",
    "evaluate": "{points: 20}",
    "optimizer": "sgd",
    "lr": "0.1",
}
# Names of keys in other programs, papers and earlier versions.
ALIASES = {"alpha": "weight", "learning_rate": "lr", "T": "temperature", "trained": "external"}
# Keys whose values are often given in per cent.
SHARES = ("rate", "weight", "label_smoothing", "smoothing", "student_share")
# Values omitted from the listed choices of a key, by key.
OTHERS = {"name": "; for others: source: hub"}
# Parts of a file whose entries settings name, so that a sweep may vary them.
ENTRIES = {"datasets": "data set", "models": "model", "recipes": "recipe"}
LONGEST_SEEDS = 10  # longest list of seeds that a message writes out


def mistake_of(entry: Any, value: object) -> Mistake:
    """Return the location and message of one of pydantic's errors about ``value``."""
    kind, context, given = entry["type"], entry.get("ctx", {}), entry["input"]
    location = _in_file(entry["loc"], value, missing=kind == "missing")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _tag_mistake(location, context, given)
    words = _wording(kind, context, given, location)
    return location, words or entry["msg"].removeprefix("Value error, ")


def shown(value: object) -> str:
    """Return a value as text, in the terms of YAML."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, str):
        return repr(value)
    return "nothing" if value is None else yaml.safe_dump(value).partition("\n")[0]


def _wording(kind: str, context: dict[str, Any], given: object, location: Location) -> str | None:
    """Return the message of an error about one value; None if pydantic's context has it."""
    if kind == "missing":
        example = EXAMPLES.get(str(location[-1]))
        return "is missing" + (f"; for example {location[-1]}: {example}" if example else "")
    if kind == "unknown_key":
        return _unknown_key(context["key"], context["hint"])
    if kind in WORDS:
        return f"{WORDS[kind]}, got {shown(given)}{_remedy(kind, given, location)}"
    if kind in BOUNDS:
        key, word = BOUNDS[kind]
        return f"must be {word} {context[key]:.15g}, got {shown(given)}{_share(given, location)}"
    if kind == "literal_error":
        expected = context["expected"].replace(" or ", ",").split(",")
        choices = [part.strip("' ") for part in expected]
        rest = _several(given, location) or OTHERS.get(str(location[-1]), "")
        return _unknown_value(given, choices) + rest
    if kind == "string_pattern_mismatch" and "/" in context["pattern"]:
        return f"{given!r} is not a repository; write owner/name"
    if kind == "string_pattern_mismatch":
        return (
            f"{given!r} must begin with a letter or digit and contain only letters, digits, '_', "
            f"'.' and '-'; rename it"
        )
    if kind == "string_too_long":
        return f"is longer than {context['max_length']} characters; shorten it"
    return "must not be empty" if kind in ("too_short", "string_too_short") else None


def _unknown_key(key: str, hint: str) -> str:
    """Return the message on an unknown key, which may be another program's name for a key."""
    meant = ALIASES.get(key)
    if meant is not None and meant in re.findall(r"\w+", hint):
        hint = f"did you mean '{meant}'?"
    return f"unknown key '{key}'; {hint}"


def _remedy(kind: str, given: object, location: Location) -> str:
    """Return the remedy for a wrong type, empty if there is none."""
    if kind == "list_type" and isinstance(given, str | int | float) and given != "":
        return f"; write {_as_list(given, location)}"
    if kind in MAPPINGS:
        return _example(given, location)
    if isinstance(given, list):
        return _several(given, location)
    if kind in INTEGERS and isinstance(given, float):
        return f"; write {int(given)}" if given.is_integer() else _example(given, location)
    quoted = isinstance(given, str) and (INT.match(given) or FLOAT.match(given))
    if kind in (*INTEGERS, "float_type") and quoted:
        return "; remove the quotes"
    if kind == "string_type" and isinstance(given, int | float):
        return "; put it in quotes"
    return ""


def _as_list(given: str | int | float, location: Location) -> str:
    """Return the list that a single value stands for; one number for seeds is their count."""
    if location == ("seeds",) and type(given) is int and given > 0:
        return str(list(range(given))) if given <= LONGEST_SEEDS else f"[0, 1, ..., {given - 1}]"
    return f"[{given}]"


def _example(given: object, location: Location) -> str:
    """Return an example of a valid value, containing the given number if possible."""
    tail = ".".join(map(str, location[-2:]))
    example = EXAMPLES.get(tail) or EXAMPLES.get(str(location[-1]) if location else "")
    if example is None:
        return ""
    number = re.search(r"[\d.]+", example)
    if number and _alike(given, float(number[0])):
        example = example.replace(number[0], shown(given), 1)
    return f"; write {example}"


def _alike(given: object, number: float) -> bool:
    """Return whether both numbers are shares, or neither; otherwise they mean different things."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        return False
    return 0 < given < math.inf and (given < 1) == (number < 1)


def _several(given: object, location: Location) -> str:
    """Return advice on comparing several values, if a list was given instead of one value."""
    if not isinstance(given, list) or not given or any(isinstance(v, dict | list) for v in given):
        return ""
    if len(given) == 1:
        return f"; write {shown(given[0])}"
    if location[0] in ENTRIES:
        return f"; to compare several, add a second {ENTRIES[str(location[0])]} and use sweeps"
    if location[0] == "settings":
        values = ", ".join(map(shown, given))
        key = dotted(location[2:])
        return f"; to compare several, use sweeps, with vary: {{{key}: [{values}]}}"
    return ""


def _share(given: object, location: Location) -> str:
    if location[-1] in SHARES and isinstance(given, int) and 1 < given <= 100:
        return f"; write {given} % as a share: {given / 100:g}"
    return ""


def _unknown_value(given: object, choices: Sequence[str]) -> str:
    known = ", ".join(sorted(choices))
    if not isinstance(given, str):
        return f"must be one of {known}; got {shown(given)}"
    hint = nearest(given, choices, similarity=0.8)  # otherwise gpu would suggest cpu
    return f"unknown value '{given}'; {hint}" + ("" if known in hint else f" (known: {known})")


def _tag_mistake(location: Location, context: dict[str, Any], given: Mapping[str, Any]) -> Mistake:
    """Return the mistake in a mapping whose type depends on one of its keys."""
    tag = context["discriminator"].strip("'()")
    if "tag" in context:
        choices = [choice.strip("' ") for choice in context["expected_tags"].split(",")]
        return (*location, tag), _unknown_value(given[tag], choices)
    for key in given:
        if f"'{tag}'" in nearest(key, [tag]):
            return (*location, key), f"unknown key '{key}'; {nearest(key, [tag])}"
    return (*location, tag), "is missing"


def _in_file(loc: Sequence[str | int], value: Any, missing: bool) -> Location:
    """Return a location in the file, without pydantic's additions: tags and ``[key]``."""
    found: list[str | int] = []
    parts = [part for part in loc if part != "[key]"]
    for index, part in enumerate(parts):
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            if not missing or index < len(parts) - 1:
                continue
        found.append(part)
    return tuple(found)


def dotted(location: Location) -> str:
    """Return a location as dotted text, such as ``models.mlp.hidden[1]``."""
    return "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in location
    ).removeprefix(".")
