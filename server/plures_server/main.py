"""`plures-server`: read what it is told, once, and serve."""

import os
import sys
from pathlib import Path
from typing import Any

import click
import uvloop
from plures_kernels.errors import PluresError

from .access.commands import token
from .serving import serve
from .settings import read_settings, with_options
from .telemetry.logs import LogConfig, set_up


class PluresServer(click.Group):
    """A group that says in one line what went wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (PluresError, OSError) as error:
            print(f"plures-server: {error}", file=sys.stderr)
            sys.exit(1)


@click.group(cls=PluresServer, invoke_without_command=True)
@with_options
@click.pass_context
def main(ctx: click.Context, /, config: Path | None, **flags: Any) -> None:
    """Serve students: a million copies, each learning on by itself."""
    if ctx.invoked_subcommand is not None:
        return
    settings = read_settings(flags, os.environ, config)
    set_up(LogConfig(settings.log.format, settings.log.level))
    uvloop.run(serve(settings))


main.add_command(token)
