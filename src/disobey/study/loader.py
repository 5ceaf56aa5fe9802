"""Loader of study files: YAML, sweeps and checks; messages name the file, line and key.

The YAML is PyYAML's, with line numbers, without duplicate keys, and with 5e-4 as a number.
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from yaml.reader import ReaderError

from disobey.errors import UserError, nearest
from disobey.study.checks import cross_checks
from disobey.study.models import RECIPES, Setting, Study
from disobey.study.recipes import Recipe, base_of, recipe_over, resolved
from disobey.study.wording import FLOAT, INT, Location, Mistake, dotted, mistake_of, shown

Model = TypeVar("Model", bound=BaseModel)
LONGEST_NAME = 60
SETTING_NAME = re.compile(r"^[A-Za-z0-9_.-]+$")


def _expand(study: Study) -> tuple[Study, dict[Location, Location], list[Mistake]]:
    """Return a study with the settings and recipes of its sweeps, their origins, and mistakes.

    A setting is named ``<sweep>-<value>-<value>...``, with values in the order of ``vary``. A
    recipe with varied keys is named ``<recipe> with <key> <value>``, a name that no recipe in a
    file can have. The origins map each such setting and recipe to its sweep.
    """
    settings, recipes = dict(study.settings), dict(study.recipes)
    origin: dict[Location, Location] = {}
    mistakes: list[Mistake] = []
    for name, sweep in study.sweeps.items():
        here: Location = ("sweeps", name)
        if sweep.base not in study.settings:
            hint = nearest(sweep.base, study.settings)
            mistakes.append(((*here, "base"), f"there is no setting '{sweep.base}'; {hint}"))
            continue
        for point in itertools.product(*sweep.vary.values()):
            values = dict(zip(sweep.vary, point, strict=True))
            made = "-".join([name, *map(_word, point)])
            try:
                _check_name(made, settings)
                settings[made], derived = _varied(study, study.settings[sweep.base], values)
            except UserError as error:
                mistakes.append(((*here, "vary"), f"setting '{made}': {error}"))
                continue
            recipes |= derived
            origin["settings", made] = here
            origin |= {("recipes", recipe): here for recipe in derived}
    return study.model_copy(update={"settings": settings, "recipes": recipes}), origin, mistakes


def _word(value: object) -> str:
    return f"{value:g}".replace("+", "") if isinstance(value, float) else str(value)


def _check_name(name: str, settings: Mapping[str, Setting]) -> None:
    if name in settings:
        raise UserError(
            "there is one of this name already; rename the sweep, or give each value once"
        )
    if len(name) > LONGEST_NAME:
        raise UserError("its name would be too long; give the sweep a shorter one")
    if not SETTING_NAME.match(name):
        raise UserError(
            "its name may have letters, digits, _, . and - only; vary numbers and plain words, or "
            "write the setting out"
        )


def _varied(
    study: Study, base: Setting, values: Mapping[str, Any]
) -> tuple[Setting, dict[str, Recipe]]:
    """Return a setting with values set at dotted keys, and the recipes made for it."""
    own = dict(values)
    in_recipes: dict[str, dict[str, Any]] = {place: {} for place in RECIPES}
    for key in values:  # such as recipe.lr
        first, _, inside = key.partition(".")
        if inside and first in RECIPES:
            in_recipes[first][inside] = own.pop(key)
    changed = base.model_dump(exclude_unset=True)
    changed.pop("paper", None)  # the paper's accuracies are those of the unvaried setting
    setting = _valid(Setting, _with(changed, own))
    recipes, named = {}, {}
    for place, keys in in_recipes.items():
        of = getattr(setting, place) or setting.recipe
        if not keys or of not in study.recipes:  # an unknown recipe is reported for the setting
            continue
        given = study.recipes[of].model_dump(exclude_unset=True)
        plain = {key: value for key, value in keys.items() if "." not in key}
        listed = ", ".join(f"{key} {_word(value)}" for key, value in keys.items())
        named[place] = f"{of} with {listed}"
        recipes[named[place]] = _valid(Recipe, _with(recipe_over(given, plain), keys), place)
    return setting.model_copy(update=named), recipes


def _valid(model: type[Model], value: dict[str, Any], *place: str) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        location, words = mistake_of(error.errors()[0], value)
        raise UserError(f"{dotted((*place, *location))}: {words}") from None


def _with(changed: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Set values at dotted keys of a mapping, in place; return the mapping."""
    for key, value in values.items():
        *inner, last = key.split(".")
        place = changed
        for part in inner:
            if not isinstance(place.get(part), dict):  # absent, or the name of a model
                place[part] = {}
            place = place[part]
        place[last] = value
    return changed


TAG = "tag:yaml.org,2002:"
REPLACED = ("int", "float", "timestamp")
# Messages of PyYAML, and the remedy for each.
PROBLEMS = {
    r"'\t'": "a tab cannot indent; write spaces",
    "mapping values are not": "unexpected ':'; check the indentation, or put the text in quotes",
    "another document": "a second document begins with '---'; write each study into its own file",
    "constructor for the tag": "tags (words that begin with '!') are not allowed; remove this one",
    "cannot start any token": "a word cannot begin with this character; put it in quotes",
    "end of stream": "a quote, bracket or brace is never closed",
    "expected <block end>": "this does not fit the lines above; check indentation and quotes",
    "expected ',' or": "a comma, or a closing bracket or brace, is missing",
    "undefined alias": "an alias (*name) must come after its anchor (&name)",
}
READ_AS = {"bool": "true or false", "int": "a number", "float": "a number", "null": "nothing"}


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2's numbers: 5e-4 is a number, 010 is 10, 1:30 a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag.removeprefix(TAG) not in REPLACED]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{TAG}int", INT, list("-+0123456789"))
_Loader.add_implicit_resolver(f"{TAG}float", FLOAT, list("-+.0123456789"))
_Loader.add_constructor(f"{TAG}int", lambda _, node: int(node.value))


def load_with_lines(path: Path) -> tuple[Any, dict[Location, int]]:
    """Read a YAML file, all of whose keys must be strings and unique.

    Returns
    -------
    value : Any
        The document; keys of mappings are always ``str``.
    lines : dict
        Line number (from 1) of every key and list item, by its path of keys and indices.
    """
    text = _read(path)
    lines: dict[Location, int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, lines
        _check_keys(node, (), path)
        return _construct(loader, node, (), lines, path), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = str(error.problem or error.context)
        words = next((words for said, words in PROBLEMS.items() if said in problem), problem)
        raise UserError(f"{path}:{line}: is not valid YAML: {words}") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(
            f"{path}:{line}: is not text: contains the control character "
            f"{error.character:#04x}; delete it"
        ) from None
    except RecursionError:
        raise UserError(
            f"{path}: is nested too deeply; does an anchor (&name) contain its own alias (*name)?"
        ) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: is not UTF-8 text; save the file in UTF-8") from None


def _check_keys(node: yaml.Node, here: Location, path: Path) -> None:
    """Refuse duplicate keys and keys that are not strings.

    Called before any merge (``<<``), which copies keys from one mapping into another.
    """
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _check_keys(item, (*here, index), path)
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if key_node.tag != f"{TAG}merge":
            _check_word(key_node, here, path)
            if key_node.value in first:
                raise UserError(
                    f"{path}:{line}: {dotted((*here, key_node.value))}: is given twice, first on "
                    f"line {first[key_node.value]}; remove or rename one of them"
                )
            first[key_node.value] = line
        _check_keys(value_node, (*here, str(key_node.value)), path)


def _check_word(key: yaml.Node, here: Location, path: Path) -> None:
    if isinstance(key, yaml.ScalarNode) and key.tag == f"{TAG}str":
        return
    line = key.start_mark.line + 1
    if not isinstance(key, yaml.ScalarNode):
        inside = f"{dotted(here)}: " if here else ""
        raise UserError(f"{path}:{line}: {inside}a key must be a plain word")
    what = READ_AS.get(key.tag.removeprefix(TAG), "something else")
    hint = ", or write decimals with a point" if what == "a number" else ""
    raise UserError(
        f"{path}:{line}: {dotted((*here, key.value))}: YAML reads the key {key.value} as {what}, "
        f"not as a word; put it in quotes{hint}"
    )


def _construct(
    loader: _Loader, node: yaml.Node, here: Location, lines: dict[Location, int], path: Path
) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(here, line)
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)  # merges <<; the mapping's own keys come last
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            lines[(*here, key)] = key_node.start_mark.line + 1
            mapping[key] = _construct(loader, value_node, (*here, key), lines, path)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [
            _construct(loader, item, (*here, index), lines, path)
            for index, item in enumerate(node.value)
        ]
    try:
        return loader.construct_object(node, deep=True)
    except (ValueError, KeyError, AttributeError):  # for example the tag !!int on a word
        kind = node.tag.removeprefix(TAG)
        raise UserError(
            f"{path}:{line}: {dotted(here)}: {node.value!r} is not of type {kind}; remove the tag "
            f"!!{kind}"
        ) from None


def load_study(path: Path | str) -> Study:
    """Read and check a study file; raise a UserError with one line for each mistake.

    Each line has the form ``file:line: key: message``.
    """
    path = Path(path)
    value, lines = load_with_lines(path)
    if value is None:
        raise UserError(f"{path}:1: is empty; start from a copy of config.yaml")
    if not isinstance(value, dict):
        raise UserError(
            f"{path}:1: a study file must be a mapping of keys to values, got {shown(value)}; "
            f"start from a copy of config.yaml"
        )
    inherited = _with_bases(value, lines)
    if inherited:
        raise _refusal(path, lines, inherited)
    try:
        study = Study.model_validate(value)
    except ValidationError as error:
        found = [mistake_of(entry, value) for entry in error.errors()]
        raise _refusal(path, lines, found) from None
    study, origin, mistakes = _expand(study)
    mistakes += [_at_origin(origin, *mistake) for mistake in cross_checks(study)]
    if mistakes:
        raise _refusal(path, lines, mistakes)
    return study


def _with_bases(value: dict[str, Any], lines: dict[Location, int]) -> list[Mistake]:
    """Add the keys that recipes take from their bases to the file's value, with their lines."""
    recipes = value.get("recipes")
    if not isinstance(recipes, dict):
        return []
    value["recipes"], mistakes = resolved(recipes)
    for name, whole in () if mistakes else value["recipes"].items():
        base = base_of(recipes, name)
        while base is not None:
            for key in whole:
                if ("recipes", base, key) in lines:
                    lines.setdefault(("recipes", name, key), lines["recipes", base, key])
            base = base_of(recipes, base)
    return mistakes


def _at_origin(origin: Mapping[Location, Location], location: Location, text: str) -> Mistake:
    """Return a mistake, attributed to the sweep if a sweep made its setting or recipe."""
    if location[:2] not in origin:
        return location, text
    kind = str(location[0]).removesuffix("s")
    return origin[location[:2]], f"its {kind} {dotted(location[1:])}: {text}"


def _refusal(path: Path, lines: dict[Location, int], mistakes: Iterable[Mistake]) -> UserError:
    """Return the error that lists all mistakes, one per line, in the order of the file."""
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
