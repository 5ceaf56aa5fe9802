"""From a study file to a checked `Study`, or to a message that names file, line and key."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from disobey.errors import UserError
from disobey.study.checks import cross_checks
from disobey.study.models import Study
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
