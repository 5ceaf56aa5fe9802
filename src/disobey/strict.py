"""The base class of all models of a study file: it refuses unknown keys."""

from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from disobey.errors import nearest


class Strict(BaseModel):
    """A model that refuses unknown keys, naming the nearest known one, and coerces no types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _known_keys_only(
        cls,
        data: Any,
        check: ModelWrapValidatorHandler[Self],
    ) -> Self:
        fields = cls.model_fields
        unknown = [key for key in data if key not in fields] if isinstance(data, dict) else []
        if not unknown:
            return check(data)
        mistakes = [_unknown_key(key, nearest(key, fields)) for key in unknown]
        try:
            check({key: value for key, value in data.items() if key in fields})
        except ValidationError as error:
            mistakes += [
                _again(entry)
                for entry in error.errors()
                # a missing key is most likely the misspelt one, and errors of all keys together
                # may disappear once it is corrected
                if len(entry["loc"]) > 1 or (entry["loc"] and entry["type"] != "missing")
            ]
        raise ValidationError.from_exception_data(cls.__name__, mistakes)


def _unknown_key(key: str, hint: str) -> InitErrorDetails:
    words = {"key": key, "hint": hint}
    error = PydanticCustomError("unknown_key", "unknown key '{key}'; {hint}", words)
    return InitErrorDetails(type=error, loc=(key,), input=None)


def _again(entry: ErrorDetails) -> InitErrorDetails:
    """Return an error in the form that pydantic needs to raise it again."""
    error = PydanticCustomError(entry["type"], entry["msg"], entry.get("ctx"))
    return InitErrorDetails(type=error, loc=entry["loc"], input=entry["input"])


def spec_of(model: BaseModel) -> dict[str, Any]:
    """Return the part of a spec that describes ``model``.

    Options that are off (None or False) are left out, so a new option that is off by default
    changes no id of an earlier run.
    """
    return _without_off(model.model_dump(mode="json"))


def _without_off(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_off(v) for k, v in value.items() if v is not None and v is not False}
    if isinstance(value, list):
        return [_without_off(item) for item in value]
    return value
