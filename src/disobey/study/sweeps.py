"""Sweeps: one setting and lists of values -> a setting for each combination."""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from disobey.errors import nearest
from disobey.study.checks import Mistake
from disobey.study.models import RECIPES, Setting, Study, Sweep
from disobey.study.recipes import Recipe, recipe_over
from disobey.study.wording import mistake_of
from disobey.study.yaml_lines import Location, dotted

Model = TypeVar("Model", bound=BaseModel)
NAME = re.compile(r"^[A-Za-z0-9_.-]{1,60}$")


def expand(study: Study) -> tuple[Study, dict[Location, Location], list[Mistake]]:
    """Add the settings, and the recipes, that the sweeps of a study stand for.

    A setting is called ``<sweep>-<value>-<value>...``, its values in the order of ``vary``; a
    recipe of which keys are varied ``<recipe> with <key> <value>``, as no recipe of a file can be.

    Returns
    -------
    study : Study
        With all settings.
    origin : dict of location to location
        Which sweep made a setting, or a recipe.
    mistakes : list of (location, text)
        What is wrong with the sweeps.
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
        for values in _combinations(sweep):
            made = "-".join([name, *map(_word, values.values())])
            try:
                _check_name(made, settings)
                settings[made], derived = _varied(study, study.settings[sweep.base], values)
            except _Refused as error:
                mistakes.append(((*here, "vary"), f"setting '{made}': {error}"))
                continue
            recipes |= derived
            origin["settings", made] = here
            origin |= {("recipes", recipe): here for recipe in derived}
    return study.model_copy(update={"settings": settings, "recipes": recipes}), origin, mistakes


class _Refused(Exception):
    """Why a sweep cannot make a setting, in words."""


def _combinations(sweep: Sweep) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*sweep.vary.values()):
        yield dict(zip(sweep.vary, values, strict=True))


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _check_name(name: str, settings: Mapping[str, Setting]) -> None:
    if name in settings:
        raise _Refused(
            "there is one of this name already; rename the sweep, or give each value once"
        )
    if not NAME.match(name):
        raise _Refused("its name would be too long; give the sweep a shorter one")


def _varied(
    study: Study, base: Setting, values: Mapping[str, Any]
) -> tuple[Setting, dict[str, Recipe]]:
    """Return the setting with the values at their dotted keys, and the recipes made for it."""
    changed = base.model_dump(exclude_unset=True)
    changed.pop("paper", None)  # it reports the base, not what differs from it
    own = {key: value for key, value in values.items() if not _of_recipe(key)}
    setting = _valid(Setting, _with(changed, own))
    recipes, named = {}, {}
    for place in RECIPES:
        keys = {key.removeprefix(f"{place}."): value for key, value in values.items()
                if key.startswith(f"{place}.")}  # fmt: skip
        of = getattr(setting, place) or setting.recipe
        if not keys or of not in study.recipes:  # one that is unknown is told of the setting
            continue
        given = study.recipes[of].model_dump(exclude_unset=True)
        plain = {key: value for key, value in keys.items() if "." not in key}
        listed = ", ".join(f"{key} {_word(value)}" for key, value in keys.items())
        named[place] = f"{of} with {listed}"
        recipes[named[place]] = _valid(Recipe, _with(recipe_over(given, plain), keys), place)
    return setting.model_copy(update=named), recipes


def _of_recipe(key: str) -> bool:
    """Tell whether a key of ``vary`` is one of a setting's recipe, such as ``recipe.lr``."""
    first, _, inside = key.partition(".")
    return bool(inside) and first in RECIPES


def _valid(model: type[Model], value: dict[str, Any], *place: str) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        location, words = mistake_of(error.errors()[0], value)
        raise _Refused(f"{dotted((*place, *location))}: {words}") from None


def _with(changed: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping, changed in place, with the values at their dotted keys."""
    for key, value in values.items():
        *inner, last = key.split(".")
        place = changed
        for part in inner:
            if not isinstance(place.get(part), dict):  # not given, or a teacher that is a model
                place[part] = {}
            place = place[part]
        place[last] = value
    return changed
