"""The base of every model of a study file: nothing unknown passes."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from disobey.errors import nearest


class Strict(BaseModel):
    """Refuses unknown keys with the nearest known one, and never converts a type by guessing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys_only(cls, data: Any) -> Any:  # noqa: ANN401 - whatever YAML gave
        if isinstance(data, dict):
            known = cls.model_fields
            hints = {key: nearest(key, known) for key in data if key not in known}
            if hints:
                raise PydanticCustomError("unknown_keys", "unknown keys: {hints}", {"hints": hints})
        return data


def spec_of(model: BaseModel) -> dict[str, Any]:
    """Return the part of a spec that ``model`` stands for.

    Options that are off (None or False) are left out: a new option, off by default, then changes
    no id of an earlier run.
    """
    return _without_off(model.model_dump(mode="json"))


def _without_off(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {k: _without_off(v) for k, v in value.items() if v is not None and v is not False}
    if isinstance(value, list):
        return [_without_off(item) for item in value]
    return value
