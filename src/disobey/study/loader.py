"""From a study file to a checked `Study`, or to a message that names file, line and key."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from disobey.errors import UserError
from disobey.study.checks import cross_checks
from disobey.study.models import Study
from disobey.study.recipes import base_of, resolved
from disobey.study.sweeps import expand
from disobey.study.wording import mistake_of, shown
from disobey.study.yaml_lines import Location, Mistake, dotted, load_with_lines


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
    study, origin, mistakes = expand(study)
    mistakes += [_at_origin(origin, *mistake) for mistake in cross_checks(study)]
    if mistakes:
        raise _refusal(path, lines, mistakes)
    return study


def _with_bases(value: dict[str, Any], lines: dict[Location, int]) -> list[Mistake]:
    """Put what recipes take from their bases into the file's value, with the lines it is from."""
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
    """Return a mistake in a setting or a recipe that a sweep made as one in the sweep."""
    if location[:2] not in origin:
        return location, text
    kind = str(location[0]).removesuffix("s")
    return origin[location[:2]], f"its {kind} {dotted(location[1:])}: {text}"


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
