"""`plures`: a server's students, cohorts, runs and queues from a terminal, and the commands that other floors add."""

import sys
from pathlib import Path
from typing import Any

import click

from .commands.act import act
from .commands.added import added_commands, load_added, summary_of
from .commands.become import become
from .commands.bench import bench
from .commands.cohorts import cohorts
from .commands.completion import completion
from .commands.connect import Target
from .commands.lineage import lineage
from .commands.merge import merge
from .commands.queue import queue
from .commands.run import run
from .commands.server import pool, students, tasks
from .commands.snapshots import snapshots
from .commands.solve import solve
from .commands.watch import watch


class Plures(click.Group):
    """A group that finds further commands among the installed packages, and says in one sentence what went wrong."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *added_commands()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or load_added(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Unlike click's own, this asks no added command for its help: that would import torch.
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._summary(name)) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            from .errors import PluresClientError

            if isinstance(error, PluresClientError):
                raise click.ClickException(str(error)) from error
            raise

    def _summary(self, name: str) -> str:
        own = self.commands.get(name)
        return own.get_short_help_str(limit=80) if own else summary_of(name)


_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(cls=Plures, context_settings={"auto_envvar_prefix": "PLURES", "show_default": True})
@click.option("--server", default="127.0.0.1:50051", metavar="ADDRESS", show_envvar=True, help="Where it listens.")
@click.option("--token-file", type=_FILE, show_envvar=True, help="Who you are to it.  [default: $PLURES_TOKEN]")
@click.option("--ca", type=_FILE, show_envvar=True, help="Encrypt, and trust certificates of this authority.")
@click.option("--certificate", type=_FILE, show_envvar=True, help="Your own certificate, where it wants one.")
@click.option("--key", type=_FILE, show_envvar=True, help="The key of that.")
@click.version_option(package_name="plures")
@click.pass_context
def main(
    ctx: click.Context,
    server: str,
    token_file: Path | None,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
) -> None:
    """Imitate how a learner learns, serve a million copies of it, let them solve things together."""
    ctx.obj = Target(server, token_file, ca, certificate, key)


# Who works with cohorts all day says less.
for name in ("start", "fork", "retire", "snapshot", "restore"):
    main.add_command(cohorts.commands[name])
_OWN = (
    act,
    become,
    bench,
    cohorts,
    completion,
    lineage,
    merge,
    pool,
    queue,
    run,
    snapshots,
    solve,
    students,
    tasks,
    watch,
)
for command in _OWN:
    main.add_command(command)

if __name__ == "__main__":
    sys.exit(main())
