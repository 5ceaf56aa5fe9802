"""All keys of a study file, from the JSON schema of the pydantic models."""

import json
import re
from collections.abc import Iterator
from typing import Any

from disobey.tools.plan import schema

Schema = dict[str, Any]
REF = "#/$defs/"
WORDS = {
    "integer": "whole number", "number": "number", "string": "text", "boolean": "true or false",
}  # fmt: skip
BOUNDS = {
    "minimum": "at least {}", "exclusiveMinimum": "above {}",
    "maximum": "at most {}", "exclusiveMaximum": "below {}",
}  # fmt: skip
NAME = "NAME"  # a name that the user chooses
TAGS = ("source", "family", "loss")  # keys whose value determines the other keys


def page() -> str:
    """Return the keys as Markdown: a heading for each mapping, an anchor for each key."""
    return "\n".join(StudyPage(json.loads(schema())).lines())


class StudyPage:
    """The page of a schema.

    Parameters
    ----------
    content : dict
        A JSON schema with ``$defs``, as pydantic makes it.
    """

    def __init__(self, content: Schema) -> None:
        self.content = content
        self._models: dict[str, Schema] = content["$defs"]
        self._shown: set[str] = set()

    def lines(self) -> Iterator[str]:
        """Yield the page: the top-level keys, then the keys below each of them."""
        yield from ("## The file", "", *self._keys("study", self.content))
        for key, value in self.content["properties"].items():
            if names_in(value):
                yield from (f"## `{key}`", "", f"{value['description'].capitalize()}.", "")
                by_name = value.get("type") == "object"
                yield from self._below(f"{key}.{NAME}" if by_name else key, value)

    def _below(self, path: str, value: Schema) -> Iterator[str]:
        """Yield a section for each mapping allowed at ``path``, then for those inside it."""
        names = [name for name in names_in(value) if name not in self._shown]
        self._shown.update(names)
        for name in names:
            model = self._models[name]
            head = title(path, model, alone=len(names) == 1)
            yield from (f"({anchor(name)})=", f"### {head}", "")
            yield from (model["description"], "", *self._keys(name, model))
        for name in names:
            for key, inside in self._models[name]["properties"].items():
                yield from self._below(f"{path}.{key}", inside)

    def _keys(self, name: str, model: Schema) -> Iterator[str]:
        """Yield a definition list: key, type, bounds and default, then what the key means."""
        # a recipe may take all its keys from a base; without one some are required
        ways = [model, *model.get("anyOf", [])]
        required = [key for way in ways for key in way.get("required", ()) if key != "base"]
        # first what says which mapping it is, then what must be there
        order = sorted(model["properties"], key=lambda key: (key not in TAGS, key not in required))
        for key in order:
            value = model["properties"][key]
            default = default_of(value, required=key in required)
            if key in required and "required" not in model:
                default += " without `base`"
            said = ", ".join(filter(None, [self.words(value), default]))
            yield f"`{key}`{{#{anchor(name, key)}}} {said}"
            yield from (f": {plain(value['description'])}", "")

    def words(self, value: Schema) -> str:
        """Return the type of a value and its bounds in words, with links to nested mappings."""
        if "$ref" in value:
            name = value["$ref"].removeprefix(REF)
            return f"[{kind_of(self._models[name]) or spaced(name)}](#{anchor(name)})"
        if "const" in value or "enum" in value:
            values = value.get("enum", [value.get("const")])
            return " or ".join(f"`{literal(one)}`" for one in values)
        for union in ("anyOf", "oneOf"):
            if union in value:
                kinds = [self.words(one) for one in value[union] if one.get("type") != "null"]
                return ", or ".join(dict.fromkeys(kinds))
        if value.get("type") == "array":
            return f"list of {plural(self.words(value['items']))}{length(value)}"
        if value.get("type") == "object":
            named = list(value.get("patternProperties", {}).values())
            inner = named[0] if named else value["additionalProperties"]
            return f"mapping of {NAME} to {self.words(inner)}"
        if "type" not in value:
            return "text, number, true or false"
        bounds = [words.format(literal(value[b])) for b, words in BOUNDS.items() if b in value]
        return " ".join([WORDS[value["type"]], " and ".join(bounds)]).strip()


def title(path: str, model: Schema, alone: bool) -> str:
    """Return the heading of a mapping, with a distinguishing key if several are allowed."""
    kind = kind_of(model)
    if kind:
        return f"`{path}`, {kind}"
    required = model.get("required", [])
    return f"`{path}`" if alone or not required else f"`{path}` with `{required[0]}`"


def kind_of(model: Schema) -> str:
    """Return the key and value that identify a mapping, or an empty string."""
    tags = [(tag, model["properties"].get(tag, {}).get("const")) for tag in TAGS]
    return next((f"`{tag}: {value}`" for tag, value in tags if value), "")


def spaced(name: str) -> str:
    """Return the name of a model as words: ``label noise``."""
    return re.sub(r"(?<=.)(?=[A-Z])", " ", name).lower()


def plural(words: str) -> str:
    """Return the plural of a type: ``whole numbers at least 0``."""
    return re.sub(r"^(whole number|number|text)\b", r"\1s", words)


def names_in(value: object) -> list[str]:
    """Return the names of the models that a schema refers to, in order."""
    if isinstance(value, list):
        return [name for one in value for name in names_in(one)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"].removeprefix(REF)] if "$ref" in value else []
    inner = [one for key, one in value.items() if key != "discriminator"]  # says the same again
    return own + names_in(inner)


def default_of(value: Schema, required: bool) -> str:
    """Return the default of a key, in words."""
    if required:
        return "**required**"
    default = value.get("default")
    if default is None or isinstance(default, dict):  # keys of a mapping have own defaults
        return "optional"
    return f"default `{literal(default)}`"


def length(value: Schema) -> str:
    """Return the number of entries of a list in words; empty if any number is valid."""
    least, most = value.get("minItems", 0), value.get("maxItems")
    if least == most:
        return f", {least} of them"
    return f", at least {least}" if least > 1 else ""


def literal(value: object) -> str:
    """Return a value as YAML writes it."""
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value).replace('"', "")


def plain(text: str) -> str:
    """Return a description with ``<`` escaped, which Markdown would read as HTML."""
    return text.replace("<", r"\<")


def anchor(*names: str) -> str:
    """Return the anchor of a model, or of one of its keys."""
    return "-".join(["key", *(name.lower().replace("_", "-") for name in names)])
