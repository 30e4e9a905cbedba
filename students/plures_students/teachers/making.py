"""Worlds and learners made by name, with settings as people type them."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from plures_kernels.errors import InvalidArgument

T = TypeVar("T")


def make(kinds: Mapping[str, type[T]], name: str, settings: Mapping[str, str]) -> T:
    """The kind of that name, its fields read from text. InvalidArgument: an unknown name, field, or no such value."""
    if name not in kinds:
        raise InvalidArgument(f"{name!r} is not known; known: {', '.join(sorted(kinds))}")
    defaults = {field.name: field.default for field in fields(kinds[name])}  # type: ignore[arg-type]
    if unknown := [key for key in settings if key not in defaults]:
        known = ", ".join(f"{key}={value}" for key, value in defaults.items()) or "none"
        raise InvalidArgument(f"{name} has no setting {unknown[0]!r}; it has {known}")
    return kinds[name](**{key: _read(name, key, text, type(defaults[key])) for key, text in settings.items()})


def _read(name: str, key: str, text: str, kind: type[Any]) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise InvalidArgument(f"{key} {text!r} of {name} is not of type {kind.__name__}") from None
