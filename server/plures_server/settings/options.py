"""Settings as flags of a command."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .setting import PREFIX, Setting, settings_of
from .tables import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


def with_options(command: Command) -> Command:
    """The command with a flag for each setting, None when it is not given, and `--config`."""
    for one in reversed([one for one in settings_of(Settings) if one.flag]):
        command = _option(one)(command)
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        envvar=f"{PREFIX}CONFIG",
        help="TOML file of settings; docs/configuration.md lists them.",
    )(command)


def _option(one: Setting) -> Callable[[Command], Command]:
    if one.kind is click.BOOL:
        return click.option(f"--{one.flag}/--no-{one.flag}", default=None, help=one.help)
    shown = "" if one.default in (None, ()) else f"  [default: {one.default}]"
    return click.option(
        f"--{one.flag}", type=one.kind, default=None, multiple=one.many, help=f"{one.help}{shown}", metavar=None
    )
