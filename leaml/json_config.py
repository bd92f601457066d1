"""Settings that turn into JSON and back, and the check that each of their values goes through."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Self

from leaml.errors import ConfigError


class JsonConfig:
    """Turns a frozen dataclass into JSON values and back."""

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return dataclasses.asdict(self)  # type: ignore[call-overload,no-any-return]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings that `to_json` wrote.

        Raises:
            ConfigError: On an unknown setting or a value that cannot work.
        """
        hints = typing.get_type_hints(cls)
        unknown = sorted(set(values) - set(hints))
        if unknown:
            raise ConfigError(f"Unknown setting {unknown[0]!r} of {cls.__name__}. Known: {', '.join(sorted(hints))}.")
        return cls(**{name: _typed(hints[name], value) for name, value in values.items()})


def _typed(hint: Any, value: Any) -> Any:
    """Return a JSON value as the type that a field asks for, where that is a nested config or a tuple."""
    if isinstance(hint, types.UnionType):
        hint = next((part for part in typing.get_args(hint) if part is not type(None)), hint)
    if isinstance(hint, type) and issubclass(hint, JsonConfig) and isinstance(value, Mapping):
        return hint.from_json(value)
    return tuple(value) if typing.get_origin(hint) is tuple else value


def require(condition: bool, name: str, value: object, wanted: str) -> None:
    """Raise a ConfigError that names the setting, its value and what would work, unless the condition holds."""
    if not condition:
        raise ConfigError(f"{name} is {value!r}, but must be {wanted}.")
