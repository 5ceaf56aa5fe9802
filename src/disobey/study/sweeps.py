"""Sweeps: one setting and lists of values -> a setting for each combination."""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from disobey.errors import nearest
from disobey.study.models import Setting, Study, Sweep
from disobey.study.wording import Location, Mistake, dotted, mistake_of

NAME = re.compile(r"^[A-Za-z0-9_.-]{1,60}$")


def expand(study: Study) -> tuple[Study, dict[str, Location], list[Mistake]]:
    """Add the settings of a study's sweeps.

    A setting is called ``<sweep>-<value>-<value>...``, its values in the order of ``vary``.

    Returns
    -------
    study : Study
        With all settings.
    origin : dict of str to location
        Which sweep made a setting.
    mistakes : list of (location, text)
        What is wrong with the sweeps.
    """
    settings = dict(study.settings)
    origin: dict[str, Location] = {}
    mistakes: list[Mistake] = []
    for name, sweep in study.sweeps.items():
        here: Location = ("sweeps", name)
        if sweep.base not in study.settings:
            hint = nearest(sweep.base, study.settings)
            mistakes.append(((*here, "base"), f"there is no setting '{sweep.base}'; {hint}"))
            continue
        for values in _combinations(sweep):
            made = "-".join([name, *map(_word, values.values())])
            problem = _refuse_name(made, settings)
            if problem is None:
                varied = _varied(study.settings[sweep.base], values)
                try:
                    settings[made] = Setting.model_validate(varied)
                    origin[made] = here
                except ValidationError as error:
                    location, words = mistake_of(error.errors()[0], varied)
                    problem = f"{dotted(location)}: {words}"
            if problem is not None:
                mistakes.append(((*here, "vary"), f"setting '{made}': {problem}"))
    return study.model_copy(update={"settings": settings}), origin, mistakes


def _combinations(sweep: Sweep) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*sweep.vary.values()):
        yield dict(zip(sweep.vary, values, strict=True))


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _refuse_name(name: str, settings: Mapping[str, Setting]) -> str | None:
    if name in settings:
        return "there is one of this name already; rename the sweep, or give each value once"
    return None if NAME.match(name) else "its name would be too long; give the sweep a shorter one"


def _varied(base: Setting, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the setting with the values at their dotted keys."""
    changed = base.model_dump(exclude_unset=True)
    changed.pop("paper", None)  # it reports the base, not what differs from it
    for key, value in values.items():
        *inner, last = key.split(".")
        place = changed
        for part in inner:
            if not isinstance(place.get(part), dict):  # not given, or a teacher that is a model
                place[part] = {}
            place = place[part]
        place[last] = value
    return changed
