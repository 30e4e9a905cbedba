"""`plures-server token`: make, list and revoke tokens. A server that runs sees the change."""

from pathlib import Path

import click

from .tokens import new_token, read_tokens, write_tokens

_FILE = click.option(
    "--tokens",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="PLURESD_TOKENS",
    required=True,
    help="The server's file of tokens.",
)


@click.group()
def token() -> None:
    """Make, list and revoke the tokens by which tenants are known."""


@token.command()
@click.argument("tenant")
@_FILE
def new(tenant: str, file: Path) -> None:
    """Print a new token of TENANT. It is told this once: what is kept is a hash."""
    text, made = new_token(tenant)
    write_tokens(file, read_tokens(file) | {made.id: made})
    click.echo(text)


@token.command("list")
@_FILE
def list_(file: Path) -> None:
    """List tenants and the ids of their tokens."""
    for known in read_tokens(file).values():
        click.echo(f"{known.tenant} {known.id}")


@token.command()
@click.argument("id_", metavar="ID")
@_FILE
def revoke(id_: str, file: Path) -> None:
    """Forget the token with this ID; calls under way go on."""
    tokens = read_tokens(file)
    if tokens.pop(id_, None) is None:
        raise click.ClickException(f"no token has the id {id_!r}; `plures-server token list` has them")
    write_tokens(file, tokens)
