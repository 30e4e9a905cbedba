"""One setting: a field of a frozen dataclass that knows its flag, its variable, its place in the file and its help."""

from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import click

PREFIX = "PLURESD_"
"""Not PLURES_SERVER_: for a service of that name, Kubernetes sets PLURES_SERVER_PORT and more in every container."""

_KINDS: dict[type, click.ParamType[Any]] = {
    str: click.STRING,
    Path: click.Path(path_type=Path),
    int: click.INT,
    float: click.FLOAT,
    bool: click.BOOL,
}


def setting(default: Any, text: str, kind: click.ParamType[Any] | None = None, flag: str | None = None) -> Any:
    """A field with its help, what it takes when that is not all of its type, and its flag when that is not its name."""
    return field(default=default, metadata={"help": text, "kind": kind, "flag": flag})


@dataclass(frozen=True)
class Setting:
    """`section` is "" at the head of the file. `flag` is without dashes before it; "" when there is only the file."""

    section: str
    key: str
    flag: str
    kind: click.ParamType[Any]
    many: bool
    default: Any
    help: str

    @property
    def path(self) -> str:
        """As one says it of the file."""
        return f"{self.section}.{self.key}" if self.section else self.key

    @property
    def parameter(self) -> str:
        """What a function that takes the flag calls it."""
        return self.flag.replace("-", "_")

    @property
    def variable(self) -> str:
        return PREFIX + self.parameter.upper()


def settings_of(table: type) -> Iterator[Setting]:
    """All settings of a dataclass of settings and of tables of settings, in the order of the file."""
    for entry in fields(table):
        if is_dataclass(entry.type) and isinstance(entry.type, type):
            yield from (_setting(entry.name, one) for one in fields(entry.type))
        elif "help" in entry.metadata:
            yield _setting("", entry)


def _setting(section: str, entry: "Field[Any]") -> Setting:
    flag = entry.metadata["flag"]
    base, many = _base(entry.type)
    return Setting(
        section,
        entry.name,
        entry.name.replace("_", "-") if flag is None else flag,
        entry.metadata["kind"] or _KINDS[base],
        many,
        None if entry.default is MISSING else entry.default,
        entry.metadata["help"],
    )


def _base(hint: Any) -> tuple[type, bool]:
    """The type of one value, and whether there are several."""
    if isinstance(hint, UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    several = get_args(hint)
    return (several[0], True) if several else (hint, False)
