"""Flags, environment and file as one `Settings`; what is unknown or out of bounds is refused by its name."""

import math
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from ..errors import InvalidArgument
from ..names import check_tenant
from .setting import PREFIX, Setting, settings_of
from .tables import Settings

Values = dict[tuple[str, str], Any]
"""By section and key."""

_TOML_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "text": ((str,), "a string"),
    "path": ((str,), "a string"),
    "choice": ((str,), "a string"),
    "integer": ((int,), "a whole number"),
    "integer range": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "float range": ((int, float), "a number"),
    "boolean": ((bool,), "true or false"),
}
"""What the file must have for each kind of setting."""


def read_settings(flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None) -> Settings:
    """Flags go before the environment, and that before the file; raise InvalidArgument for what makes no sense."""
    known = list(settings_of(Settings))
    values: Values = {} if file is None else _from_file(file, known)
    values |= _from_environment(environment, known)
    values |= _from_flags(flags, known)
    if ("", "students") not in values and values.get(("engine", "kind")) != "vllm":
        raise InvalidArgument("no folder of students is named; name one with --students, or in the file of --config")
    return _built(values)


def _from_flags(flags: Mapping[str, Any], known: list[Setting]) -> Values:
    given = [(one, flags[one.parameter]) for one in known if one.flag and flags.get(one.parameter) not in (None, ())]
    return {(one.section, one.key): _checked(one, value, f"--{one.flag}") for one, value in given}


def _from_file(file: Path, known: list[Setting]) -> Values:
    try:
        content = tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidArgument(f"{file} cannot be read as TOML: {error}") from error
    by_path = {one.path: one for one in known}
    tenants = content.pop("tenants", {})
    values: Values = {}
    for path, value in _flat(content, {one.section for one in known}):
        if (one := by_path.get(path)) is None:
            raise InvalidArgument(f"{file}: there is no setting {path!r}{_nearest(path, by_path)}")
        values[one.section, one.key] = _typed(one, value, f"{file}: {path}")
    if not isinstance(tenants, dict):
        raise InvalidArgument(f"{file}: tenants is {tenants!r}; it takes a table for each tenant, [tenants.NAME]")
    if tenants:
        values["", "tenants"] = {name: _quota(name, given, by_path, file) for name, given in tenants.items()}
    return values


def _quota(tenant: str, given: Any, by_path: Mapping[str, Setting], file: Path) -> dict[str, Any]:
    """What `[tenants.NAME]` says."""
    check_tenant(tenant)
    if not isinstance(given, dict):
        raise InvalidArgument(f"{file}: tenants.{tenant} is {given!r}; it takes a table of quotas")
    quotas = {path.removeprefix("quota."): one for path, one in by_path.items() if one.section == "quota"}
    for key in given:
        if key not in quotas:
            raise InvalidArgument(f"{file}: there is no setting 'tenants.{tenant}.{key}'{_nearest(key, quotas)}")
    return {key: _typed(quotas[key], value, f"{file}: tenants.{tenant}.{key}") for key, value in given.items()}


def _flat(content: dict[str, Any], sections: Iterable[str]) -> Iterable[tuple[str, Any]]:
    for name, value in content.items():
        if name in sections and isinstance(value, dict):
            yield from ((f"{name}.{key}", one) for key, one in value.items())
        else:
            yield name, value


def _from_environment(environment: Mapping[str, str], known: list[Setting]) -> Values:
    by_variable = {one.variable: one for one in known if one.flag}
    values: Values = {}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable == f"{PREFIX}CONFIG":
            continue
        if (one := by_variable.get(variable)) is None:
            raise InvalidArgument(f"there is no setting {variable}{_nearest(variable, by_variable)}")
        value: Any = tuple(text.split(",")) if one.many else text
        values[one.section, one.key] = _checked(one, value, variable)
    return values


def _nearest(name: str, names: Iterable[str]) -> str:
    names = list(names)
    # What is most often wrong is the section, or that there is none.
    same_key = [one for one in names if one.rpartition(".")[2] == name.rpartition(".")[2]]
    sections = {f"[{one.rpartition('.')[0]}]" for one in names if "." in one}
    near = same_key or get_close_matches(name, [*names, *sections], n=1)
    return f"; did you mean {near[0]}?" if near else "; docs/configuration.md lists them all"


def _typed(one: Setting, value: Any, where: str) -> Any:
    """A value as the file has it: a number written as a string is a mistake there."""
    types, wanted = _TOML_TYPES[one.kind.name]
    values = value if one.many else [value]
    # Not isinstance: a bool is an int to Python.
    if not (isinstance(values, list) and all(type(v) in types for v in values)):
        raise InvalidArgument(f"{where} is {value!r}; it takes {f'a list, each {wanted}' if one.many else wanted}")
    return _checked(one, tuple(values) if one.many else value, where)


def _checked(one: Setting, value: Any, where: str) -> Any:
    try:
        return tuple(_convert(one, v) for v in value) if one.many else _convert(one, value)
    except click.BadParameter as error:
        raise InvalidArgument(f"{where}: {error.message.rstrip('.')}") from error


def _convert(one: Setting, value: Any) -> Any:
    converted = one.kind.convert(value, None, None)
    if isinstance(converted, float) and not math.isfinite(converted):
        raise click.BadParameter(f"{converted} is no number to count with")
    return converted


def _built(values: Values) -> Settings:
    by_section: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for (section, key), value in values.items():
        by_section[section][key] = value
    tenants = by_section[""].pop("tenants", {})
    tables = {one.name: one.type for one in fields(Settings) if is_dataclass(one.type)}
    made: dict[str, Any] = {name: table(**by_section[name]) for name, table in tables.items() if callable(table)}
    own = {name: replace(made["quota"], **given) for name, given in tenants.items()}
    return Settings(**by_section[""], **made, tenants=own)
